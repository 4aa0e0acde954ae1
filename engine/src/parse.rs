//! SQL text to one statement.

mod dialect;
mod once;
mod own;
mod rewrite;
mod spellings;
mod transfer;
mod versions;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Value, visit_expressions_mut};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use dialect::BoathouseDialect;
pub(crate) use own::{
    AlterPartitions, AlterTable, ColumnChange, ColumnDefinition, ColumnType, ConstraintKind,
    Converted, Crawled, CrawlerStatement, CreateTable, Maintenance, PartitionChange, PartitionSpec,
    TableChange, TableConstraint, check_forms,
};
pub(crate) use transfer::{CopyStatement, TransferOption, UnloadStatement};
pub(crate) use versions::{AsOf, as_written, split_name};

use crate::commit::AppTransaction;
use crate::hidden::Hidden;
use crate::{Error, ErrorKind, Result};

/// Longer statements are refused; data belongs into files.
const STATEMENT_BYTES_MAX: usize = 16 << 20;
/// Operators in one flat chain (`a OR b OR …`), which become as many levels of an expression.
const CHAIN_MAX: usize = 8_000;
const NESTING_MAX: usize = 128;

/// A parsed statement: DataFusion's grammar, and the statements that it lacks.
#[derive(Clone, Debug)]
pub(crate) enum Parsed {
    Sql(Hidden<Statement>),
    /// `INSERT … WITH (txn_app = …, txn_version = …)`
    InsertOnce(Hidden<Statement>, AppTransaction),
    ShowPartitions(Vec<String>),
    RefreshTable(Vec<String>),
    AlterPartitions(AlterPartitions),
    Crawler(CrawlerStatement),
    CreateTable(Hidden<CreateTable>),
    AlterTable(Hidden<AlterTable>),
    Maintenance(Maintenance),
    Copy(CopyStatement),
    Unload(UnloadStatement),
}

/// Reads exactly one statement; a `;` may end it.
pub(crate) fn parse(sql: &str) -> Result<Parsed> {
    if sql.len() > STATEMENT_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::ResourcesExhausted,
            format!("the statement has {} bytes; the limit is {STATEMENT_BYTES_MAX}", sql.len()),
        )
        .with_hint("Put the data into a file and read that."));
    }
    parse_text(sql).map_err(|error| error.in_statement(sql))
}

fn parse_text(sql: &str) -> Result<Parsed> {
    let mut tokens = Tokenizer::new(&BoathouseDialect, sql)
        .tokenize_with_location()
        .map_err(ParserError::from)?;
    check_depth(&tokens)?;
    if let Some(own) = own::statement(&tokens)? {
        return Ok(own);
    }
    spellings::translate(&mut tokens);
    match once::split(sql, &tokens)? {
        Some((insert, transaction)) => {
            let mut tokens = Tokenizer::new(&BoathouseDialect, insert)
                .tokenize_with_location()
                .map_err(ParserError::from)?;
            spellings::translate(&mut tokens);
            Ok(Parsed::InsertOnce(Hidden::new(parse_tokens(tokens)?), transaction))
        }
        None => Ok(Parsed::Sql(Hidden::new(parse_tokens(own::with_stars(tokens))?))),
    }
}

/// One statement of DataFusion's grammar.
fn parse_tokens(tokens: Vec<TokenWithSpan>) -> Result<Statement> {
    let mut statements = DFParserBuilder::new(versions::fold_clauses(tokens)?)
        .with_dialect(&BoathouseDialect)
        .with_recursion_limit(NESTING_MAX)
        .build()
        .and_then(|mut parser| parser.parse_statements())?;
    let statement = statements.pop_front();
    match (statement, statements.is_empty()) {
        (None, _) => Err(Error::new(ErrorKind::Syntax, "there is no statement")),
        (Some(_), false) => Err(Error::new(ErrorKind::Syntax, "there is more than one statement")
            .with_hint("Send one statement at a time.")),
        (Some(statement), true) => checked(statement),
    }
}

/// The statement with its parameters numbered, if it can be planned.
fn checked(mut statement: Statement) -> Result<Statement> {
    number_placeholders(&mut statement);
    versions::name_versions(&mut statement)?;
    rewrite::rewrite(&mut statement)?;
    Ok(statement)
}

/// Refuses what would be nested too deeply for the planner's stack.
fn check_depth(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut chains = vec![0_usize];
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket => chains.push(0),
            Token::RParen | Token::RBracket if chains.len() > 1 => {
                chains.pop();
            }
            Token::Comma | Token::SemiColon => set_last(&mut chains, 0),
            Token::Word(word) if word.quote_style.is_none() => {
                let operator = ["AND", "OR", "UNION", "INTERSECT", "EXCEPT", "NOT", "JOIN"]
                    .iter()
                    .any(|operator| word.value.eq_ignore_ascii_case(operator));
                if operator {
                    count(&mut chains)?;
                }
            }
            Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::DoubleColon
            | Token::Tilde => count(&mut chains)?,
            _ => {}
        }
    }
    Ok(())
}

fn set_last(chains: &mut [usize], value: usize) {
    if let Some(last) = chains.last_mut() {
        *last = value;
    }
}

fn count(chains: &mut [usize]) -> Result<()> {
    let next = chains.last().copied().unwrap_or(0) + 1;
    set_last(chains, next);
    if next > CHAIN_MAX {
        return Err(Error::invalid(format!(
            "the statement has more than {CHAIN_MAX} operators in one expression"
        ))
        .with_hint("Use IN (…), or join with a VALUES list."));
    }
    Ok(())
}

/// `?` counts on from the left, as `$1`, `$2`, … do by name.
fn number_placeholders(statement: &mut Statement) {
    let Statement::Statement(statement) = statement else { return };
    let mut next = 0;
    let _ = visit_expressions_mut(statement.as_mut(), |expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &mut value.value
            && name == "?"
        {
            next += 1;
            *name = format!("${next}");
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
}

/// The parts of a name, folded to lower case where they aren't quoted.
pub(crate) fn name_parts(name: &ObjectName) -> Vec<String> {
    name.0
        .iter()
        .map(|part| match part.as_ident() {
            Some(ident) => fold(ident),
            None => part.to_string(),
        })
        .collect()
}

/// An identifier's text: lower case, unless it is quoted.
pub(crate) fn fold(ident: &datafusion::sql::sqlparser::ast::Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_is_required() {
        for (sql, message) in [
            ("", "there is no statement"),
            ("-- nothing", "there is no statement"),
            ("select 1; select 2", "there is more than one statement"),
        ] {
            assert_eq!(parse(sql).unwrap_err().to_string(), message);
        }
        parse("select 1;").unwrap();
    }

    #[test]
    fn a_syntax_error_shows_its_place() {
        let report = parse("select (1\nfrom t").unwrap_err().report();
        assert!(report.contains("LINE 2: from t\n"), "{report}");
        assert!(report.lines().last().unwrap().ends_with('^'), "{report}");
    }

    #[test]
    fn a_chain_of_operators_has_a_limit_and_a_list_has_none() {
        let chain = format!("select {}", vec!["1"; 20_000].join("+"));
        assert_eq!(parse(&chain).unwrap_err().kind(), ErrorKind::InvalidArgument);
        let list = format!("select * from t where a in ({})", vec!["-1"; 20_000].join(","));
        parse(&list).unwrap();
    }

    #[test]
    fn stars_of_a_merge_are_no_product() {
        let merge = "merge into t using s on t.a = s.a when matched then update set * \
                     when not matched then insert /* all */ *";
        parse(merge).unwrap();
        parse(&format!("explain {merge}")).unwrap();
        let set = "merge into t using s on t.a = s.a when matched then update set a = s.set * 2";
        let Parsed::Sql(statement) = parse(set).unwrap() else { unreachable!("a merge") };
        assert!(statement.get().to_string().contains("s.set * 2"));
        assert!(parse("update t set *").is_err());
        parse("select set * 2 from merge").unwrap();
    }

    #[test]
    fn question_marks_are_numbered() {
        let Parsed::Sql(statement) = parse("select ? + 1 where a = ? limit ?").unwrap() else {
            unreachable!("a query")
        };
        let text = statement.get().to_string();
        assert!(text.contains("$1") && text.contains("$2") && text.contains("$3"), "{text}");
    }
}
