//! Digests and checksums of text, written in hexadecimal as Redshift does.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use datafusion::common::cast::as_int64_array;
use datafusion::error::Result;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::scalar::{Kind, Scalar, map_text, texts};
use crate::Error;

pub(super) fn list() -> Vec<Scalar> {
    vec![
        Scalar::new("sha1", "sha1(text)", "SHA-1 in hexadecimal digits.", |columns| {
            map_text(one(columns)?, |text| Ok(Some(hex::<Sha1>(text))))
        })
        .takes(&[("text", Kind::Text)])
        .alias("sha")
        .alias("func_sha1"),
        Scalar::new(
            "sha2",
            "sha2(text, bits)",
            "SHA-2 in hexadecimal digits; bits is 224, 256, 384 or 512, and 0 is 256.",
            sha2,
        )
        .takes(&[("text", Kind::Text), ("bits", Kind::Integer)]),
        Scalar::new("crc32", "crc32(text)", "The CRC-32 checksum.", |columns| {
            let sums = one(columns)?
                .iter()
                .map(|text| text.map(|text| i64::from(crc32fast::hash(text.as_bytes()))));
            Ok(Arc::new(sums.collect::<Int64Array>()))
        })
        .takes(&[("text", Kind::Text)])
        .returns(|_| DataType::Int64),
    ]
}

fn one(columns: &[ArrayRef]) -> Result<&arrow::array::StringViewArray> {
    let texts = texts(columns)?;
    Ok(texts.first().copied().ok_or_else(|| Error::internal("no argument"))?)
}

fn hex<D: Digest>(text: &str) -> String {
    let digest = D::digest(text.as_bytes());
    let mut digits = String::with_capacity(digest.len() * 2);
    for byte in digest.iter() {
        for half in [byte >> 4, byte & 15] {
            digits.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
    }
    digits
}

fn sha2(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [text, bits] = columns else { return Err(Error::internal("no argument").into()) };
    let bits = as_int64_array(bits)?;
    let texts = texts(std::slice::from_ref(text))?;
    let digests = texts.into_iter().flatten().enumerate().map(|(row, text)| {
        match (text, bits.is_valid(row).then(|| bits.value(row))) {
            (Some(text), Some(bits)) => digest(text, bits).map(Some),
            _ => Ok(None),
        }
    });
    Ok(Arc::new(digests.collect::<Result<arrow::array::StringViewArray>>()?))
}

fn digest(text: &str, bits: i64) -> Result<String> {
    match bits {
        224 => Ok(hex::<Sha224>(text)),
        0 | 256 => Ok(hex::<Sha256>(text)),
        384 => Ok(hex::<Sha384>(text)),
        512 => Ok(hex::<Sha512>(text)),
        other => Err(Error::invalid(format!("sha2() has no digest of {other} bits"))
            .with_hint("It has 224, 256, 384 and 512.")
            .into()),
    }
}
