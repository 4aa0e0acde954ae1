//! The types in the footer of an ORC file.
//!
//! The footer is a protobuf message, read here as far as the types need it.

use std::io::Read;

use super::schema::{Shape, column};
use super::types::HiveType;
use crate::{Column, Format};

/// A footer that is longer isn't read.
const FOOTER_MAX: usize = 8 << 20;
const TYPES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 32;
/// How much of a file's end holds nearly every footer.
pub(super) const TAIL: u64 = 256 << 10;

/// The shape of an ORC file from its end.
pub(super) fn recognise(tail: &[u8]) -> Shape {
    let mut shape = Shape::new(Format::Orc, Vec::new());
    match columns(tail) {
        Some(columns) => shape = Shape::new(Format::Orc, columns),
        None => shape.remark = Some("the ORC footer could not be read".into()),
    }
    shape
}

#[derive(Default)]
struct Type {
    kind: u64,
    children: Vec<u64>,
    names: Vec<String>,
    precision: u64,
    scale: u64,
}

fn columns(tail: &[u8]) -> Option<Vec<Column>> {
    let (length, rest) = tail.split_last()?;
    let (rest, postscript) =
        rest.split_at_checked(rest.len().checked_sub(usize::from(*length))?)?;
    let (mut footer_length, mut compression) = (0, 0);
    for field in Fields(postscript) {
        match field? {
            (1, Value::Number(number)) => footer_length = number,
            (2, Value::Number(number)) => compression = number,
            _ => {}
        }
    }
    let start = rest.len().checked_sub(usize::try_from(footer_length).ok()?)?;
    let footer = decompressed(&rest[start..], compression)?;
    let mut types = Vec::new();
    for field in Fields(&footer) {
        if let (4, Value::Bytes(bytes)) = field? {
            types.push(read_type(bytes)?);
        }
        if types.len() > TYPES_MAX {
            return None;
        }
    }
    let root = types.first().filter(|root| root.kind == 12)?;
    let fields = root.names.iter().zip(&root.children);
    let columns = fields.map(|(name, child)| Some(column(name, hive_type(&types, *child, 0)?)));
    columns.collect()
}

fn read_type(bytes: &[u8]) -> Option<Type> {
    let mut found = Type::default();
    for field in Fields(bytes) {
        match field? {
            (1, Value::Number(number)) => found.kind = number,
            (2, Value::Number(number)) => found.children.push(number),
            (2, Value::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    found.children.push(varint(&mut packed)?);
                }
            }
            (3, Value::Bytes(name)) => found.names.push(String::from_utf8(name.to_vec()).ok()?),
            (5, Value::Number(number)) => found.precision = number,
            (6, Value::Number(number)) => found.scale = number,
            _ => {}
        }
    }
    Some(found)
}

fn hive_type(types: &[Type], id: u64, depth: usize) -> Option<HiveType> {
    if depth > DEPTH_MAX {
        return None;
    }
    let found = types.get(usize::try_from(id).ok()?)?;
    let child =
        |index: usize| hive_type(types, *found.children.get(index)?, depth + 1).map(Box::new);
    let name = match found.kind {
        0 => "boolean",
        1 => "tinyint",
        2 => "smallint",
        3 => "int",
        4 => "bigint",
        5 => "float",
        6 => "double",
        7 | 16 | 17 => "string",
        8 => "binary",
        9 => "timestamp(9)",
        18 => "timestamp(9) with time zone",
        15 => "date",
        10 => return Some(HiveType::Array(child(0)?)),
        11 => return Some(HiveType::Map(child(0)?, child(1)?)),
        12 => {
            let fields = found.names.iter().zip(&found.children);
            let fields =
                fields.map(|(name, id)| Some((name.clone(), hive_type(types, *id, depth + 1)?)));
            return Some(HiveType::Struct(fields.collect::<Option<_>>()?));
        }
        14 => {
            let precision = if found.precision == 0 { 38 } else { found.precision };
            return Some(HiveType::plain(format!("decimal({precision},{})", found.scale)));
        }
        _ => return None,
    };
    Some(HiveType::plain(name))
}

/// The footer out of its chunks, each with three bytes that say its length and whether it is
/// compressed.
fn decompressed(footer: &[u8], compression: u64) -> Option<Vec<u8>> {
    if compression == 0 {
        return Some(footer.to_vec());
    }
    let mut rest = footer;
    let mut whole = Vec::new();
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(3)?;
        let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let (chunk, after) = after.split_at_checked((header >> 1) as usize)?;
        rest = after;
        match header & 1 {
            1 => whole.extend_from_slice(chunk),
            _ => whole.extend(chunk_of(chunk, compression, FOOTER_MAX.checked_sub(whole.len())?)?),
        }
        if whole.len() > FOOTER_MAX {
            return None;
        }
    }
    Some(whole)
}

fn chunk_of(chunk: &[u8], compression: u64, limit: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match compression {
        1 => flate2::read::DeflateDecoder::new(chunk).take(limit as u64).read_to_end(&mut bytes),
        2 => {
            let length = snap::raw::decompress_len(chunk).ok()?;
            if length > limit {
                return None;
            }
            return snap::raw::Decoder::new().decompress_vec(chunk).ok();
        }
        5 => {
            let decoder = zstd::stream::read::Decoder::new(chunk).ok()?;
            decoder.take(limit as u64).read_to_end(&mut bytes)
        }
        _ => return None,
    };
    read.ok().map(|_| bytes)
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a protobuf message; `None` where it is broken, and then no more.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = varint(&mut self.0)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut self.0)?),
            1 => Value::Bytes(self.take(8)?),
            2 => {
                let length = varint(&mut self.0)?;
                Value::Bytes(self.take(usize::try_from(length).ok()?)?)
            }
            5 => Value::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2, bytes.len() as u8];
        field.extend_from_slice(bytes);
        field
    }

    fn file(compress: bool) -> Vec<u8> {
        // struct<id:bigint,tags:array<string>>
        let mut root = vec![0x08, 12, 0x12, 2, 1, 2];
        root.extend(bytes_field(3, b"id"));
        root.extend(bytes_field(3, b"tags"));
        let types = [root, vec![0x08, 4], vec![0x08, 10, 0x12, 1, 3], vec![0x08, 7]];
        let footer: Vec<u8> = types.iter().flat_map(|kind| bytes_field(4, kind)).collect();
        let footer = match compress {
            false => footer,
            true => {
                let mut chunk = Vec::new();
                let mode = flate2::Compression::fast();
                flate2::read::DeflateEncoder::new(&footer[..], mode)
                    .read_to_end(&mut chunk)
                    .unwrap();
                let header = (chunk.len() as u32) << 1;
                [&header.to_le_bytes()[..3], &chunk[..]].concat()
            }
        };
        let postscript = [0x08, footer.len() as u8, 0x10, u8::from(compress)];
        let mut file = b"ORC".to_vec();
        file.extend(footer);
        file.extend(postscript);
        file.push(postscript.len() as u8);
        file
    }

    #[test]
    fn the_types_are_read_from_the_footer() {
        for compress in [false, true] {
            let shape = recognise(&file(compress));
            let columns: Vec<String> =
                shape.columns.iter().map(|c| format!("{}:{}", c.name, c.data_type)).collect();
            assert_eq!(columns, ["id:bigint", "tags:array<string>"]);
        }
    }

    #[test]
    fn a_broken_footer_is_no_schema() {
        let whole = file(true);
        for length in 0..whole.len() {
            recognise(&whole[..length]);
            recognise(&whole[length..]);
        }
        assert!(recognise(b"ORC").columns.is_empty());
    }
}
