//! Deletion vectors: which rows of a file are deleted, as the rows of it that a scan reads.

use std::ops::Range;
use std::sync::Arc;

use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use deltalake::kernel::{DeletionVectorDescriptor, StorageType};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::RowSelector;
use roaring::RoaringTreemap;
use tokio::sync::OnceCell;
use url::Url;
use uuid::Uuid;

use crate::scan::files::ScanFile;
use crate::stores::store_path;
use crate::{Error, Result};

/// The one serialisation that the protocol has.
const MAGIC: u32 = 1_681_511_377;
/// The one version of files of deletion vectors.
const FILE_VERSION: u8 = 1;
/// A UUID in Z85.
const UUID_LENGTH: usize = 20;
/// Deletion vectors and footers that are fetched at once for a plan.
const FETCHED_AT_ONCE: usize = 16;

/// A file's deletion vector, fetched when a plan first needs it.
#[derive(Debug)]
pub(crate) struct DeletionVector {
    descriptor: DeletionVectorDescriptor,
    /// The table's folder, which relative paths start from.
    table: Url,
    /// How many rows the file has in all, where the log says so.
    rows: Option<u64>,
    read: OnceCell<Deleted>,
}

#[derive(Debug)]
struct Deleted {
    rows: RoaringTreemap,
    of: u64,
}

impl DeletionVector {
    pub(super) fn new(descriptor: DeletionVectorDescriptor, table: Url, rows: Option<u64>) -> Self {
        Self { descriptor, table, rows, read: OnceCell::new() }
    }

    /// What tells it from others of the same file.
    pub(super) fn id(&self) -> String {
        id(&self.descriptor)
    }

    /// How many rows are deleted.
    pub(super) fn cardinality(&self) -> Option<u64> {
        u64::try_from(self.descriptor.cardinality).ok()
    }

    /// About the memory that it takes once it's read.
    pub(super) fn size(&self) -> usize {
        usize::try_from(self.descriptor.size_in_bytes).unwrap_or(0)
    }

    /// The rows of the file that are left.
    async fn selection(
        &self,
        store: &Arc<dyn ObjectStore>,
        file: &ScanFile,
    ) -> Result<ParquetRowSelection> {
        let read = self.read.get_or_try_init(|| self.read(store, file)).await;
        let deleted = read.map_err(|error| {
            error.about(format!("the deletion vector of \"{}\"", file.meta.location))
        })?;
        let selectors = selectors(&deleted.rows, deleted.of);
        Ok(ParquetRowSelection::new(selectors.into()))
    }

    async fn read(&self, store: &Arc<dyn ObjectStore>, file: &ScanFile) -> Result<Deleted> {
        let rows = self.bitmap(store).await?;
        if Some(rows.len()) != self.cardinality() {
            return Err(Error::bad_data(format!(
                "it deletes {} rows, and the log says {}",
                rows.len(),
                self.descriptor.cardinality
            )));
        }
        let of = match self.rows {
            Some(of) => of,
            None => rows_in(store, file).await?,
        };
        match rows.max() {
            Some(last) if last >= of => {
                Err(Error::bad_data(format!("it deletes row {last}, and the file has {of} rows")))
            }
            _ => Ok(Deleted { rows, of }),
        }
    }

    async fn bitmap(&self, store: &Arc<dyn ObjectStore>) -> Result<RoaringTreemap> {
        if self.descriptor.storage_type == StorageType::Inline {
            let bytes = z85::decode(&self.descriptor.path_or_inline_dv)
                .map_err(|error| Error::bad_data(format!("it is no Z85: {error}")))?;
            return parse(&bytes);
        }
        let path = store_path(&self.file()?)?;
        let size = u64::try_from(self.descriptor.size_in_bytes)
            .map_err(|_| Error::bad_data("its size is negative"))?;
        let start = u64::try_from(self.descriptor.offset.unwrap_or(1))
            .map_err(|_| Error::bad_data("its offset is negative"))?;
        // The length before it and the checksum after it.
        let ranges: [Range<u64>; 2] = [0..1, start..start + size + 8];
        let bytes = store.get_ranges(&path, &ranges).await?;
        match bytes.as_slice() {
            [version, framed] if version.first() == Some(&FILE_VERSION) => {
                parse(unframed(framed, size)?)
            }
            _ => Err(Error::bad_data(format!("\"{path}\" is no file of deletion vectors"))),
        }
    }

    /// Where it's kept. A log may only name files of its own table.
    fn file(&self) -> Result<Url> {
        let text = &self.descriptor.path_or_inline_dv;
        let outside = || Error::bad_data(format!("its path \"{text}\" is not in the table"));
        let url = match self.descriptor.storage_type {
            StorageType::AbsolutePath => Url::parse(text).map_err(|_| outside())?,
            _ => self.table.join(&relative_path(text)?).map_err(|_| outside())?,
        };
        match url.as_str().starts_with(self.table.as_str()) {
            true => Ok(url),
            false => Err(outside()),
        }
    }
}

/// A deletion vector's place, which with its file's path is the key of what a log keeps.
pub(super) fn id(descriptor: &DeletionVectorDescriptor) -> String {
    let offset = descriptor.offset.map(|offset| format!("@{offset}")).unwrap_or_default();
    format!("{}{}{offset}", descriptor.storage_type.as_ref(), descriptor.path_or_inline_dv)
}

/// The rows that are left of each file, where some are deleted.
pub(crate) async fn selections(
    store: &Arc<dyn ObjectStore>,
    files: &[ScanFile],
) -> Result<Vec<Option<ParquetRowSelection>>> {
    if files.iter().all(|file| file.deletion.is_none()) {
        return Ok(vec![None; files.len()]);
    }
    let jobs: Vec<_> = files.iter().map(|file| selection(store, file)).collect();
    stream::iter(jobs).buffered(FETCHED_AT_ONCE).try_collect().await
}

async fn selection(
    store: &Arc<dyn ObjectStore>,
    file: &ScanFile,
) -> Result<Option<ParquetRowSelection>> {
    match &file.deletion {
        Some(deletion) => Ok(Some(deletion.selection(store, file).await?)),
        None => Ok(None),
    }
}

/// The rows of a file, from its footer.
async fn rows_in(store: &Arc<dyn ObjectStore>, file: &ScanFile) -> Result<u64> {
    let footer = DFParquetMetadata::new(store.as_ref(), &file.meta).fetch_metadata().await?;
    let rows = footer.file_metadata().num_rows();
    u64::try_from(rows).map_err(|_| Error::bad_data("the file has a negative number of rows"))
}

/// `[prefix/]deletion_vector_UUID.bin`, from the prefix and the UUID in Z85.
fn relative_path(text: &str) -> Result<String> {
    let wrong = || Error::bad_data(format!("its path \"{text}\" ends with no UUID"));
    let start = text.len().checked_sub(UUID_LENGTH).ok_or_else(wrong)?;
    let prefix = text.get(..start).ok_or_else(wrong)?;
    let bytes = text.get(start..).and_then(|uuid| z85::decode(uuid).ok()).ok_or_else(wrong)?;
    let uuid = Uuid::from_slice(&bytes).map_err(|_| wrong())?;
    match prefix.is_empty() {
        true => Ok(format!("deletion_vector_{uuid}.bin")),
        false => Ok(format!("{prefix}/deletion_vector_{uuid}.bin")),
    }
}

/// What is between the length before a deletion vector and the checksum after it.
fn unframed(framed: &[u8], size: u64) -> Result<&[u8]> {
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
    let (before, rest) = framed.split_at_checked(4).unwrap_or_default();
    let (data, after) = rest.split_at_checked(rest.len().saturating_sub(4)).unwrap_or_default();
    if number(before).map(u64::from) != Some(size) || data.len() as u64 != size {
        return Err(Error::bad_data("its size in the file is not that in the log"));
    }
    match number(after) == Some(crc32fast::hash(data)) {
        true => Ok(data),
        false => Err(Error::bad_data("its checksum is wrong")),
    }
}

fn parse(bytes: &[u8]) -> Result<RoaringTreemap> {
    let wrong = || Error::bad_data("it is no bitmap of the portable format");
    let (magic, bitmap) = bytes.split_at_checked(4).ok_or_else(wrong)?;
    if magic != MAGIC.to_le_bytes() {
        return Err(wrong());
    }
    RoaringTreemap::deserialize_from(bitmap).map_err(|_| wrong())
}

/// Runs of rows to read and to skip; together they are all `of` the file.
fn selectors(deleted: &RoaringTreemap, of: u64) -> Vec<RowSelector> {
    let length = |run: Range<u64>| usize::try_from(run.end - run.start).unwrap_or(usize::MAX);
    let mut selectors = Vec::new();
    let mut done = 0;
    let mut push = |run: Range<u64>| {
        if run.start > done {
            selectors.push(RowSelector::select(length(done..run.start)));
        }
        if run.end > run.start {
            selectors.push(RowSelector::skip(length(run.clone())));
        }
        done = run.end;
    };
    let mut open: Option<Range<u64>> = None;
    for row in deleted {
        match &mut open {
            Some(run) if run.end == row => run.end = row + 1,
            _ => open.replace(row..row + 1).into_iter().for_each(&mut push),
        }
    }
    open.into_iter().for_each(&mut push);
    push(of..of);
    selectors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(rows: &[u64], of: u64) -> String {
        let rows: RoaringTreemap = rows.iter().copied().collect();
        let text = |selector: &RowSelector| match selector.skip {
            true => format!("-{}", selector.row_count),
            false => format!("+{}", selector.row_count),
        };
        selectors(&rows, of).iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn runs_cover_all_rows() {
        assert_eq!(runs(&[], 3), "+3");
        assert_eq!(runs(&[0], 3), "-1 +2");
        assert_eq!(runs(&[2], 3), "+2 -1");
        assert_eq!(runs(&[0, 1, 2], 3), "-3");
        assert_eq!(runs(&[1, 2, 5], 8), "+1 -2 +2 -1 +2");
    }

    #[test]
    fn paths_end_with_a_uuid() {
        let path = relative_path("ab^-aqEH.-t@S}K{vb[*k^").unwrap();
        assert_eq!(path, "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin");
        for wrong in ["", "short", "é^-aqEH.-t@S}K{vb[*k", "\u{1F30A}aqEH.-t@S}K{vb[*k^"] {
            assert!(relative_path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_bitmap_is_an_error() {
        for bytes in [&b""[..], b"abc", &MAGIC.to_le_bytes(), b"\x01\x02\x03\x04\x05"] {
            assert!(parse(bytes).is_err());
        }
        let mut endless = MAGIC.to_le_bytes().to_vec();
        endless.extend(u64::MAX.to_le_bytes());
        assert!(parse(&endless).is_err());
    }

    #[test]
    fn frames_are_checked() {
        let data = b"some bytes";
        let mut framed = (data.len() as u32).to_be_bytes().to_vec();
        framed.extend(data);
        framed.extend(crc32fast::hash(data).to_be_bytes());
        assert_eq!(unframed(&framed, 10).unwrap(), data);
        assert!(unframed(&framed, 9).is_err());
        framed[5] ^= 1;
        assert!(unframed(&framed, 10).unwrap_err().to_string().contains("checksum"));
        assert!(unframed(b"", 10).is_err());
    }
}
