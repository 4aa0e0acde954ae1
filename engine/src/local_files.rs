//! Local files that are on the disk once their write is acknowledged.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};
use uuid::Uuid;

/// The local file system as a store. A file's bytes are synced before it gets its name, and its
/// folder after that, so that a power cut leaves all of it or nothing.
#[derive(Debug, Default)]
pub(crate) struct LocalFiles(LocalFileSystem);

impl LocalFiles {
    /// Syncs the file at `location` and its folder.
    async fn sync(&self, location: &ObjectPath) -> Result<()> {
        let path = self.0.path_to_filesystem(location)?;
        blocking(location, move || sync_file(&path)).await
    }
}

impl fmt::Display for LocalFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for LocalFiles {
    async fn put_opts(
        &self,
        location: &ObjectPath,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let only_new = match options.mode {
            PutMode::Create if options.attributes.is_empty() => true,
            PutMode::Overwrite if options.attributes.is_empty() => false,
            // It has none of these, and says so.
            _ => return self.0.put_opts(location, payload, options).await,
        };
        let path = self.0.path_to_filesystem(location)?;
        blocking(location, move || put(&path, &payload, only_new)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.0.path_to_filesystem(location)?;
        let at = path.clone();
        blocking(location, move || make_folder_of(&at)).await?;
        let inner = self.0.put_multipart_opts(location, options).await?;
        Ok(Box::new(Upload { inner, location: location.clone(), path }))
    }

    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &ObjectPath,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<bytes::Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&ObjectPath>,
        offset: &ObjectPath,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<()> {
        self.0.copy_opts(from, to, options).await?;
        self.sync(to).await
    }

    async fn rename_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: RenameOptions,
    ) -> Result<()> {
        self.0.rename_opts(from, to, options).await?;
        self.sync(to).await
    }
}

/// A large file, written in parts.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    location: ObjectPath,
    path: PathBuf,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.inner.complete().await?;
        let path = self.path.clone();
        blocking(&self.location, move || sync_file(&path)).await?;
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

/// Runs `work` where it may wait for the disk. It isn't cut short when the future is dropped.
async fn blocking(
    location: &ObjectPath,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<()> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Generic {
        store: "LocalFileSystem",
        source,
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::AlreadyExists { path: location.to_string(), source: error.into() })
        }
        Ok(Err(error)) => Err(failed(error.into())),
        Err(error) => Err(failed(error.into())),
    }
}

fn put(path: &Path, payload: &PutPayload, only_new: bool) -> io::Result<()> {
    make_folder_of(path)?;
    let staged = Staged::beside(path);
    let mut file = File::create_new(&staged.0)?;
    payload.iter().try_for_each(|bytes| file.write_all(bytes))?;
    file.sync_all()?;
    drop(file);
    match only_new {
        true => fs::hard_link(&staged.0, path)?,
        false => fs::rename(&staged.0, path)?,
    }
    drop(staged);
    sync_folder_of(path)
}

/// A file that hasn't its name yet; it is removed when this is dropped.
struct Staged(PathBuf);

impl Staged {
    /// Listings of this store leave out names that end in `#` and digits.
    fn beside(path: &Path) -> Self {
        let (number, _) = Uuid::new_v4().as_u64_pair();
        let mut staged = path.as_os_str().to_owned();
        staged.push(format!("#{number}"));
        Self(staged.into())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes the folders above `path` that aren't there, each synced into the one above it.
fn make_folder_of(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().skip(1).take_while(|dir| !dir.exists()).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync_folder_of(folder)?,
        }
    }
    Ok(())
}

fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    sync_folder_of(path)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    // Elsewhere a folder can't be opened, and needn't be.
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt as _;

    use super::*;

    fn within(folder: &Path, name: &str) -> ObjectPath {
        ObjectPath::from_absolute_path(folder.join(name)).unwrap()
    }

    fn only_new() -> PutOptions {
        PutOptions { mode: PutMode::Create, ..PutOptions::default() }
    }

    #[tokio::test]
    async fn of_many_who_make_one_file_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let location = within(folder.path(), "a/b/c.json");
        let tries = (0..20).map(|n| {
            let location = location.clone();
            tokio::spawn(async move {
                let bytes = format!("{n}").repeat(1000);
                LocalFiles::default().put_opts(&location, bytes.into(), only_new()).await
            })
        });
        let outcomes: Vec<_> = futures::future::join_all(tries).await;
        let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let taken = |outcome: &Result<PutResult>| {
            matches!(outcome, Err(Error::AlreadyExists { .. }) | Ok(_))
        };
        assert!(outcomes.iter().all(taken), "{outcomes:?}");
        let left: Vec<_> = fs::read_dir(folder.path().join("a/b")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[tokio::test]
    async fn it_does_what_a_local_file_system_does() {
        let (folder, files) = (tempfile::tempdir().unwrap(), LocalFiles::default());
        let at = |name: &str| within(folder.path(), name);
        files.put(&at("x/one"), "1".into()).await.unwrap();
        files.put(&at("x/one"), "2".into()).await.unwrap();
        files.copy(&at("x/one"), &at("x/two")).await.unwrap();
        files.rename(&at("x/two"), &at("y/three")).await.unwrap();
        let mut upload = files.put_multipart(&at("z/large")).await.unwrap();
        upload.put_part("ab".into()).await.unwrap();
        upload.put_part("cd".into()).await.unwrap();
        upload.complete().await.unwrap();
        let root = within(folder.path(), "");
        let found: Vec<_> = files.list(Some(&root)).try_collect().await.unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
        let large = files.get(&at("z/large")).await.unwrap().bytes().await.unwrap();
        assert_eq!(large, "abcd");
        let one = files.get(&at("x/one")).await.unwrap().bytes().await.unwrap();
        assert_eq!(one, "2");
    }
}
