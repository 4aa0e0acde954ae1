//! CREATE TABLE: columns with their rules, constraints, and clauses in any order, those of Spark
//! and of Redshift.

use std::collections::BTreeMap;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Statement as Sql, Value};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::column::{ColumnDefinition, TableConstraint};
use super::{Own, Parsed};
use crate::hidden::Hidden;
use crate::parse::fold;
use crate::{Error, ErrorKind, Result};

/// `CREATE TABLE`
#[derive(Clone, Debug, Default)]
pub(crate) struct CreateTable {
    pub(crate) name: Vec<String>,
    pub(crate) or_replace: bool,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<ColumnDefinition>,
    pub(crate) constraints: Vec<TableConstraint>,
    /// The table whose definition is taken over.
    pub(crate) like: Option<Vec<String>>,
    pub(crate) keys: Vec<String>,
    pub(crate) clustering: Vec<String>,
    pub(crate) comment: Option<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) query: Option<Statement>,
}

impl Own<'_> {
    /// What comes after `CREATE [OR REPLACE] TABLE`.
    pub(super) fn create_table(&mut self, or_replace: bool) -> Result<Parsed> {
        let if_not_exists = self.takes(&["IF", "NOT", "EXISTS"]);
        let name = self.table()?;
        let mut create = CreateTable { name, or_replace, if_not_exists, ..CreateTable::default() };
        if self.takes(&["LIKE"]) {
            create.like = Some(self.table()?);
        } else if self.takes(&["CLONE"]) {
            return Err(Error::unsupported("CREATE TABLE … CLONE")
                .with_hint("Use CREATE TABLE name AS SELECT * FROM table."));
        } else if self.0.consume_token(&Token::LParen) {
            self.elements(&mut create)?;
        }
        while self.clause(&mut create)? {}
        Ok(Parsed::CreateTable(Hidden::new(create)))
    }

    /// Columns and constraints, up to the closing parenthesis.
    fn elements(&mut self, create: &mut CreateTable) -> Result<()> {
        if self.0.consume_token(&Token::RParen) {
            return Ok(());
        }
        loop {
            if self.takes(&["LIKE"]) {
                create.like = Some(self.table()?);
                while self.takes(&["INCLUDING", "DEFAULTS"]) || self.takes(&["INCLUDING", "ALL"]) {}
            } else if let Some(constraint) = self.table_constraint()? {
                create.constraints.push(constraint);
            } else {
                create.columns.push(self.column_definition()?);
            }
            if !self.0.consume_token(&Token::Comma) {
                break;
            }
        }
        Ok(self.0.expect_token(&Token::RParen).map(|_| ())?)
    }

    /// `(expression)`, as SQL.
    pub(super) fn parenthesised(&mut self) -> Result<String> {
        self.0.expect_token(&Token::LParen)?;
        let expression = self.0.parse_expr()?;
        self.0.expect_token(&Token::RParen)?;
        Ok(expression.to_string())
    }

    /// `(name, …)`
    pub(in crate::parse) fn names(&mut self) -> Result<Vec<String>> {
        self.0.expect_token(&Token::LParen)?;
        let names = self.0.parse_comma_separated(|parser| parser.parse_identifier())?;
        self.0.expect_token(&Token::RParen)?;
        Ok(names.iter().map(fold).collect())
    }

    /// One more clause after the columns, if there is one.
    fn clause(&mut self, create: &mut CreateTable) -> Result<bool> {
        if self.takes(&["PARTITIONED", "BY"]) || self.takes(&["PARTITION", "BY"]) {
            self.partition_keys(create)?;
        } else if self.takes(&["CLUSTER", "BY"]) {
            create.clustering = match self.takes(&["NONE"]) || self.takes(&["AUTO"]) {
                true => Vec::new(),
                false => self.names()?,
            };
        } else if self.takes(&["SORTKEY"])
            || self.takes(&["COMPOUND", "SORTKEY"])
            || self.takes(&["INTERLEAVED", "SORTKEY"])
        {
            if !self.takes(&["AUTO"]) {
                create.clustering = self.names()?;
            }
        } else if self.takes(&["COMMENT"]) {
            let _ = self.0.consume_token(&Token::Eq);
            create.comment = Some(self.0.parse_literal_string()?);
        } else if self.takes(&["TBLPROPERTIES"])
            || self.takes(&["WITH"])
            || self.takes(&["OPTIONS"])
        {
            create.properties.extend(self.properties()?);
        } else if self.takes(&["USING"]) || self.takes(&["STORED", "AS"]) {
            self.only_delta()?;
        } else if self.takes(&["LOCATION"]) {
            return Err(Error::unsupported("LOCATION for a table in the lake")
                .with_hint("Leave it out, or use CREATE EXTERNAL TABLE … STORED AS … LOCATION."));
        } else if self.takes(&["ORDER", "BY"]) {
            return Err(Error::unsupported("ORDER BY in CREATE TABLE")
                .with_hint("Use CLUSTER BY (column, …)."));
        } else if self.distribution()? {
            // Nothing to keep.
        } else if self.takes(&["AS"]) || self.query_comes() {
            let query = Sql::Query(self.0.parse_query()?);
            create.query = Some(crate::parse::checked(Statement::Statement(Box::new(query)))?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn query_comes(&self) -> bool {
        let word = self.0.peek_token().token.to_string().to_ascii_uppercase();
        word == "SELECT"
    }

    /// What Redshift says of how rows are spread over its nodes: there are none here.
    fn distribution(&mut self) -> Result<bool> {
        if self.takes(&["DISTSTYLE"]) || self.takes(&["BACKUP"]) || self.takes(&["ENCODE"]) {
            self.name()?;
            return Ok(true);
        }
        if self.takes(&["DISTKEY"]) {
            self.names()?;
            return Ok(true);
        }
        Ok(false)
    }

    fn only_delta(&mut self) -> Result<()> {
        let format = self.name()?;
        match format.eq_ignore_ascii_case("delta") {
            true => Ok(()),
            false => Err(Error::unsupported(format!(
                "tables in the lake are kept as Delta, not as {}",
                format.to_uppercase()
            ))
            .with_hint("Leave it out, or use CREATE EXTERNAL TABLE … STORED AS … LOCATION.")),
        }
    }

    /// `(name, …)`, or `(name type, …)` as Hive declares keys that are no columns yet.
    fn partition_keys(&mut self, create: &mut CreateTable) -> Result<()> {
        let listed = self.0.consume_token(&Token::LParen);
        loop {
            if matches!(self.0.peek_nth_token(1).token, Token::LParen) {
                return Err(Error::unsupported("partitioning by an expression").with_hint(
                    "Partition by columns; make one with the expression: \
                     name type GENERATED ALWAYS AS (expression).",
                ));
            }
            let last = matches!(self.0.peek_nth_token(1).token, Token::Comma | Token::RParen);
            if last || !listed {
                create.keys.push(self.name()?);
            } else {
                let column = self.column_definition()?;
                create.keys.push(column.name.clone());
                create.columns.push(column);
            }
            if !listed || !self.0.consume_token(&Token::Comma) {
                break;
            }
        }
        if listed {
            self.0.expect_token(&Token::RParen)?;
        }
        Ok(())
    }

    /// `(key = value, …)`: keys are names with dots, or texts.
    pub(super) fn properties(&mut self) -> Result<BTreeMap<String, String>> {
        let mut properties = BTreeMap::new();
        self.0.expect_token(&Token::LParen)?;
        loop {
            let key = self.property_key()?;
            let _ = self.0.consume_token(&Token::Eq);
            let value = self.property_value()?;
            if properties.insert(key.clone(), value).is_some() {
                return Err(Error::invalid(format!("property \"{key}\" is given twice")));
            }
            if !self.0.consume_token(&Token::Comma) {
                break;
            }
        }
        self.0.expect_token(&Token::RParen)?;
        Ok(properties)
    }

    pub(super) fn property_key(&mut self) -> Result<String> {
        if let Token::SingleQuotedString(_) = self.0.peek_token().token {
            return Ok(self.0.parse_literal_string()?);
        }
        let parts = self.0.parse_object_name(false)?.0;
        let parts: Vec<String> = parts
            .iter()
            .map(|part| part.as_ident().map_or_else(|| part.to_string(), |i| i.value.clone()))
            .collect();
        Ok(parts.join("."))
    }

    fn property_value(&mut self) -> Result<String> {
        let value = self.0.parse_expr()?;
        let text = match &value {
            Expr::Value(value) => match &value.value {
                Value::Boolean(value) => Some(value.to_string()),
                other => other.clone().into_string(),
            },
            _ => None,
        };
        Ok(text.unwrap_or_else(|| value.to_string()))
    }
}

/// A table can't be made by two ways at once.
pub(crate) fn check_forms(create: &CreateTable) -> Result<()> {
    if create.query.is_some() && !create.columns.is_empty() {
        return Err(Error::unsupported("a column list in CREATE TABLE … AS")
            .with_hint("Name and cast the columns in the query."));
    }
    if create.query.is_some() && !create.constraints.is_empty() {
        return Err(Error::unsupported("constraints in CREATE TABLE … AS")
            .with_hint("Add them afterwards: ALTER TABLE … ADD CONSTRAINT."));
    }
    if create.query.is_some() && create.like.is_some() {
        return Err(Error::new(ErrorKind::Syntax, "LIKE and AS SELECT exclude each other"));
    }
    Ok(())
}
