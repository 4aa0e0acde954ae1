//! Text files as chunks of whole records, so that each can be decoded on a thread of its own.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use datafusion::common::DataFusionError;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange, ObjectStore};
use tokio::sync::mpsc;

use super::files::LoadFile;
use crate::{Error, ErrorKind, Result};

/// Bytes that are asked of a store at once.
const PIECE_BYTES: u64 = 4 << 20;
/// Pieces of a file, and first pieces of the next files, that are on their way.
const PIECES_AHEAD: usize = 3;
const FILES_AHEAD: usize = 8;
/// A chunk ends with the first record that reaches this size.
const CHUNK_BYTES: usize = 2 << 20;
const RECORD_BYTES_MAX: usize = 64 << 20;

/// Whole records of one file.
pub(super) struct Chunk {
    pub(super) file: Arc<LoadFile>,
    /// The line that it begins with, from 1.
    pub(super) line: u64,
    pub(super) bytes: Bytes,
}

/// How records are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    /// Of fields, within which a record's line may end; `None` where records are lines.
    pub(super) fields: Option<Fields>,
    /// Records at the begin of each file that are left out.
    pub(super) skip: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) delimiter: u8,
    pub(super) quote: u8,
    pub(super) escape: Option<u8>,
}

/// Sends the chunks of all files, in order, until nobody takes them.
pub(super) async fn produce(
    store: Arc<dyn ObjectStore>,
    files: Vec<(Arc<LoadFile>, FileCompressionType)>,
    syntax: Syntax,
    chunks: mpsc::Sender<Result<Chunk>>,
) {
    let opened = stream::iter(files).map(|(file, compression)| {
        let store = store.clone();
        async move {
            let first = piece(&store, &file, 0).await?;
            Ok((store, file, compression, first))
        }
    });
    let mut opened = opened.buffered(FILES_AHEAD);
    while let Some(next) = opened.next().await {
        let sent = match next {
            Ok((store, file, compression, first)) => {
                let about = file.shown();
                let pieces = pieces(store, file.clone(), first);
                send_file(pieces, file, compression, syntax, &chunks)
                    .await
                    .map_err(|error: Error| error.about(format!("\"{about}\"")))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            let _ = chunks.send(Err(error)).await;
            return;
        }
    }
}

async fn piece(store: &Arc<dyn ObjectStore>, file: &LoadFile, start: u64) -> Result<Bytes> {
    let end = file.meta.size.min(start + PIECE_BYTES);
    // A file that is replaced meanwhile is another file.
    let options = GetOptions {
        range: Some(GetRange::Bounded(start..end)),
        if_match: file.meta.e_tag.clone(),
        ..GetOptions::default()
    };
    let about =
        |error: object_store::Error| Error::from(error).about(format!("\"{}\"", file.shown()));
    let found = store.get_opts(&file.meta.location, options).await.map_err(about)?;
    found.bytes().await.map_err(about)
}

fn pieces(
    store: Arc<dyn ObjectStore>,
    file: Arc<LoadFile>,
    first: Bytes,
) -> BoxStream<'static, Result<Bytes, DataFusionError>> {
    let starts = (PIECE_BYTES..file.meta.size).step_by(PIECE_BYTES as usize);
    let rest = stream::iter(starts).map(move |start| {
        let (store, file) = (store.clone(), file.clone());
        async move { piece(&store, &file, start).await.map_err(DataFusionError::from) }
    });
    stream::once(async { Ok(first) }).chain(rest.buffered(PIECES_AHEAD)).boxed()
}

async fn send_file(
    pieces: BoxStream<'static, Result<Bytes, DataFusionError>>,
    file: Arc<LoadFile>,
    compression: FileCompressionType,
    syntax: Syntax,
    chunks: &mpsc::Sender<Result<Chunk>>,
) -> Result<()> {
    let mut plain = compression.convert_stream(pieces)?;
    let mut splitter = Splitter::new(syntax);
    while let Some(piece) = plain.try_next().await.map_err(unreadable)? {
        splitter.buffer.extend_from_slice(&piece);
        while let Some((line, bytes)) = splitter.next(false)? {
            let chunk = Chunk { file: file.clone(), line, bytes };
            if chunks.send(Ok(chunk)).await.is_err() {
                return Ok(());
            }
        }
    }
    while let Some((line, bytes)) = splitter.next(true)? {
        let _ = chunks.send(Ok(Chunk { file: file.clone(), line, bytes })).await;
    }
    Ok(())
}

/// What a decompressor or a store says.
fn unreadable(error: DataFusionError) -> Error {
    let error = Error::from(error);
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Internal | ErrorKind::InvalidArgument => {
            Error::bad_data(error.to_string())
                .with_hint("Is the file whole, and compressed as its name or the statement says?")
        }
        _ => error,
    }
}

/// Cuts bytes into chunks of whole records.
struct Splitter {
    syntax: Syntax,
    buffer: BytesMut,
    /// How much of the buffer has been looked at, always a line's end.
    seen: usize,
    /// The end of the last whole record that was seen.
    end: usize,
    place: Place,
    /// Of the buffer's first byte, from 1.
    line: u64,
    /// Lines that were seen.
    lines: u64,
    lines_at_end: u64,
    to_skip: u64,
}

/// Where in a record a line begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    FieldStart,
    Unquoted,
    Quoted,
    /// After a quote within quotes: the field ends, or the quote is doubled.
    QuoteInQuotes,
}

impl Splitter {
    fn new(syntax: Syntax) -> Self {
        Self {
            syntax,
            buffer: BytesMut::new(),
            seen: 0,
            end: 0,
            place: Place::FieldStart,
            line: 1,
            lines: 0,
            lines_at_end: 0,
            to_skip: syntax.skip,
        }
    }

    /// The next chunk with its first line; at the file's end the rest is one too.
    fn next(&mut self, at_end: bool) -> Result<Option<(u64, Bytes)>> {
        while self.end < CHUNK_BYTES && self.line_ends() {}
        if self.end < CHUNK_BYTES {
            if self.buffer.len() - self.end > RECORD_BYTES_MAX {
                return Err(Error::bad_data(format!(
                    "line {}: a record of more than {RECORD_BYTES_MAX} bytes",
                    self.line + self.lines_at_end
                ))
                .with_hint("Is a quote missing at a field's end, or is it another format?"));
            }
            if !at_end {
                return Ok(None);
            }
            // The last record may lack the end of its line.
            self.end = if self.to_skip > 0 { 0 } else { self.buffer.len() };
            self.lines_at_end = self.lines;
        }
        let bytes = self.buffer.split_to(self.end).freeze();
        let line = self.line;
        self.line += self.lines_at_end;
        self.lines -= self.lines_at_end;
        self.seen = self.seen.saturating_sub(self.end);
        (self.end, self.lines_at_end) = (0, 0);
        if at_end && bytes.is_empty() {
            self.buffer.clear();
            return Ok(None);
        }
        Ok(Some((line, bytes)))
    }

    /// Looks at the next line, if the buffer has its end.
    fn line_ends(&mut self) -> bool {
        let Some(length) = memchr::memchr(b'\n', &self.buffer[self.seen..]) else { return false };
        let line = &self.buffer[self.seen..=self.seen + length];
        self.place = after(self.place, line, self.syntax.fields);
        self.seen += line.len();
        self.lines += 1;
        if self.place != Place::FieldStart {
            return true;
        }
        if self.to_skip > 0 {
            self.to_skip -= 1;
            let _ = self.buffer.split_to(self.seen);
            self.line += self.lines;
            (self.seen, self.lines) = (0, 0);
        } else {
            (self.end, self.lines_at_end) = (self.seen, self.lines);
        }
        true
    }
}

/// Where a line that begins at `place` ends: at the start of a field if the record ends with it.
fn after(mut place: Place, line: &[u8], fields: Option<Fields>) -> Place {
    let Some(fields) = fields else { return Place::FieldStart };
    let no_quotes = memchr::memchr(fields.quote, line).is_none();
    if no_quotes && matches!(place, Place::FieldStart | Place::Unquoted) {
        return Place::FieldStart;
    }
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        let ends_field = byte == fields.delimiter || byte == b'\n' || byte == b'\r';
        place = match place {
            Place::Quoted if Some(byte) == fields.escape => {
                bytes.next();
                Place::Quoted
            }
            Place::Quoted if byte == fields.quote => Place::QuoteInQuotes,
            Place::Quoted => Place::Quoted,
            Place::FieldStart | Place::QuoteInQuotes if byte == fields.quote => Place::Quoted,
            _ if ends_field => Place::FieldStart,
            _ => Place::Unquoted,
        };
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: Fields = Fields { delimiter: b',', quote: b'"', escape: None };

    /// The records' first lines and texts, with the text arriving in pieces.
    fn split(text: &str, fields: Option<Fields>, skip: u64, piece: usize) -> Vec<(u64, String)> {
        let mut splitter = Splitter::new(Syntax { fields, skip });
        let mut found = Vec::new();
        let mut take = |splitter: &mut Splitter, at_end| {
            while let Some((line, bytes)) = splitter.next(at_end).unwrap() {
                found.push((line, String::from_utf8(bytes.to_vec()).unwrap()));
            }
        };
        for piece in text.as_bytes().chunks(piece) {
            splitter.buffer.extend_from_slice(piece);
            take(&mut splitter, false);
        }
        take(&mut splitter, true);
        found
    }

    #[test]
    fn small_text_is_one_chunk_without_its_header() {
        for piece in [1, 3, 100] {
            let found = split("a,\"b\nc\"\n1,2\n3,4", Some(CSV), 1, piece);
            assert_eq!(found, [(3, "1,2\n3,4".to_owned())], "{piece}");
            assert_eq!(split("a,b", Some(CSV), 1, piece), []);
            assert_eq!(split("", Some(CSV), 0, piece), []);
        }
    }

    #[test]
    fn chunks_end_where_records_do() {
        let record = "1,\"a \"\"quoted\"\"\n,line\",5\" pipe\n";
        let text = record.repeat(CHUNK_BYTES / record.len() * 3);
        let found = split(&text, Some(CSV), 0, 1 << 20);
        assert!(found.len() >= 3, "{} chunks", found.len());
        let mut line = 1;
        for (first, chunk) in &found {
            assert_eq!(*first, line);
            assert!(chunk.starts_with("1,\"a ") && chunk.ends_with("pipe\n"));
            line += chunk.matches('\n').count() as u64;
        }
        let whole: String = found.into_iter().map(|(_, chunk)| chunk).collect();
        assert_eq!(whole, text);
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_field() {
        let fields = Fields { escape: Some(b'\\'), ..CSV };
        assert!(after(Place::FieldStart, b"\"a\\\"b\n", Some(fields)) == Place::Quoted);
        assert!(after(Place::FieldStart, b"\"a\\\"b\"\n", Some(fields)) == Place::FieldStart);
        assert!(after(Place::FieldStart, b"5\" pipe\n", Some(fields)) == Place::FieldStart);
    }
}
