//! What a session is, and its clock.

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDateTime, Timelike, Utc};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;

use super::civil::{from_utc, zone};
use super::scalar::{Kind, Scalar, literal};
use crate::Error;
use crate::settings::CATALOG;

/// Tools read PostgreSQL's version at the front and choose their SQL by it; Boathouse's own
/// follows, as Redshift's does in Redshift.
const VERSION: &str = concat!("PostgreSQL 15.0 compatible, Boathouse ", env!("CARGO_PKG_VERSION"));
/// Who everybody is while there is no access control.
const USER: &str = "boathouse";

pub(super) fn list() -> Vec<Scalar> {
    let mut list = vec![
        text("current_database", "The session's database.", |_, info| database(info)),
        text("current_schema", "The session's database.", |_, info| database(info)),
        text("current_catalog", "The catalog.", |_, _| Ok(utf8(CATALOG))),
        text("current_user", "Who the session belongs to.", |_, _| Ok(utf8(USER)))
            .alias("session_user"),
        text("version", "PostgreSQL's version that this is like, and Boathouse's.", |_, _| {
            Ok(utf8(VERSION))
        }),
        text("timeofday", "The statement's begin, as text.", timeofday),
    ];
    let moment = |name, description, expand| {
        Scalar::standing_for(name, &format!("{name}()"), description, expand)
            .takes(&[])
            .returns(|_| DataType::Timestamp(TimeUnit::Microsecond, None))
    };
    list.push(moment("getdate", "When the statement began, in whole seconds.", |_, info| {
        let clock = clock(info)?;
        Ok(timestamp(clock.with_nanosecond(0).unwrap_or(clock)))
    }));
    list.push(
        moment("sysdate", "When the statement began.", |_, info| Ok(timestamp(clock(info)?)))
            .alias("localtimestamp"),
    );
    list.push(
        Scalar::standing_for("pg_typeof", "pg_typeof(value)", "The value's type.", |args, info| {
            let argument = args.first().ok_or_else(|| Error::internal("no argument"))?;
            Ok(utf8(&postgres_type(&info.get_data_type(argument)?)))
        })
        .takes(&[("value", Kind::Any)])
        .returns(|_| DataType::Utf8),
    );
    list
}

fn text(
    name: &'static str,
    description: &str,
    expand: fn(Vec<Expr>, &SimplifyContext) -> Result<Expr>,
) -> Scalar {
    Scalar::standing_for(name, &format!("{name}()"), description, expand)
        .takes(&[])
        .returns(|_| DataType::Utf8)
}

fn utf8(value: &str) -> Expr {
    literal(ScalarValue::Utf8(Some(value.to_owned())))
}

fn database(info: &SimplifyContext) -> Result<Expr> {
    Ok(utf8(&info.config_options().catalog.default_schema))
}

fn timestamp(clock: NaiveDateTime) -> Expr {
    let value = clock.and_utc().timestamp_micros();
    literal(ScalarValue::TimestampMicrosecond(Some(value), None))
}

fn began(info: &SimplifyContext) -> Result<DateTime<Utc>> {
    let began = info.query_execution_start_time();
    Ok(began.ok_or_else(|| Error::internal("the statement has no begin"))?)
}

/// What clocks in the session's time zone showed when the statement began.
fn clock(info: &SimplifyContext) -> Result<NaiveDateTime> {
    let utc = began(info)?.naive_utc();
    match &info.config_options().execution.time_zone {
        Some(name) => Ok(from_utc(zone(name)?, utc).unwrap_or(utc)),
        None => Ok(utc),
    }
}

fn timeofday(_: Vec<Expr>, info: &SimplifyContext) -> Result<Expr> {
    let zone = info.config_options().execution.time_zone.clone();
    let shown = clock(info)?.format("%a %b %d %H:%M:%S%.6f %Y");
    Ok(utf8(&format!("{shown} {}", zone.as_deref().unwrap_or("UTC"))))
}

/// PostgreSQL's name of a type; where it has none like it, Arrow's.
fn postgres_type(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Null => "unknown",
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::UInt64 | DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => "numeric",
        DataType::Decimal32(_, _) | DataType::Decimal64(_, _) => "numeric",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea",
        DataType::FixedSizeBinary(_) => "bytea",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Dictionary(_, value) => return postgres_type(value),
        DataType::List(item) | DataType::LargeList(item) => {
            return format!("{}[]", postgres_type(item.data_type()));
        }
        other => return other.to_string(),
    };
    name.to_owned()
}
