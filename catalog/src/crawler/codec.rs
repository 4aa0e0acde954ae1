//! Files that are compressed as a whole.

use std::io::Read;

/// How a file is compressed as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Codec {
    #[default]
    None,
    Gzip,
    Bzip2,
    Zstd,
    Xz,
    Snappy,
}

const SNAPPY_START: &[u8] = b"\xff\x06\x00\x00sNaPpY";

impl Codec {
    /// What Glue calls it in `compressionType`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Snappy => "snappy",
        }
    }

    /// The codec of a file that starts with these bytes.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ if head.starts_with(SNAPPY_START) => Self::Snappy,
            _ => Self::None,
        }
    }

    /// The first `limit` bytes of what the start of a file stands for, which may end anywhere;
    /// `None` if it cannot be read at all.
    pub(super) fn decompress(self, head: &[u8], limit: usize) -> Option<Vec<u8>> {
        match self {
            Self::None => Some(head[..head.len().min(limit)].to_vec()),
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(head), limit),
            Self::Bzip2 => read(bzip2::read::MultiBzDecoder::new(head), limit),
            Self::Zstd => read(zstd::stream::read::Decoder::new(head).ok()?, limit),
            Self::Snappy => read(snap::read::FrameDecoder::new(head), limit),
            Self::Xz => None,
        }
    }
}

/// Reads until the end, the limit or the first fault: a sample ends in the middle of something.
fn read(mut from: impl Read, limit: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    while bytes.len() < limit {
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    bytes.truncate(limit);
    (!bytes.is_empty()).then_some(bytes)
}
