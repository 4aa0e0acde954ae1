"""Constraints and rules of columns mean the same to Boathouse and to the `deltalake` package."""

import json
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from conftest import Server, serving
from deltalake import DeltaTable, Field, Schema, write_deltalake
from deltalake.exceptions import DeltaError


@pytest.fixture
def lake(tmp_path):
    """A server of its own, whose lake folder a test may look into."""
    with serving(Server(tmp_path / "data")) as server, server.connect() as connection:
        with connection.cursor() as cursor:
            yield server, cursor, tmp_path / "data/lake"


def rows(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchall()


def delta_folder(root):
    """The one Delta table in a folder."""
    [log] = root.glob("**/_delta_log")
    return log.parent


def actions(folder, kind):
    """What the log says of a kind, newest last."""
    lines = []
    for log in sorted((folder / "_delta_log").glob("*.json")):
        lines += [json.loads(line) for line in log.read_text().splitlines() if line]
    return [line[kind] for line in lines if kind in line]


def test_deltalake_sees_and_keeps_our_constraints(lake):
    _, cursor, folder = lake
    cursor.execute(
        """CREATE TABLE t (id BIGINT NOT NULL, amount INT COMMENT 'how many',
           CONSTRAINT positive CHECK (amount > 0)) COMMENT 'a table' TBLPROPERTIES ('team' = 'data')"""
    )
    cursor.execute("INSERT INTO t VALUES (1, 5)")
    table = DeltaTable(delta_folder(folder))
    assert table.metadata().configuration == {"delta.constraints.positive": "amount > 0", "team": "data"}
    assert table.metadata().description == "a table"
    assert set(table.protocol().writer_features) == {"appendOnly", "checkConstraints", "invariants"}
    assert not table.schema().fields[0].nullable
    assert table.schema().fields[1].metadata == {"comment": "how many"}
    good = pa.table({"id": pa.array([2], pa.int64()), "amount": pa.array([1], pa.int32())})
    write_deltalake(table, good, mode="append")
    bad = pa.table({"id": pa.array([3], pa.int64()), "amount": pa.array([-1], pa.int32())})
    with pytest.raises(DeltaError):
        write_deltalake(table, bad, mode="append")
    assert rows(cursor, "SELECT * FROM t ORDER BY id") == [(1, 5), (2, 1)]


def test_deltalake_computes_our_generated_columns(lake):
    _, cursor, folder = lake
    cursor.execute("CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a + 1))")
    cursor.execute("INSERT INTO t (a) VALUES (1)")
    table = DeltaTable(delta_folder(folder))
    assert table.schema().fields[1].metadata == {"delta.generationExpression": "a + 1"}
    write_deltalake(table, pa.table({"a": pa.array([5], pa.int32())}), mode="append")
    assert rows(cursor, "SELECT * FROM t ORDER BY a") == [(1, 2), (5, 6)]
    wrong = pa.table({"a": pa.array([1], pa.int32()), "b": pa.array([9], pa.int32())})
    with pytest.raises(DeltaError):
        write_deltalake(table, wrong, mode="append")


def test_constraints_of_deltalake_are_kept_here(lake, tmp_path):
    _, cursor, _ = lake
    schema = Schema([
        Field("Id", "long", nullable=False),
        Field("Amount", "integer", nullable=True),
        Field("double", "integer", nullable=True,
              metadata={"delta.generationExpression": "AMOUNT * 2"}),
        Field("small", "integer", nullable=True,
              metadata={"delta.invariants": json.dumps({"expression": {"expression": "small < 10"}})}),
    ])  # fmt: skip
    table = DeltaTable.create(tmp_path / "t", schema)
    table.alter.add_constraint({"positive": '"Amount" > 0'})
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{tmp_path}/t/'")
    cursor.execute("""INSERT INTO t ("Id", "Amount") VALUES (1, 5)""")
    assert rows(cursor, "SELECT * FROM t") == [(1, 5, 10, None)]
    for values, message in [
        ("(1, 0, NULL, 1)", "positive"),
        ("(NULL, 1, NULL, 1)", "NOT NULL"),
        ("(1, 1, 3, 1)", "generated as"),
        ("(1, 1, NULL, 10)", "invariant of small"),
    ]:
        with pytest.raises(Exception, match=message):
            cursor.execute(f"INSERT INTO t VALUES {values}")
    assert rows(cursor, "SELECT count(*) FROM t") == [(1,)]
    with pytest.raises(Exception, match="positive"):
        cursor.adbc_ingest("t", pa.table({"Id": [7], "Amount": [-1]}), mode="append")


def test_a_rule_that_is_not_understood_makes_a_table_read_only(lake, tmp_path):
    _, cursor, _ = lake
    schema = Schema([
        Field("at", "timestamp", nullable=True),
        Field("month", "string", nullable=True,
              metadata={"delta.generationExpression": "trunc_month_of_spark(at, 'yyyy-MM')"}),
    ])  # fmt: skip
    DeltaTable.create(tmp_path / "t", schema)
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{tmp_path}/t/'")
    assert rows(cursor, "SELECT * FROM t") == []
    with pytest.raises(Exception, match='generated "month" isn\'t understood.*trunc_month_of_spark'):
        cursor.execute("INSERT INTO t (at) VALUES (now())")


def test_the_log_says_it_in_the_standard_way(lake):
    _, cursor, folder = lake
    cursor.execute(
        """CREATE TABLE t (id BIGINT GENERATED BY DEFAULT AS IDENTITY (START WITH 10 INCREMENT BY 5),
           state VARCHAR DEFAULT 'new', a SMALLINT) CLUSTER BY (state)"""
    )
    cursor.execute("INSERT INTO t (a) VALUES (1), (2)")
    cursor.execute("ALTER TABLE t ALTER COLUMN a TYPE INT")
    cursor.execute("ALTER TABLE t RENAME COLUMN a TO b")
    folder = delta_folder(folder)
    protocol = actions(folder, "protocol")[-1]
    assert set(protocol["writerFeatures"]) == {
        "allowColumnDefaults", "appendOnly", "clustering", "columnMapping", "domainMetadata",
        "identityColumns", "invariants", "typeWidening",
    }  # fmt: skip
    assert set(protocol["readerFeatures"]) == {"columnMapping", "typeWidening"}
    [clustering] = actions(folder, "domainMetadata")
    assert clustering["domain"] == "delta.clustering"
    assert json.loads(clustering["configuration"])["clusteringColumns"] == [["state"]]
    metadata = actions(folder, "metaData")[-1]
    assert metadata["configuration"] == {
        "delta.enableTypeWidening": "true",
        "delta.columnMapping.mode": "name",
        "delta.columnMapping.maxColumnId": "3",
    }
    identity, state, b = json.loads(metadata["schemaString"])["fields"]
    names = {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "id"}
    assert identity["metadata"] == names | {
        "delta.identity.start": 10,
        "delta.identity.step": 5,
        "delta.identity.highWaterMark": 15,
        "delta.identity.allowExplicitInsert": True,
    }
    assert state["metadata"]["CURRENT_DEFAULT"] == "'new'"
    assert b["name"] == "b" and b["metadata"]["delta.columnMapping.physicalName"] == "a"
    assert b["metadata"]["delta.typeChanges"] == [{"fromType": "short", "toType": "integer"}]


def test_identity_values_are_allotted_once(lake):
    server, cursor, _ = lake
    cursor.execute(
        """CREATE TABLE t (id BIGINT GENERATED ALWAYS AS IDENTITY, session INT, number INT)
           TBLPROPERTIES ('delta.checkpointInterval' = '5')"""
    )
    sessions, inserts = 6, 8

    def insert(session):
        with server.connect() as connection, connection.cursor() as own:
            for number in range(inserts):
                own.execute(f"INSERT INTO t (session, number) VALUES ({session}, {number}), ({session}, {number})")

    with ThreadPoolExecutor(sessions) as pool:
        list(pool.map(insert, range(sessions)))
    expected = sessions * inserts * 2
    assert rows(cursor, "SELECT count(*), count(DISTINCT id), min(id), max(id) FROM t") == [
        (expected, expected, 1, expected)
    ]


def test_large_loads_and_small_ones_share_identity_values(lake):
    server, cursor, _ = lake
    cursor.execute("CREATE TABLE t (id BIGINT GENERATED ALWAYS AS IDENTITY, a BIGINT)")

    def load(count):
        with server.connect() as connection, connection.cursor() as own:
            own.execute(f"INSERT INTO t (a) SELECT value FROM generate_series(1, {count})")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load, [150_000, 10, 100_000, 10]))
    assert rows(cursor, "SELECT count(*), count(DISTINCT id) FROM t") == [(250_020, 250_020)]


def test_a_reader_always_finds_a_table_that_is_replaced(lake):
    server, cursor, _ = lake
    cursor.execute("CREATE TABLE t AS SELECT 0 AS a")
    missing = []

    def look(_):
        with server.connect() as connection, connection.cursor() as own:
            for _ in range(60):
                own.execute("SELECT count(*) FROM information_schema.tables WHERE table_name = 't'")
                missing.append(own.fetchall() != [(1,)])

    with ThreadPoolExecutor(2) as pool:
        looks = pool.map(look, range(2))
        for number in range(15):
            cursor.execute(f"CREATE OR REPLACE TABLE t AS SELECT {number} AS a")
        list(looks)
    assert not any(missing)
    assert rows(cursor, "SELECT * FROM t") == [(14,)]
