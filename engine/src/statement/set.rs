//! SET and RESET.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Reset, ResetStatement, Set, UnaryOperator, Value,
};

use super::{Command, command};
use crate::parse::name_parts;
use crate::query::Plan;
use crate::session::Session;
use crate::{Error, Result};

struct SetSetting {
    name: String,
    value: String,
}

struct ResetSettings {
    names: Vec<String>,
}

pub(super) fn plan(session: &Session, set: &Set) -> Result<Plan> {
    let (name, values) = match set {
        Set::SingleAssignment { variable, values, .. } => (name_parts(variable).join("."), values),
        Set::SetTimeZone { value, .. } => ("time_zone".to_owned(), &vec![value.clone()]),
        other => {
            return Err(
                Error::unsupported(format!("\"{other}\"")).with_hint("Write SET name = value.")
            );
        }
    };
    let [value] = values.as_slice() else {
        return Err(Error::invalid(format!("SET {name} takes one value")));
    };
    let name = session.setting_name(&name).map_err(|error| error.with_word(&name))?;
    Ok(command(SetSetting { name, value: text(value)? }))
}

/// A value as the settings take it: text.
fn text(value: &Expr) -> Result<String> {
    Ok(match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => format!("-{}", text(expr)?),
        other => return Err(Error::invalid(format!("\"{other}\" is no value for a setting"))),
    })
}

pub(super) fn plan_reset(session: &Session, name: &ObjectName) -> Result<Plan> {
    let name = name_parts(name).join(".");
    Ok(command(ResetSettings { names: vec![session.setting_name(&name)?] }))
}

pub(super) fn plan_reset_statement(session: &Session, reset: &ResetStatement) -> Result<Plan> {
    match &reset.reset {
        Reset::ConfigurationParameter(name) => plan_reset(session, name),
        Reset::ALL => {
            let names = session.settings().into_iter().map(|setting| setting.name).collect();
            Ok(command(ResetSettings { names }))
        }
    }
}

#[async_trait(?Send)]
impl Command for SetSetting {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        session.set(&self.name, &self.value)?;
        Ok(Vec::new())
    }
}

#[async_trait(?Send)]
impl Command for ResetSettings {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        for name in &self.names {
            session.reset(name)?;
        }
        Ok(Vec::new())
    }
}
