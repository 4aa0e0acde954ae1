//! Statements about a table's past and its files.

use datafusion::sql::sqlparser::ast::DataType;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Own;
use crate::parse::versions::expression;
use crate::parse::{AsOf, fold};
use crate::{Error, Result};

/// A statement about a table's past or its files.
#[derive(Clone, Debug)]
pub(crate) enum Maintenance {
    /// `DESCRIBE HISTORY table [LIMIT n]`
    History { table: Vec<String>, limit: Option<u64> },
    /// `DESCRIBE DETAIL table`
    Detail { table: Vec<String> },
    /// `RESTORE [TABLE] table TO [VERSION | TIMESTAMP] AS OF …`
    Restore { table: Vec<String>, to: AsOf },
    /// `OPTIMIZE table [WHERE predicate] [ZORDER BY (column, …)]`
    Optimize { table: Vec<String>, predicate: Option<String>, order: Vec<String> },
    /// `VACUUM table [RETAIN n HOURS] [DRY RUN]`
    Vacuum { table: Vec<String>, retain_hours: Option<f64>, dry_run: bool },
    /// `ANALYZE TABLE table [COMPUTE STATISTICS] [FOR ALL COLUMNS | FOR COLUMNS (column, …)]`
    Analyze { table: Vec<String>, columns: Vec<String> },
    /// `CONVERT TO DELTA table | parquet.'location' [PARTITIONED BY (key type, …)]`
    Convert { what: Converted, keys: Vec<(String, Option<String>)> },
}

/// What becomes a Delta table.
#[derive(Clone, Debug)]
pub(crate) enum Converted {
    Table(Vec<String>),
    Location(String),
}

/// The statement that begins with these words, if it's one of these.
pub(super) fn statement(words: &[&str], own: &mut Own<'_>) -> Result<Option<Maintenance>> {
    Ok(Some(match words {
        ["DESCRIBE" | "DESC", "HISTORY", table, ..] if *table != ";" => {
            let table = own.skip(2).table()?;
            let limit = own.takes(&["LIMIT"]).then(|| own.0.parse_literal_uint()).transpose()?;
            Maintenance::History { table, limit }
        }
        ["DESCRIBE" | "DESC", "DETAIL", table, ..] if *table != ";" => {
            Maintenance::Detail { table: own.skip(2).table()? }
        }
        ["RESTORE", ..] => own.skip(1).restore()?,
        ["OPTIMIZE", ..] => own.skip(1).optimize()?,
        ["VACUUM", ..] => own.skip(1).vacuum()?,
        ["ANALYZE", "TABLE", ..] => own.skip(2).analyze()?,
        ["CONVERT", "TO", ..] => own.skip(2).convert()?,
        _ => return Ok(None),
    }))
}

impl Own<'_> {
    fn restore(&mut self) -> Result<Maintenance> {
        self.takes(&["TABLE"]);
        let table = self.table()?;
        self.expect("TO")?;
        let is_time = self.takes(&["TIMESTAMP"]);
        if !is_time {
            self.expect("VERSION")?;
        }
        self.expect("AS")?;
        self.expect("OF")?;
        let text = expression(&mut self.0)?;
        let to = if is_time { AsOf::Timestamp(text) } else { AsOf::Version(text) };
        Ok(Maintenance::Restore { table, to })
    }

    fn optimize(&mut self) -> Result<Maintenance> {
        self.takes(&["TABLE"]);
        let table = self.table()?;
        let predicate = self.takes(&["WHERE"]).then(|| expression(&mut self.0)).transpose()?;
        let order = match self.takes(&["ZORDER", "BY"]) {
            true => self.column_list()?,
            false => Vec::new(),
        };
        Ok(Maintenance::Optimize { table, predicate, order })
    }

    fn vacuum(&mut self) -> Result<Maintenance> {
        self.takes(&["TABLE"]);
        let table = self.table()?;
        let mut retain_hours = None;
        if self.takes(&["RETAIN"]) {
            retain_hours = Some(self.hours()?);
        }
        let dry_run = self.takes(&["DRY", "RUN"]);
        Ok(Maintenance::Vacuum { table, retain_hours, dry_run })
    }

    fn hours(&mut self) -> Result<f64> {
        let hours = match self.0.next_token().token {
            Token::Number(digits, _) => digits.parse().ok(),
            _ => None,
        };
        let Some(hours) = hours else {
            self.0.prev_token();
            return Err(self.expected("a number of hours"));
        };
        match self.takes(&["HOURS"]) || self.takes(&["HOUR"]) {
            true => Ok(hours),
            false => Err(self.expected("HOURS")),
        }
    }

    fn analyze(&mut self) -> Result<Maintenance> {
        let table = self.table()?;
        self.takes(&["COMPUTE", "STATISTICS"]);
        let columns = if self.takes(&["FOR", "ALL", "COLUMNS"]) || !self.takes(&["FOR", "COLUMNS"])
        {
            Vec::new()
        } else {
            self.column_list()?
        };
        Ok(Maintenance::Analyze { table, columns })
    }

    fn convert(&mut self) -> Result<Maintenance> {
        self.expect("DELTA")?;
        let what = match self.takes(&["PARQUET"]) {
            true => Converted::Location(self.location()?),
            false => Converted::Table(self.table()?),
        };
        let mut keys = Vec::new();
        if self.takes(&["PARTITIONED", "BY"]) {
            self.0.expect_token(&Token::LParen)?;
            loop {
                keys.push(self.key()?);
                if !self.0.consume_token(&Token::Comma) {
                    break;
                }
            }
            self.0.expect_token(&Token::RParen)?;
        }
        Ok(Maintenance::Convert { what, keys })
    }

    /// The rest of `parquet.'location'`; without a dot it is a table called parquet.
    fn location(&mut self) -> Result<String> {
        self.0.expect_token(&Token::Period)?;
        match self.0.peek_token().token {
            Token::SingleQuotedString(_) => Ok(self.0.parse_literal_string()?),
            _ => Ok(self.0.parse_identifier()?.value),
        }
    }

    fn key(&mut self) -> Result<(String, Option<String>)> {
        let name = self.name()?;
        let has_type = !matches!(self.0.peek_token().token, Token::Comma | Token::RParen);
        let data_type: Option<DataType> = has_type.then(|| self.0.parse_data_type()).transpose()?;
        Ok((name, data_type.map(|data_type| data_type.to_string())))
    }

    /// `(column, …)`, or the same without the parentheses.
    fn column_list(&mut self) -> Result<Vec<String>> {
        let enclosed = self.0.consume_token(&Token::LParen);
        let names = self.0.parse_comma_separated(|parser| parser.parse_identifier());
        let names: Vec<String> = names.map_err(Error::from)?.iter().map(fold).collect();
        if enclosed {
            self.0.expect_token(&Token::RParen)?;
        }
        Ok(names)
    }
}
