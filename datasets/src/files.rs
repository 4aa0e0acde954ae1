//! Tables as Parquet files in a folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::{Error, Result};

/// No file written here is larger, by more than a batch.
pub const FILE_BYTES_MAX: usize = 256 << 20;

/// Small enough that a few cores can share one file.
const ROW_GROUP_ROWS_MAX: usize = 512 << 10;

/// Writes `batches` to `dir/table/table.parquet`, or to `part-0.parquet` and so on in that
/// folder when one file would be larger than [`FILE_BYTES_MAX`].
///
/// Files of an earlier call for the same table are replaced, and only once all rows are
/// written; after an error they are as they were. A table without rows has one file, so that
/// its columns are known.
pub fn write_table(
    dir: &Path,
    table: &str,
    schema: SchemaRef,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<()> {
    write_parts(dir, table, schema, batches, FILE_BYTES_MAX)
}

fn write_parts(
    dir: &Path,
    table: &str,
    schema: SchemaRef,
    batches: impl IntoIterator<Item = RecordBatch>,
    file_bytes_max: usize,
) -> Result<()> {
    let folder = dir.join(table);
    fs::create_dir_all(&folder).map_err(|source| Error::Write { path: folder.clone(), source })?;

    let mut finished = Vec::new();
    let mut current = Part::create(&folder, 0, schema.clone())?;
    for batch in batches {
        if current.bytes() >= file_bytes_max {
            let next = Part::create(&folder, finished.len() + 1, schema.clone())?;
            finished.push(std::mem::replace(&mut current, next).finish()?);
        }
        current.write(&batch)?;
    }
    finished.push(current.finish()?);

    remove_files_of(table, &folder)?;
    let single = finished.len() == 1;
    for (number, draft) in finished.into_iter().enumerate() {
        let name =
            if single { format!("{table}.parquet") } else { format!("part-{number}.parquet") };
        let path = folder.join(name);
        draft.publish(&path).map_err(|source| Error::Write { path, source })?;
    }
    Ok(())
}

/// Writes one file, with the folders above it. A reader sees all of it or nothing.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = Draft(folder.join(format!(".{name}.{}.tmp", std::process::id())));
    fs::write(&draft.0, bytes)?;
    draft.publish(path)
}

/// Removes what an earlier [`write_table`] left, and nothing that a user put there.
fn remove_files_of(table: &str, folder: &Path) -> Result<()> {
    let failed = |source| Error::Write { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let stem = name.strip_suffix(".parquet");
        let number = stem.and_then(|stem| stem.strip_prefix("part-"));
        let numbered = number.is_some_and(|number| number.parse::<usize>().is_ok());
        if stem == Some(table) || numbered {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

/// A file under a name that no reader looks at; it goes away unless it is published.
pub(crate) struct Draft(PathBuf);

impl Draft {
    /// An empty file that is to be called `name` in `folder`.
    pub(crate) fn create(folder: &Path, name: &str) -> io::Result<(Self, File)> {
        let path = folder.join(format!(".{name}.{}.tmp", std::process::id()));
        let file = File::create(&path)?;
        Ok((Self(path), file))
    }

    pub(crate) fn publish(self, path: &Path) -> io::Result<()> {
        fs::rename(&self.0, path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `publish` there is nothing left to remove, and that is the usual case.
        let _ = fs::remove_file(&self.0);
    }
}

/// A Parquet file being written.
struct Part {
    draft: Draft,
    writer: ArrowWriter<File>,
}

impl Part {
    fn create(folder: &Path, number: usize, schema: SchemaRef) -> Result<Self> {
        let path = folder.join(format!(".part-{number}.{}.tmp", std::process::id()));
        let file =
            File::create(&path).map_err(|source| Error::Write { path: path.clone(), source })?;
        let draft = Draft(path);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
            .build();
        match ArrowWriter::try_new(file, schema, Some(properties)) {
            Ok(writer) => Ok(Self { draft, writer }),
            Err(source) => Err(Error::Encode { path: draft.0.clone(), source }),
        }
    }

    fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer
            .write(batch)
            .map_err(|source| Error::Encode { path: self.draft.0.clone(), source })
    }

    fn finish(self) -> Result<Draft> {
        let Self { draft, writer } = self;
        match writer.close() {
            Ok(_) => Ok(draft),
            Err(source) => Err(Error::Encode { path: draft.0.clone(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn numbers(values: Vec<i64>) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(values))]).unwrap()
    }

    #[test]
    fn a_table_replaces_its_own_files_and_leaves_others() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("t");
        fs::create_dir(&folder).unwrap();
        for name in ["t.parquet", "part-0.parquet", "part-11.parquet", "part-x.parquet", "notes"] {
            fs::write(folder.join(name), "old").unwrap();
        }

        let batch = numbers(vec![1, 2, 3]);
        write_table(dir.path(), "t", batch.schema(), [batch]).unwrap();

        assert_eq!(names(&folder), ["notes", "part-x.parquet", "t.parquet"]);
        assert!(fs::read(folder.join("t.parquet")).unwrap().starts_with(b"PAR1"));
    }

    #[test]
    fn a_large_table_is_in_parts_that_hold_all_rows_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let batches = [vec![1, 2], vec![3], vec![4, 5]].map(numbers);
        write_parts(dir.path(), "t", batches[0].schema(), batches.clone(), 5).unwrap();

        let folder = dir.path().join("t");
        assert_eq!(names(&folder), ["part-0.parquet", "part-1.parquet", "part-2.parquet"]);
        for (name, batch) in names(&folder).iter().zip(batches) {
            let file = File::open(folder.join(name)).unwrap();
            let mut reader =
                ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
            assert_eq!(reader.next().unwrap().unwrap(), batch);
        }
    }

    #[test]
    fn a_table_without_rows_has_columns() {
        let dir = tempfile::tempdir().unwrap();
        let schema = numbers(vec![]).schema();
        write_table(dir.path(), "t", schema.clone(), []).unwrap();
        let file = File::open(dir.path().join("t/t.parquet")).unwrap();
        assert_eq!(*ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema(), schema);
    }
}
