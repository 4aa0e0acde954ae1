//! The words of SQL that are shown as keywords and offered for completion.

/// Every keyword, sorted.
#[rustfmt::skip]
pub(crate) const KEYWORDS: &[&str] = &[
    "ADD", "ALL", "ALTER", "ANALYZE", "AND", "ANTI", "ANY", "ARRAY", "AS", "ASC", "BETWEEN",
    "BIGINT", "BOOLEAN", "BY", "CASE", "CAST", "COLUMN", "COMMENT", "COPY", "CREATE", "CROSS",
    "CSV", "CURRENT", "DATABASE", "DATABASES", "DATE", "DECIMAL", "DELETE", "DELTA", "DESC",
    "DESCRIBE", "DISTINCT", "DOUBLE", "DROP", "ELSE", "END", "ESCAPE", "EXCEPT", "EXCLUDE",
    "EXISTS", "EXPLAIN", "EXTERNAL", "EXTRACT", "FALSE", "FETCH", "FILTER", "FIRST", "FLOAT",
    "FOLLOWING", "FOR", "FROM", "FULL", "FUNCTIONS", "GROUP", "GROUPING", "HAVING", "IF", "ILIKE",
    "IN", "INNER", "INSERT", "INT", "INTEGER", "INTERSECT", "INTERVAL", "INTO", "IS", "JOIN",
    "JSON", "LAST", "LATERAL", "LEFT", "LIKE", "LIMIT", "LOCATION", "MATCHED", "MERGE", "NATURAL",
    "NOT", "NULL", "NULLS", "NUMERIC", "OFFSET", "ON", "OPTIONS", "OR", "ORDER", "OUTER", "OVER",
    "OVERWRITE", "PARQUET", "PARTITION", "PARTITIONED", "PARTITIONS", "PRECEDING", "PRECISION",
    "PRIMARY", "QUALIFY", "RANGE", "REAL", "RECURSIVE", "RENAME", "REPLACE", "RESET", "RIGHT",
    "ROLLUP", "ROW", "ROWS", "SCHEMA", "SCHEMAS", "SELECT", "SEMI", "SET", "SHOW", "SMALLINT",
    "STORED", "STRING", "TABLE", "TABLES", "THEN", "TIME", "TIMESTAMP", "TINYINT", "TO", "TRUE",
    "TRUNCATE", "UNBOUNDED", "UNION", "UNIQUE", "UNNEST", "UPDATE", "USE", "USING", "VALUES",
    "VARCHAR", "VERBOSE", "VIEW", "VIEWS", "WHEN", "WHERE", "WINDOW", "WITH", "WITHIN",
];

/// The keywords that cannot be a bare name.
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "ALL", "ALTER", "ANALYZE", "AND", "ANTI", "ANY", "ARRAY", "AS", "ASC", "BETWEEN", "BY", "CASE",
    "CAST", "COLUMN", "CREATE", "CROSS", "DELETE", "DESC", "DISTINCT", "DROP", "ELSE", "END",
    "EXCEPT", "EXISTS", "FALSE", "FETCH", "FOR", "FROM", "FULL", "GROUP", "HAVING", "IN", "INNER",
    "INSERT", "INTERSECT", "INTERVAL", "INTO", "IS", "JOIN", "LATERAL", "LEFT", "LIKE", "LIMIT",
    "NATURAL", "NOT", "NULL", "OFFSET", "ON", "OR", "ORDER", "OUTER", "PARTITION", "QUALIFY",
    "RIGHT", "SELECT", "SEMI", "SET", "TABLE", "THEN", "TO", "TRUE", "UNION", "UPDATE", "USING",
    "VALUES", "VIEW", "WHEN", "WHERE", "WINDOW", "WITH",
];

/// Whether `word` is a keyword, in any case.
pub(crate) fn is_keyword(word: &str) -> bool {
    KEYWORDS.binary_search(&word.to_ascii_uppercase().as_str()).is_ok()
}

/// Whether `word` is a keyword that cannot be a bare name, in any case.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word.to_ascii_uppercase().as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        assert!(KEYWORDS.is_sorted());
        assert!(RESERVED.is_sorted());
        assert!(RESERVED.iter().all(|word| is_keyword(word)));
    }
}
