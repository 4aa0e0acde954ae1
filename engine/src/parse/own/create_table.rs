//! CREATE TABLE: columns with their rules, constraints, and clauses in any order, those of Spark
//! and of Redshift.

use std::collections::BTreeMap;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{ColumnOption, DataType, Expr, Statement as Sql, Value};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Own, Parsed};
use crate::hidden::Hidden;
use crate::parse::fold;
use crate::{Error, ErrorKind, Result};

/// Longer types aren't looked at.
const TYPE_TOKENS_MAX: usize = 4096;

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

    /// `(expression)`, as SQL.
    pub(super) fn parenthesised(&mut self) -> Result<String> {
        self.0.expect_token(&Token::LParen)?;
        let expression = self.0.parse_expr()?;
        self.0.expect_token(&Token::RParen)?;
        Ok(expression.to_string())
    }

    /// `(name, …)`
    pub(super) fn names(&mut self) -> Result<Vec<String>> {
        self.0.expect_token(&Token::LParen)?;
        let names = self.0.parse_comma_separated(|parser| parser.parse_identifier())?;
        self.0.expect_token(&Token::RParen)?;
        Ok(names.iter().map(fold).collect())
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
