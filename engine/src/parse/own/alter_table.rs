//! ALTER TABLE and COMMENT ON.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::column::{ColumnDefinition, ColumnType, TableConstraint};
use super::{Own, Parsed};
use crate::hidden::Hidden;
use crate::parse::name_parts;
use crate::{Error, Result};

/// `ALTER TABLE name change, …`: all of it, or nothing.
#[derive(Clone, Debug)]
pub(crate) struct AlterTable {
    pub(crate) table: Vec<String>,
    pub(crate) if_exists: bool,
    pub(crate) changes: Vec<TableChange>,
}

/// One change of a table.
#[derive(Clone, Debug)]
pub(crate) enum TableChange {
    AddColumns {
        if_not_exists: bool,
        columns: Vec<ColumnDefinition>,
    },
    DropColumns {
        if_exists: bool,
        names: Vec<String>,
    },
    RenameColumn {
        from: String,
        to: String,
    },
    Column {
        name: String,
        change: ColumnChange,
    },
    SetProperties(BTreeMap<String, String>),
    UnsetProperties {
        if_exists: bool,
        keys: Vec<String>,
    },
    RenameTo(Vec<String>),
    AddConstraint(TableConstraint),
    DropConstraint {
        if_exists: bool,
        name: String,
    },
    ClusterBy(Vec<String>),
    Comment(Option<String>),
    /// What only has a meaning in Redshift.
    Nothing,
}

/// One change of a column.
#[derive(Clone, Debug)]
pub(crate) enum ColumnChange {
    Type(ColumnType),
    SetNotNull,
    DropNotNull,
    SetDefault(String),
    DropDefault,
    Comment(Option<String>),
}

impl Own<'_> {
    /// What comes after `ALTER TABLE`.
    pub(super) fn alter_table(&mut self) -> Result<Parsed> {
        let if_exists = self.takes(&["IF", "EXISTS"]);
        self.takes(&["ONLY"]);
        let table = self.table()?;
        let mut changes = vec![self.change()?];
        while self.0.consume_token(&Token::Comma) {
            changes.push(self.change()?);
        }
        Ok(Parsed::AlterTable(Hidden::new(AlterTable { table, if_exists, changes })))
    }

    fn change(&mut self) -> Result<TableChange> {
        if self.takes(&["ADD"]) {
            self.addition()
        } else if self.takes(&["DROP"]) {
            self.removal()
        } else if self.takes(&["RENAME", "TO"]) {
            Ok(TableChange::RenameTo(self.table()?))
        } else if self.takes(&["RENAME"]) {
            self.takes(&["COLUMN"]);
            let from = self.name()?;
            self.expect("TO")?;
            Ok(TableChange::RenameColumn { from, to: self.name()? })
        } else if self.takes(&["ALTER"]) || self.takes(&["CHANGE"]) {
            self.column_change()
        } else if self.takes(&["SET"]) {
            self.takes(&["TBLPROPERTIES"]);
            Ok(TableChange::SetProperties(self.properties()?))
        } else if self.takes(&["UNSET", "TBLPROPERTIES"]) {
            self.unset()
        } else if self.takes(&["CLUSTER", "BY"]) {
            self.clustering()
        } else if self.takes(&["COMMENT"]) {
            let _ = self.0.consume_token(&Token::Eq);
            Ok(TableChange::Comment(self.optional_text()?))
        } else {
            Err(self.expected(
                "ADD, DROP, RENAME, ALTER, SET TBLPROPERTIES, UNSET TBLPROPERTIES, CLUSTER BY or \
                 COMMENT",
            ))
        }
    }

    fn addition(&mut self) -> Result<TableChange> {
        if let Some(constraint) = self.table_constraint()? {
            return Ok(TableChange::AddConstraint(constraint));
        }
        let _ = self.takes(&["COLUMNS"]) || self.takes(&["COLUMN"]);
        let if_not_exists = self.takes(&["IF", "NOT", "EXISTS"]);
        if !self.0.consume_token(&Token::LParen) {
            let columns = vec![self.column_definition()?];
            self.no_position()?;
            return Ok(TableChange::AddColumns { if_not_exists, columns });
        }
        let mut columns = vec![self.column_definition()?];
        while self.0.consume_token(&Token::Comma) {
            columns.push(self.column_definition()?);
        }
        self.0.expect_token(&Token::RParen)?;
        Ok(TableChange::AddColumns { if_not_exists, columns })
    }

    fn no_position(&mut self) -> Result<()> {
        if self.takes(&["FIRST"]) || self.takes(&["AFTER"]) {
            return Err(Error::unsupported("FIRST and AFTER: columns are added at the end")
                .with_hint("Name the columns in the order that a query needs."));
        }
        Ok(())
    }

    fn removal(&mut self) -> Result<TableChange> {
        if self.takes(&["CONSTRAINT"]) {
            let if_exists = self.takes(&["IF", "EXISTS"]);
            let name = self.name()?;
            self.takes(&["CASCADE"]);
            self.takes(&["RESTRICT"]);
            return Ok(TableChange::DropConstraint { if_exists, name });
        }
        let several = self.takes(&["COLUMNS"]);
        self.takes(&["COLUMN"]);
        let if_exists = self.takes(&["IF", "EXISTS"]);
        let listed = several && matches!(self.0.peek_token().token, Token::LParen);
        let names = if listed { self.names()? } else { vec![self.name()?] };
        self.takes(&["CASCADE"]);
        self.takes(&["RESTRICT"]);
        Ok(TableChange::DropColumns { if_exists, names })
    }

    fn column_change(&mut self) -> Result<TableChange> {
        if self.takes(&["SORTKEY"]) || self.takes(&["COMPOUND", "SORTKEY"]) {
            return match self.takes(&["NONE"]) || self.takes(&["AUTO"]) {
                true => Ok(TableChange::ClusterBy(Vec::new())),
                false => Ok(TableChange::ClusterBy(self.names()?)),
            };
        }
        if self.takes(&["DISTSTYLE"]) || self.takes(&["DISTKEY"]) || self.takes(&["ENCODE"]) {
            self.name()?;
            return Ok(TableChange::Nothing);
        }
        self.takes(&["COLUMN"]);
        let name = self.name()?;
        if self.takes(&["ENCODE"]) {
            self.name()?;
            return Ok(TableChange::Nothing);
        }
        let change = self.one_column_change()?;
        Ok(TableChange::Column { name, change })
    }

    fn one_column_change(&mut self) -> Result<ColumnChange> {
        if self.takes(&["SET", "NOT", "NULL"]) {
            Ok(ColumnChange::SetNotNull)
        } else if self.takes(&["DROP", "NOT", "NULL"]) {
            Ok(ColumnChange::DropNotNull)
        } else if self.takes(&["SET", "DEFAULT"]) {
            Ok(ColumnChange::SetDefault(self.default_expression()?))
        } else if self.takes(&["DROP", "DEFAULT"]) {
            Ok(ColumnChange::DropDefault)
        } else if self.takes(&["COMMENT"]) {
            Ok(ColumnChange::Comment(self.optional_text()?))
        } else if self.takes(&["TYPE"]) || self.takes(&["SET", "DATA", "TYPE"]) {
            let change = ColumnChange::Type(self.column_type()?);
            match self.takes(&["USING"]) {
                true => Err(Error::unsupported("ALTER COLUMN … TYPE … USING")
                    .with_hint("Make a new table: CREATE TABLE … AS SELECT expression AS name.")),
                false => Ok(change),
            }
        } else {
            Err(self.expected("TYPE, SET or DROP NOT NULL, SET or DROP DEFAULT, or COMMENT"))
        }
    }

    fn unset(&mut self) -> Result<TableChange> {
        let if_exists = self.takes(&["IF", "EXISTS"]);
        self.0.expect_token(&Token::LParen)?;
        let mut keys = vec![self.property_key()?];
        while self.0.consume_token(&Token::Comma) {
            keys.push(self.property_key()?);
        }
        self.0.expect_token(&Token::RParen)?;
        Ok(TableChange::UnsetProperties { if_exists, keys })
    }

    fn clustering(&mut self) -> Result<TableChange> {
        match self.takes(&["NONE"]) {
            true => Ok(TableChange::ClusterBy(Vec::new())),
            false => Ok(TableChange::ClusterBy(self.names()?)),
        }
    }

    /// What comes after `COMMENT ON`, as a change of a table.
    pub(super) fn comment_on(&mut self) -> Result<Parsed> {
        let is_column = self.takes(&["COLUMN"]);
        if !is_column && !self.takes(&["TABLE"]) {
            return Err(Error::unsupported("COMMENT ON anything but a table or a column"));
        }
        let mut table = name_parts(&self.0.parse_object_name(false)?);
        self.expect("IS")?;
        let comment = self.optional_text()?;
        let change = match is_column {
            false => TableChange::Comment(comment),
            true => {
                let name = table.pop().unwrap_or_default();
                if table.is_empty() {
                    return Err(Error::invalid(format!("\"{name}\" names no column of a table"))
                        .with_hint("Write COMMENT ON COLUMN table.column IS 'text'."));
                }
                TableChange::Column { name, change: ColumnChange::Comment(comment) }
            }
        };
        let alter = AlterTable { table, if_exists: false, changes: vec![change] };
        Ok(Parsed::AlterTable(Hidden::new(alter)))
    }

    /// A text, or NULL for none.
    fn optional_text(&mut self) -> Result<Option<String>> {
        match self.takes(&["NULL"]) {
            true => Ok(None),
            false => Ok(Some(self.0.parse_literal_string()?)),
        }
    }
}
