//! COPY and UNLOAD: their grammar. What an option means is decided where it's used.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::own::{Own, is_word};
use crate::{Error, Result};

/// `COPY [INTO] table [(column, …)] FROM 'location' [option …]`
#[derive(Clone, Debug)]
pub(crate) struct CopyStatement {
    pub(crate) table: Vec<String>,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) from: String,
    pub(crate) options: Vec<TransferOption>,
}

/// `UNLOAD ('query') TO 'location' [PARTITION BY (column, …) [INCLUDE]] [option …]`
#[derive(Clone, Debug)]
pub(crate) struct UnloadStatement {
    pub(crate) query: String,
    pub(crate) to: String,
    pub(crate) keys: Vec<String>,
    /// Whether the keys are in the files too.
    pub(crate) keys_included: bool,
    pub(crate) options: Vec<TransferOption>,
}

/// A word with its value, as `DELIMITER AS ','`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransferOption {
    /// In upper case.
    pub(crate) name: &'static str,
    pub(crate) value: Option<String>,
}

/// What comes after an option's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// `[AS] 'text'`
    Text,
    /// `[AS] ['text']`
    MaybeText,
    /// `[AS] 7`
    Number,
    /// `[AS] WORD`
    Word,
    /// `[ON | OFF | TRUE | FALSE | …]`
    MaybeWord(&'static [&'static str]),
    /// A secret or a place that isn't a statement's to say.
    Refused,
}

const SWITCH: &[&str] = &["ON", "OFF", "TRUE", "FALSE"];

const COPY_OPTIONS: [(&str, Takes); 47] = [
    ("FORMAT", Takes::Word),
    ("PARQUET", Takes::Nothing),
    ("CSV", Takes::Nothing),
    ("JSON", Takes::MaybeText),
    ("NDJSON", Takes::Nothing),
    ("ORC", Takes::Nothing),
    ("AVRO", Takes::MaybeText),
    ("FIXEDWIDTH", Takes::Text),
    ("SHAPEFILE", Takes::Nothing),
    ("DELIMITER", Takes::Text),
    ("IGNOREHEADER", Takes::Number),
    ("HEADER", Takes::Nothing),
    ("NULL", Takes::Text),
    ("QUOTE", Takes::Text),
    ("ESCAPE", Takes::MaybeText),
    ("REMOVEQUOTES", Takes::Nothing),
    ("DATEFORMAT", Takes::Text),
    ("TIMEFORMAT", Takes::Text),
    ("MAXERROR", Takes::Number),
    ("GZIP", Takes::Nothing),
    ("ZSTD", Takes::Nothing),
    ("BZIP2", Takes::Nothing),
    ("LZOP", Takes::Nothing),
    ("BLANKSASNULL", Takes::Nothing),
    ("EMPTYASNULL", Takes::Nothing),
    ("TRIMBLANKS", Takes::Nothing),
    ("FILLRECORD", Takes::Nothing),
    ("IGNOREBLANKLINES", Takes::Nothing),
    ("ACCEPTINVCHARS", Takes::MaybeText),
    ("ENCODING", Takes::Word),
    ("MANIFEST", Takes::Nothing),
    ("FORCE", Takes::Nothing),
    ("NOLOAD", Takes::Nothing),
    ("TRUNCATECOLUMNS", Takes::Nothing),
    ("ACCEPTANYDATE", Takes::Nothing),
    ("ROUNDEC", Takes::Nothing),
    ("EXPLICIT_IDS", Takes::Nothing),
    ("COMPUPDATE", Takes::MaybeWord(&["ON", "OFF", "TRUE", "FALSE", "PRESET"])),
    ("STATUPDATE", Takes::MaybeWord(SWITCH)),
    ("COMPROWS", Takes::Number),
    ("READRATIO", Takes::Number),
    ("SSH", Takes::Nothing),
    ("IAM_ROLE", Takes::Refused),
    ("CREDENTIALS", Takes::Refused),
    ("ACCESS_KEY_ID", Takes::Refused),
    ("SECRET_ACCESS_KEY", Takes::Refused),
    ("REGION", Takes::Refused),
];

const UNLOAD_OPTIONS: [(&str, Takes); 28] = [
    ("FORMAT", Takes::Word),
    ("PARQUET", Takes::Nothing),
    ("CSV", Takes::Nothing),
    ("JSON", Takes::Nothing),
    ("NDJSON", Takes::Nothing),
    ("HEADER", Takes::Nothing),
    ("DELIMITER", Takes::Text),
    ("FIXEDWIDTH", Takes::Text),
    ("NULL", Takes::Text),
    ("ESCAPE", Takes::Nothing),
    ("ADDQUOTES", Takes::Nothing),
    ("GZIP", Takes::Nothing),
    ("ZSTD", Takes::Nothing),
    ("BZIP2", Takes::Nothing),
    ("MANIFEST", Takes::MaybeWord(&["VERBOSE"])),
    ("ALLOWOVERWRITE", Takes::Nothing),
    ("CLEANPATH", Takes::Nothing),
    ("MAXFILESIZE", Takes::Number),
    ("ROWGROUPSIZE", Takes::Number),
    ("PARALLEL", Takes::MaybeWord(SWITCH)),
    ("EXTENSION", Takes::Text),
    ("ENCRYPTED", Takes::MaybeWord(&["AUTO"])),
    ("IAM_ROLE", Takes::Refused),
    ("CREDENTIALS", Takes::Refused),
    ("ACCESS_KEY_ID", Takes::Refused),
    ("SECRET_ACCESS_KEY", Takes::Refused),
    ("REGION", Takes::Refused),
    ("KMS_KEY_ID", Takes::Refused),
];

/// A file size's number is in units of 1 MiB, or of 1 GiB where GB follows.
const MIB_IN_GIB: u64 = 1024;

impl Own<'_> {
    /// `None` where the statement is DataFusion's `COPY … TO`.
    pub(super) fn copy(&mut self) -> Result<Option<CopyStatement>> {
        let into = self.takes(&["INTO"]);
        if !into && self.0.peek_token().token == Token::LParen {
            return Ok(None);
        }
        let table = self.table()?;
        let columns = match self.0.peek_token().token == Token::LParen {
            true => Some(self.names()?),
            false => None,
        };
        if !into && self.next_is("TO") {
            return Ok(None);
        }
        self.expect("FROM")?;
        let from = self.0.parse_literal_string()?;
        let mut options = Vec::new();
        while let Some(option) = self.transfer_option("COPY", &COPY_OPTIONS)? {
            options.push(option);
        }
        Ok(Some(CopyStatement { table, columns, from, options }))
    }

    pub(super) fn unload(&mut self) -> Result<UnloadStatement> {
        self.0.expect_token(&Token::LParen)?;
        let query = match self.0.next_token().token {
            Token::DollarQuotedString(text) => text.value,
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text,
            _ => {
                self.0.prev_token();
                return Err(self
                    .expected("the query as a string")
                    .with_hint("Write UNLOAD ('SELECT …') or UNLOAD ($$SELECT …$$)."));
            }
        };
        self.0.expect_token(&Token::RParen)?;
        self.expect("TO")?;
        let to = self.0.parse_literal_string()?;
        let mut unload =
            UnloadStatement { query, to, keys: vec![], keys_included: false, options: vec![] };
        loop {
            if unload.keys.is_empty() && self.takes(&["PARTITION", "BY"]) {
                unload.keys = self.names()?;
                unload.keys_included = self.takes(&["INCLUDE"]);
            } else if let Some(option) = self.transfer_option("UNLOAD", &UNLOAD_OPTIONS)? {
                unload.options.push(option);
            } else {
                return Ok(unload);
            }
        }
    }

    fn next_is(&self, word: &str) -> bool {
        is_word(&self.0.peek_token().token, word)
    }

    fn transfer_option(
        &mut self,
        statement: &str,
        known: &[(&'static str, Takes)],
    ) -> Result<Option<TransferOption>> {
        self.takes(&["WITH"]);
        let Token::Word(word) = self.0.peek_token().token else { return Ok(None) };
        let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word.value));
        let Some((name, takes)) = found.filter(|_| word.quote_style.is_none()) else {
            return Err(unknown(statement, &word.value, known));
        };
        if *takes == Takes::Refused {
            return Err(refused(statement, name));
        }
        self.0.next_token();
        self.takes(&["AS"]);
        let value = self.value_of(name, *takes)?;
        Ok(Some(TransferOption { name, value }))
    }

    fn value_of(&mut self, name: &str, takes: Takes) -> Result<Option<String>> {
        let is_text = matches!(self.0.peek_token().token, Token::SingleQuotedString(_));
        match takes {
            Takes::Nothing | Takes::Refused => Ok(None),
            Takes::Text => Ok(Some(self.0.parse_literal_string()?)),
            Takes::MaybeText => Ok(is_text.then(|| self.0.parse_literal_string()).transpose()?),
            Takes::Word => Ok(Some(self.name()?.to_uppercase())),
            Takes::MaybeWord(words) => {
                let found = words.iter().find(|word| self.next_is(word));
                if found.is_some() {
                    self.0.next_token();
                }
                Ok(found.map(|word| (*word).to_owned()))
            }
            Takes::Number if name == "MAXFILESIZE" => Ok(Some(self.file_size()?)),
            Takes::Number => Ok(Some(self.number()?.to_string())),
        }
    }

    fn number(&mut self) -> Result<u64> {
        match self.0.next_token().token {
            Token::Number(digits, _) if digits.parse::<u64>().is_ok() => {
                Ok(digits.parse().unwrap_or_default())
            }
            _ => {
                self.0.prev_token();
                Err(self.expected("a whole number"))
            }
        }
    }

    /// In MiB.
    fn file_size(&mut self) -> Result<String> {
        let number = self.number()?;
        if self.takes(&["GB"]) {
            return Ok(number.saturating_mul(MIB_IN_GIB).to_string());
        }
        self.takes(&["MB"]);
        Ok(number.to_string())
    }
}

fn unknown(statement: &str, word: &str, known: &[(&'static str, Takes)]) -> Error {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let hint = crate::names::did_you_mean(&word.to_uppercase(), &names);
    Error::new(crate::ErrorKind::Syntax, format!("\"{word}\" is no option of {statement}"))
        .with_word(word)
        .with_hint(hint.unwrap_or_else(|| "docs/sql/copy.md lists the options.".into()))
}

/// The message has no more of the statement than the option's name: what follows may be a secret.
fn refused(statement: &str, name: &str) -> Error {
    Error::unsupported(format!("{name} in {statement}")).with_hint(
        "A statement holds no credentials: set s3.access_key_id, s3.secret_access_key and \
         s3.region in boathouse.toml, or the AWS_* environment variables.",
    )
}

#[cfg(test)]
mod tests {
    use crate::parse::{Parsed, parse};

    use super::*;

    fn copy(sql: &str) -> CopyStatement {
        match parse(sql).unwrap() {
            Parsed::Copy(copy) => copy,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn both_spellings_of_copy_are_one_statement() {
        let own = copy("COPY INTO t (a, B) FROM 's3://b/p' FORMAT CSV DELIMITER ';' MAXERROR 3");
        let theirs =
            copy("copy t (A, b) from 's3://b/p' format as csv delimiter as ';' maxerror as 3;");
        assert_eq!(own.columns, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(own.columns, theirs.columns);
        assert_eq!(own.options, theirs.options);
        assert_eq!(own.options[1].value.as_deref(), Some(";"));
    }

    #[test]
    fn copy_to_is_not_ours() {
        for sql in ["COPY (SELECT 1 AS x) TO 'x.parquet'", "COPY t TO 'x.parquet'"] {
            assert!(matches!(parse(sql).unwrap(), Parsed::Sql(_)), "{sql}");
        }
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        let sql = "COPY t FROM 's3://b/p' CREDENTIALS 'aws_secret_access_key=hidden'";
        let report = parse(sql).unwrap_err().report();
        assert!(report.contains("boathouse.toml") && !report.contains("hidden"), "{report}");
    }

    #[test]
    fn the_query_of_unload_may_be_quoted_in_two_ways() {
        for sql in [
            "UNLOAD ('SELECT ''x'' AS a') TO 'p/' PARTITION BY (k) INCLUDE PARALLEL OFF",
            "UNLOAD ($$SELECT 'x' AS a$$) TO 'p/' PARALLEL OFF PARTITION BY (k) INCLUDE",
        ] {
            let Parsed::Unload(unload) = parse(sql).unwrap() else { unreachable!("{sql}") };
            assert_eq!(unload.query, "SELECT 'x' AS a");
            assert!(unload.keys == ["k"] && unload.keys_included);
            assert_eq!(unload.options[0].value.as_deref(), Some("OFF"));
        }
    }

    #[test]
    fn an_unknown_option_has_candidates() {
        let report = parse("COPY t FROM 'x' DELIMETER ';'").unwrap_err().report();
        assert!(report.contains("DELIMITER"), "{report}");
    }
}
