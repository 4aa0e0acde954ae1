//! Columns and constraints as CREATE TABLE and ALTER TABLE declare them.

use datafusion::sql::sqlparser::ast::{ColumnOption, DataType};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Own;
use crate::{Error, Result};

/// Longer types aren't looked at.
const TYPE_TOKENS_MAX: usize = 4096;

/// A column as DDL declares it.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDefinition {
    pub(crate) name: String,
    pub(crate) data_type: ColumnType,
    pub(crate) not_null: bool,
    pub(crate) comment: Option<String>,
    pub(crate) default: Option<String>,
    pub(crate) generated: Option<String>,
    pub(crate) identity: Option<IdentityDefinition>,
    pub(crate) constraints: Vec<TableConstraint>,
    /// Redshift's SORTKEY at the column.
    pub(crate) clustered: bool,
}

/// A column's type.
#[derive(Clone, Debug)]
pub(crate) enum ColumnType {
    Sql(DataType),
    /// In the catalog's words, as in `struct<a:int>`.
    Text(String),
}

/// `GENERATED … AS IDENTITY`
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdentityDefinition {
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) allow_explicit: bool,
}

/// A constraint of a column or of a table.
#[derive(Clone, Debug)]
pub(crate) struct TableConstraint {
    pub(crate) name: Option<String>,
    pub(crate) kind: ConstraintKind,
}

impl TableConstraint {
    /// The columns of a primary key; none of any other constraint.
    pub(crate) fn primary_key(&self) -> &[String] {
        match &self.kind {
            ConstraintKind::PrimaryKey(columns) => columns,
            _ => &[],
        }
    }
}

/// What a constraint says.
#[derive(Clone, Debug)]
pub(crate) enum ConstraintKind {
    Check(String),
    PrimaryKey(Vec<String>),
    Unique(Vec<String>),
    ForeignKey { columns: Vec<String>, table: Vec<String>, referred: Vec<String> },
}

impl Own<'_> {
    /// `name type [options]`
    pub(super) fn column_definition(&mut self) -> Result<ColumnDefinition> {
        let mut column = ColumnDefinition {
            name: self.name()?,
            data_type: self.column_type()?,
            not_null: false,
            comment: None,
            default: None,
            generated: None,
            identity: None,
            constraints: Vec::new(),
            clustered: false,
        };
        while self.column_option(&mut column)? {}
        Ok(column)
    }

    fn column_option(&mut self, column: &mut ColumnDefinition) -> Result<bool> {
        if self.takes(&["NOT", "NULL"]) {
            column.not_null = true;
        } else if self.takes(&["NULL"]) || self.takes(&["DISTKEY"]) {
            // As it is anyway.
        } else if self.takes(&["SORTKEY"]) {
            column.clustered = true;
        } else if self.takes(&["ENCODE"]) {
            self.name()?;
        } else if self.takes(&["COMMENT"]) {
            column.comment = Some(self.0.parse_literal_string()?);
        } else if self.takes(&["DEFAULT"]) {
            column.default = Some(self.default_expression()?);
        } else if self.takes(&["GENERATED"]) {
            self.generated(column)?;
        } else if self.takes(&["AS"]) {
            column.generated = Some(self.parenthesised()?);
            self.stored()?;
        } else if self.takes(&["IDENTITY"]) {
            column.identity = Some(self.identity()?);
        } else if self.takes(&["CONSTRAINT"]) {
            let name = self.name()?;
            if self.takes(&["NOT", "NULL"]) {
                column.not_null = true;
            } else {
                let kind = self.column_constraint(&column.name)?;
                let kind = kind.ok_or_else(|| self.expected("a constraint"))?;
                column.constraints.push(TableConstraint { name: Some(name), kind });
            }
        } else if let Some(kind) = self.column_constraint(&column.name)? {
            column.constraints.push(TableConstraint { name: None, kind });
        } else if self.takes(&["COLLATE"]) {
            return Err(Error::unsupported("COLLATE: texts are compared by their bytes"));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// A value without operators that could be the next option, as sqlparser reads it in a
    /// column.
    pub(super) fn default_expression(&mut self) -> Result<String> {
        self.0.prev_token();
        match self.0.parse_optional_column_option()? {
            Some(ColumnOption::Default(expression)) => Ok(expression.to_string()),
            _ => Err(self.expected("a value")),
        }
    }

    /// What comes after `GENERATED`.
    fn generated(&mut self, column: &mut ColumnDefinition) -> Result<()> {
        let allow_explicit = match self.takes(&["ALWAYS"]) {
            true => false,
            false => {
                self.expect("BY")?;
                self.expect("DEFAULT")?;
                true
            }
        };
        self.expect("AS")?;
        if self.takes(&["IDENTITY"]) {
            let identity = self.identity()?;
            column.identity = Some(IdentityDefinition { allow_explicit, ..identity });
        } else if allow_explicit {
            return Err(self.expected("IDENTITY"));
        } else {
            column.generated = Some(self.parenthesised()?);
            self.stored()?;
        }
        Ok(())
    }

    /// Generated values are always kept in files.
    fn stored(&mut self) -> Result<()> {
        self.takes(&["STORED"]);
        match self.takes(&["VIRTUAL"]) {
            true => Err(Error::unsupported("VIRTUAL generated columns")
                .with_hint("Leave out VIRTUAL: the values are stored. Or use a view.")),
            false => Ok(()),
        }
    }

    /// `[(start, step)]` or `[(START WITH start INCREMENT BY step)]`
    fn identity(&mut self) -> Result<IdentityDefinition> {
        let mut identity = IdentityDefinition { start: 1, step: 1, allow_explicit: false };
        if !self.0.consume_token(&Token::LParen) {
            return Ok(identity);
        }
        if matches!(self.0.peek_token().token, Token::Number(..) | Token::Minus) {
            identity.start = self.integer()?;
            self.0.expect_token(&Token::Comma)?;
            identity.step = self.integer()?;
        } else {
            loop {
                if self.takes(&["START"]) {
                    self.takes(&["WITH"]);
                    identity.start = self.integer()?;
                } else if self.takes(&["INCREMENT"]) {
                    self.takes(&["BY"]);
                    identity.step = self.integer()?;
                } else {
                    break;
                }
                let _ = self.0.consume_token(&Token::Comma);
            }
        }
        self.0.expect_token(&Token::RParen)?;
        if identity.step == 0 {
            return Err(Error::invalid("an identity column can't have the step 0"));
        }
        Ok(identity)
    }

    fn integer(&mut self) -> Result<i64> {
        let sign = if self.0.consume_token(&Token::Minus) { "-" } else { "" };
        if let Token::Number(digits, _) = self.0.peek_token().token
            && let Ok(number) = format!("{sign}{digits}").parse()
        {
            self.0.next_token();
            return Ok(number);
        }
        Err(self.expected("a whole number"))
    }

    fn column_constraint(&mut self, column: &str) -> Result<Option<ConstraintKind>> {
        let columns = vec![column.to_owned()];
        if self.takes(&["CHECK"]) {
            Ok(Some(ConstraintKind::Check(self.check()?)))
        } else if self.takes(&["PRIMARY", "KEY"]) {
            self.unenforced();
            Ok(Some(ConstraintKind::PrimaryKey(columns)))
        } else if self.takes(&["UNIQUE"]) {
            self.unenforced();
            Ok(Some(ConstraintKind::Unique(columns)))
        } else if self.takes(&["REFERENCES"]) {
            Ok(Some(self.references(columns)?))
        } else {
            Ok(None)
        }
    }

    /// `[CONSTRAINT name] CHECK (…)`, `PRIMARY KEY (…)`, …
    pub(super) fn table_constraint(&mut self) -> Result<Option<TableConstraint>> {
        let name = match self.takes(&["CONSTRAINT"]) {
            true => Some(self.name()?),
            false => None,
        };
        let kind = if self.takes(&["CHECK"]) {
            ConstraintKind::Check(self.check()?)
        } else if self.takes(&["PRIMARY", "KEY"]) {
            let columns = self.names()?;
            self.unenforced();
            ConstraintKind::PrimaryKey(columns)
        } else if self.takes(&["UNIQUE"]) {
            let columns = self.names()?;
            self.unenforced();
            ConstraintKind::Unique(columns)
        } else if self.takes(&["FOREIGN", "KEY"]) {
            let columns = self.names()?;
            self.expect("REFERENCES")?;
            self.references(columns)?
        } else if name.is_some() {
            return Err(self.expected("CHECK, PRIMARY KEY, UNIQUE or FOREIGN KEY"));
        } else {
            return Ok(None);
        };
        Ok(Some(TableConstraint { name, kind }))
    }

    fn check(&mut self) -> Result<String> {
        let sql = self.parenthesised()?;
        match self.takes(&["NOT", "ENFORCED"]) {
            true => Err(Error::unsupported("CHECK … NOT ENFORCED")
                .with_hint("Leave out NOT ENFORCED, or the constraint.")),
            false => {
                self.takes(&["ENFORCED"]);
                Ok(sql)
            }
        }
    }

    fn references(&mut self, columns: Vec<String>) -> Result<ConstraintKind> {
        let table = self.table()?;
        let referred = match self.0.peek_token().token {
            Token::LParen => self.names()?,
            _ => Vec::new(),
        };
        self.unenforced();
        Ok(ConstraintKind::ForeignKey { columns, table, referred })
    }

    fn unenforced(&mut self) {
        self.takes(&["NOT", "ENFORCED"]);
        self.takes(&["RELY"]);
        self.takes(&["NORELY"]);
    }

    /// One that the catalog writes (`struct<a:int>`), or one of SQL's.
    pub(super) fn column_type(&mut self) -> Result<ColumnType> {
        if let Some((text, tokens)) = self.text_type()
            && crate::types::arrow_type(&text).is_ok()
        {
            self.skip(tokens);
            return Ok(ColumnType::Text(text));
        }
        Ok(ColumnType::Sql(self.0.parse_data_type()?))
    }

    /// The text of a type that SQL has no words for, and how many tokens that is.
    fn text_type(&self) -> Option<(String, usize)> {
        let first = self.0.peek_token().token.to_string().to_ascii_uppercase();
        let opens = |n| matches!(self.0.peek_nth_token(n).token, Token::Lt);
        match first.as_str() {
            "BINARY" if !matches!(self.0.peek_nth_token(1).token, Token::LParen) => {
                return Some((first, 1));
            }
            "ARRAY" | "MAP" | "STRUCT" if opens(1) => {}
            _ => return None,
        }
        let (mut text, mut tokens, mut depth) = (String::new(), 0, 0_usize);
        for n in 0..TYPE_TOKENS_MAX {
            let token = self.0.peek_nth_token_no_skip(n).token;
            let part = token.to_string();
            if !matches!(token, Token::Whitespace(_)) {
                tokens += 1;
            }
            depth += part.matches('<').count();
            text.push_str(&part);
            if part.contains('>') {
                depth = depth.saturating_sub(part.matches('>').count());
                if depth == 0 {
                    return Some((text.trim().to_owned(), tokens));
                }
            }
        }
        None
    }
}
