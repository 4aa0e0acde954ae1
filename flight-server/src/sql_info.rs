//! What the server says about itself: `GetSqlInfo`.
//!
//! Drivers read this when they connect, and some fail where a code is missing or has the wrong
//! type, so every code of the specification is here.

use std::collections::BTreeMap;

use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedGroupBy, SqlSupportedResultSetConcurrency, SqlSupportedResultSetType,
    SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions, SqlSupportsConvert,
    SqlTransactionIsolationLevel, SupportedSqlGrammar,
};

/// The limits of a server that clients may know.
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Prepared statements of one session.
    pub(crate) prepared: usize,
    /// How long an unused prepared statement is kept.
    pub(crate) prepared_milliseconds: i32,
    /// Bytes of one request.
    pub(crate) request_bytes: usize,
}

/// All of it.
pub(crate) fn sql_info(limits: &Limits) -> Result<SqlInfoData> {
    let mut info = SqlInfoDataBuilder::new();
    server(&mut info, limits);
    names(&mut info);
    words(&mut info);
    features(&mut info);
    result_sets(&mut info);
    transactions(&mut info);
    maxima(&mut info, limits);
    info.build()
}

fn server(info: &mut SqlInfoDataBuilder, limits: &Limits) {
    info.append(SqlInfo::FlightSqlServerName, "Boathouse");
    info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    info.append(SqlInfo::FlightSqlServerReadOnly, false);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    info.append(SqlInfo::FlightSqlServerSubstraitMinVersion, "");
    info.append(SqlInfo::FlightSqlServerSubstraitMaxVersion, "");
    info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    info.append(SqlInfo::FlightSqlServerCancel, true);
    info.append(SqlInfo::FlightSqlServerBulkIngestion, true);
    info.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    info.append(SqlInfo::FlightSqlServerStatementTimeout, limits.prepared_milliseconds);
    info.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
}

fn names(info: &mut SqlInfoDataBuilder) {
    use SqlSupportedCaseSensitivity as Case;
    info.append(SqlInfo::SqlDdlCatalog, false);
    info.append(SqlInfo::SqlDdlSchema, true);
    info.append(SqlInfo::SqlDdlTable, true);
    info.append(SqlInfo::SqlIdentifierCase, Case::SqlCaseSensitivityLowercase as i32);
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    info.append(SqlInfo::SqlQuotedIdentifierCase, Case::SqlCaseSensitivityCaseInsensitive as i32);
    info.append(SqlInfo::SqlAllTablesAreSelectable, true);
    info.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    info.append(SqlInfo::SqlSearchStringEscape, "\\");
    info.append(SqlInfo::SqlExtraNameCharacters, "");
    info.append(SqlInfo::SqlSchemaTerm, "database");
    info.append(SqlInfo::SqlProcedureTerm, "procedure");
    info.append(SqlInfo::SqlCatalogTerm, "catalog");
    info.append(SqlInfo::SqlCatalogAtStart, true);
    info.append(SqlInfo::SqlSchemasSupportedActions, 0_i32);
    info.append(SqlInfo::SqlCatalogsSupportedActions, 0_i32);
}

fn words(info: &mut SqlInfoDataBuilder) {
    let mut list = |code: SqlInfo, words: &str| {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        info.append(code, words);
    };
    list(SqlInfo::SqlKeywords, KEYWORDS);
    list(SqlInfo::SqlNumericFunctions, NUMERIC_FUNCTIONS);
    list(SqlInfo::SqlStringFunctions, STRING_FUNCTIONS);
    list(SqlInfo::SqlSystemFunctions, SYSTEM_FUNCTIONS);
    list(SqlInfo::SqlDatetimeFunctions, DATETIME_FUNCTIONS);
}

fn features(info: &mut SqlInfoDataBuilder) {
    use SqlSupportedSubqueries as Subqueries;
    info.append(SqlInfo::SqlSupportsColumnAliasing, true);
    info.append(SqlInfo::SqlNullPlusNullIsNull, true);
    info.append(SqlInfo::SqlSupportsConvert, conversions());
    info.append(SqlInfo::SqlSupportsTableCorrelationNames, true);
    info.append(SqlInfo::SqlSupportsDifferentTableCorrelationNames, false);
    info.append(SqlInfo::SqlSupportsExpressionsInOrderBy, true);
    info.append(SqlInfo::SqlSupportsOrderByUnrelated, true);
    info.append(SqlInfo::SqlSupportedGroupBy, bit(SqlSupportedGroupBy::SqlGroupByUnrelated as i32));
    info.append(SqlInfo::SqlSupportsLikeEscapeClause, true);
    info.append(SqlInfo::SqlSupportsNonNullableColumns, true);
    info.append(
        SqlInfo::SqlSupportedGrammar,
        bit(SupportedSqlGrammar::SqlMinimumGrammar as i32)
            | bit(SupportedSqlGrammar::SqlCoreGrammar as i32),
    );
    info.append(SqlInfo::SqlAnsi92SupportedLevel, 1_i32); // entry level
    info.append(SqlInfo::SqlSupportsIntegrityEnhancementFacility, false);
    info.append(
        SqlInfo::SqlOuterJoinsSupportLevel,
        SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32,
    );
    info.append(SqlInfo::SqlSupportedPositionedCommands, 0_i32);
    info.append(SqlInfo::SqlSelectForUpdateSupported, false);
    info.append(SqlInfo::SqlStoredProceduresSupported, false);
    info.append(
        SqlInfo::SqlSupportedSubqueries,
        bit(Subqueries::SqlSubqueriesInComparisons as i32)
            | bit(Subqueries::SqlSubqueriesInExists as i32)
            | bit(Subqueries::SqlSubqueriesInIns as i32),
    );
    info.append(SqlInfo::SqlCorrelatedSubqueriesSupported, true);
    info.append(
        SqlInfo::SqlSupportedUnions,
        bit(SqlSupportedUnions::SqlUnion as i32) | bit(SqlSupportedUnions::SqlUnionAll as i32),
    );
    info.append(SqlInfo::SqlBatchUpdatesSupported, true);
    info.append(SqlInfo::SqlNamedParametersSupported, false);
    info.append(SqlInfo::SqlLocatorsUpdateCopy, false);
    info.append(SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported, false);
}

fn result_sets(info: &mut SqlInfoDataBuilder) {
    let read_only = bit(SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32);
    info.append(
        SqlInfo::SqlSupportedResultSetTypes,
        bit(SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32),
    );
    info.append(SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified, read_only);
    info.append(SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly, read_only);
    info.append(SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive, 0_i32);
    info.append(SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive, 0_i32);
}

fn transactions(info: &mut SqlInfoDataBuilder) {
    let none = SqlTransactionIsolationLevel::SqlTransactionNone as i32;
    info.append(SqlInfo::SqlDefaultTransactionIsolation, none);
    info.append(SqlInfo::SqlTransactionsSupported, false);
    info.append(SqlInfo::SqlSupportedTransactionsIsolationLevels, bit(none));
    info.append(SqlInfo::SqlDataDefinitionCausesTransactionCommit, false);
    info.append(SqlInfo::SqlDataDefinitionsInTransactionsIgnored, false);
    info.append(SqlInfo::SqlSavepointsSupported, false);
}

/// 0 says: no limit, or none that is known.
fn maxima(info: &mut SqlInfoDataBuilder, limits: &Limits) {
    for code in [
        SqlInfo::SqlMaxBinaryLiteralLength,
        SqlInfo::SqlMaxCharLiteralLength,
        SqlInfo::SqlMaxColumnNameLength,
        SqlInfo::SqlMaxColumnsInGroupBy,
        SqlInfo::SqlMaxColumnsInIndex,
        SqlInfo::SqlMaxColumnsInOrderBy,
        SqlInfo::SqlMaxColumnsInSelect,
        SqlInfo::SqlMaxColumnsInTable,
        SqlInfo::SqlMaxCursorNameLength,
        SqlInfo::SqlMaxIndexLength,
        SqlInfo::SqlDbSchemaNameLength,
        SqlInfo::SqlMaxProcedureNameLength,
        SqlInfo::SqlMaxCatalogNameLength,
        SqlInfo::SqlMaxRowSize,
        SqlInfo::SqlMaxTableNameLength,
        SqlInfo::SqlMaxTablesInSelect,
        SqlInfo::SqlMaxUsernameLength,
    ] {
        info.append(code, 0_i64);
    }
    info.append(SqlInfo::SqlMaxConnections, limits.connections as i64);
    info.append(SqlInfo::SqlMaxStatements, limits.prepared as i64);
    info.append(SqlInfo::SqlMaxStatementLength, limits.request_bytes as i64);
    info.append(SqlInfo::SqlMaxRowSizeIncludesBlobs, true);
}

/// What CAST turns into what.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use SqlSupportsConvert as Convert;
    let numbers = [
        Convert::SqlConvertTinyint as i32,
        Convert::SqlConvertSmallint as i32,
        Convert::SqlConvertInteger as i32,
        Convert::SqlConvertBigint as i32,
        Convert::SqlConvertReal as i32,
        Convert::SqlConvertFloat as i32,
        Convert::SqlConvertDecimal as i32,
        Convert::SqlConvertNumeric as i32,
        Convert::SqlConvertBit as i32,
    ];
    let times = [Convert::SqlConvertDate as i32, Convert::SqlConvertTimestamp as i32];
    let text = Convert::SqlConvertVarchar as i32;
    let with_text = |types: &[i32]| [types, &[text]].concat();
    let mut map = BTreeMap::new();
    for number in numbers {
        map.insert(number, with_text(&numbers));
    }
    for time in times {
        map.insert(time, with_text(&times));
    }
    map.insert(Convert::SqlConvertTime as i32, vec![Convert::SqlConvertTime as i32, text]);
    map.insert(text, [&numbers[..], &times, &[Convert::SqlConvertTime as i32, text]].concat());
    map
}

fn bit(ordinal: i32) -> i32 {
    1 << ordinal
}

/// Words that need quotes as names.
const KEYWORDS: &str = "\
ALL ALTER AND ANTI ANY AS ASC BEGIN BETWEEN BY CASE CAST COMMIT COPY CREATE CROSS CURRENT_DATE \
CURRENT_TIME CURRENT_TIMESTAMP DELETE DESC DESCRIBE DISTINCT DROP ELSE END EXCEPT EXISTS EXPLAIN \
EXTRACT FALSE FETCH FILTER FOR FROM FULL GROUP HAVING IN INNER INSERT INTERSECT INTERVAL INTO IS \
JOIN LATERAL LEFT LIKE LIMIT MERGE NATURAL NOT NULL OFFSET ON OR ORDER OUTER OVER PARTITION \
QUALIFY RIGHT ROLLBACK SELECT SEMI SET SHOW SIMILAR SOME TABLE THEN TRUE UNION UNNEST UPDATE USE \
USING VALUES VIEW WHEN WHERE WINDOW WITH";

const NUMERIC_FUNCTIONS: &str = "\
abs acos acosh asin asinh atan atan2 atanh cbrt ceil cos cosh cot degrees exp factorial floor gcd \
isnan iszero lcm ln log log10 log2 nanvl pi power radians random round signum sin sinh sqrt tan \
tanh trunc";

const STRING_FUNCTIONS: &str = "\
ascii bit_length btrim character_length chr concat concat_ws contains ends_with find_in_set \
initcap left length levenshtein lower lpad ltrim md5 octet_length overlay position regexp_count \
regexp_like regexp_match regexp_replace repeat replace reverse right rpad rtrim sha256 split_part \
starts_with strpos substr substr_index to_hex translate trim upper uuid";

const SYSTEM_FUNCTIONS: &str = "arrow_cast arrow_typeof coalesce greatest least nullif nvl version";

const DATETIME_FUNCTIONS: &str = "\
current_date current_time current_timestamp date_bin date_part date_trunc extract from_unixtime \
make_date now to_char to_date to_timestamp to_timestamp_micros to_timestamp_millis \
to_timestamp_nanos to_timestamp_seconds to_unixtime";

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, UnionArray};
    use arrow::datatypes::UInt32Type;

    use super::*;

    fn info() -> SqlInfoData {
        let limits =
            Limits { connections: 1, prepared: 1, prepared_milliseconds: 1, request_bytes: 1 };
        sql_info(&limits).unwrap()
    }

    #[test]
    fn every_code_of_the_specification_is_there() {
        let batch = info().record_batch([]).unwrap();
        let codes = batch.column(0).as_primitive::<UInt32Type>().values().to_vec();
        let expected: Vec<u32> = (0..=11).chain(100..=101).chain(500..=576).collect();
        assert_eq!(codes, expected);
    }

    #[test]
    fn transaction_support_is_a_bitmask() {
        let batch = info().record_batch([8]).unwrap();
        let values = batch.column(1).as_any().downcast_ref::<UnionArray>().unwrap();
        assert_eq!((values.len(), values.type_id(0)), (1, 3));
    }
}
