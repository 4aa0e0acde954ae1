"""Delta tables go both ways between Boathouse and the `deltalake` package."""

import datetime
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from conftest import Server, serving
from deltalake import DeltaTable, write_deltalake


@pytest.fixture
def lake(tmp_path):
    """A server of its own, whose lake folder a test may look into."""
    with serving(Server(tmp_path / "data")) as server, server.connect() as connection:
        with connection.cursor() as cursor:
            yield cursor, tmp_path / "data/lake"


def rows(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchall()


def delta_folder(root):
    """The one Delta table in a folder."""
    [log] = root.glob("**/_delta_log")
    return log.parent


DATA = pa.table({
    "id": pa.array([1, 2, 3], pa.int64()),
    "price": pa.array([Decimal("1.50"), None, Decimal("-0.01")], pa.decimal128(10, 2)),
    "text": ["a", None, "größe / 100%"],
    "day": [datetime.date(2024, 2, 29), datetime.date(2024, 3, 1), None],
    "moment": pa.array([datetime.datetime(2024, 2, 29, 1, 2, 3, 4), None, None], pa.timestamp("us", "UTC")),
    "tags": [["x", None], [], None],
    "point": [{"x": 1.5, "y": None}, {"x": 0.0, "y": 1.0}, None],
})  # fmt: skip


@pytest.mark.parametrize("partitions", ["", "PARTITIONED BY (text)", "PARTITIONED BY (day, text)"])
def test_deltalake_reads_what_boathouse_wrote(lake, partitions):
    cursor, folder = lake
    cursor.adbc_ingest("source", DATA, mode="create")
    source = delta_folder(folder)
    cursor.execute(f"CREATE TABLE t {partitions} AS SELECT * FROM source")
    cursor.execute("INSERT INTO t SELECT * FROM source WHERE id = 2")
    [folder] = [log.parent for log in folder.glob("**/_delta_log") if log.parent != source]
    found = DeltaTable(folder).to_pyarrow_table().select(DATA.column_names).sort_by("id")
    assert found.to_pylist() == [DATA.to_pylist()[row] for row in (0, 1, 1, 2)]


@pytest.mark.parametrize("partitions", [[], ["text"], ["day", "text"]])
def test_boathouse_reads_what_deltalake_wrote(lake, tmp_path, partitions):
    cursor, _ = lake
    write_deltalake(tmp_path / "t", DATA, partition_by=partitions)
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{tmp_path}/t/'")
    columns = ", ".join(DATA.column_names)
    cursor.execute(f"SELECT {columns} FROM t ORDER BY id")
    assert cursor.fetch_arrow_table().to_pylist() == DATA.to_pylist()
    assert rows(cursor, "SELECT id FROM t WHERE text = 'größe / 100%'") == [(3,)]
    assert rows(cursor, "SELECT id FROM t WHERE day >= DATE '2024-03-01'") == [(2,)]
    assert rows(cursor, "SELECT id FROM t WHERE text IS NULL") == [(2,)]


def test_each_sees_the_others_commits(lake):
    cursor, folder = lake
    cursor.execute("CREATE TABLE t AS SELECT CAST(1 AS BIGINT) AS x")
    table = delta_folder(folder)
    write_deltalake(table, pa.table({"x": pa.array([2], pa.int64())}), mode="append")
    assert rows(cursor, "SELECT x FROM t ORDER BY x") == [(1,), (2,)]
    DeltaTable(table).delete("x = 1")
    assert rows(cursor, "SELECT x FROM t ORDER BY x") == [(2,)]
    cursor.execute("INSERT INTO t VALUES (3)")
    assert sorted(DeltaTable(table).to_pyarrow_table()["x"].to_pylist()) == [2, 3]


def test_a_checkpoint_and_a_long_log(lake):
    cursor, folder = lake
    cursor.execute("CREATE TABLE t (x BIGINT)")
    table = delta_folder(folder)
    for x in range(25):
        cursor.execute(f"INSERT INTO t VALUES ({x})")
    DeltaTable(table).create_checkpoint()
    DeltaTable(table).cleanup_metadata()
    cursor.execute("INSERT INTO t VALUES (25)")
    assert rows(cursor, "SELECT count(*), sum(x) FROM t") == [(26, 325)]
    assert DeltaTable(table).to_pyarrow_table().num_rows == 26


def test_compaction_by_deltalake_changes_no_answer(lake):
    cursor, folder = lake
    cursor.execute("CREATE TABLE t (x BIGINT)")
    for x in range(6):
        cursor.execute(f"INSERT INTO t VALUES ({x})")
    table = DeltaTable(delta_folder(folder))
    table.optimize.compact()
    assert rows(cursor, "SELECT count(*), sum(x) FROM t") == [(6, 15)]
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert rows(cursor, "SELECT count(*), sum(x) FROM t") == [(6, 15)]


def test_a_column_added_by_deltalake(lake):
    cursor, folder = lake
    cursor.execute("CREATE TABLE t AS SELECT CAST(1 AS BIGINT) AS x")
    more = pa.table({"x": pa.array([2], pa.int64()), "y": ["new"]})
    write_deltalake(delta_folder(folder), more, mode="append", schema_mode="merge")
    assert rows(cursor, "SELECT x, y FROM t ORDER BY x") == [(1, None), (2, "new")]


CHANGES = [
    "DELETE FROM t WHERE id % 5 = 0",
    "UPDATE t SET text = 'größe / 100%', price = price * 2 WHERE id IN (2, 3, 14)",
    "UPDATE t SET day = NULL, tags = ['new'] WHERE text IS NULL",
    """MERGE INTO t USING (SELECT id + 3 AS id, price, 'merged' AS text, day, moment, tags, point FROM t) AS s
       ON t.id = s.id
       WHEN MATCHED AND s.id > 15 THEN DELETE
       WHEN MATCHED THEN UPDATE SET text = s.text, point = s.point
       WHEN NOT MATCHED BY SOURCE AND t.id < 3 THEN UPDATE SET price = 0
       WHEN NOT MATCHED THEN INSERT *""",
    "INSERT INTO t SELECT * FROM t WHERE id = 4",
    "DELETE FROM t WHERE text = 'merged' AND id < 10",
]  # fmt: skip


@pytest.mark.parametrize("partitions", ["", "PARTITIONED BY (text)", "PARTITIONED BY (day, text)"])
def test_deltalake_reads_the_rows_that_boathouse_changed(lake, partitions):
    cursor, folder = lake
    cursor.adbc_ingest("source", DATA, mode="create")
    source = delta_folder(folder)
    columns = ", ".join(DATA.column_names[1:])
    cursor.execute(f"""CREATE TABLE t {partitions} AS
        SELECT source.id + value * 3 AS id, {columns} FROM source, generate_series(0, 5)""")
    [table] = [log.parent for log in folder.glob("**/_delta_log") if log.parent != source]
    for sql in CHANGES:
        cursor.execute(sql)
        names = ", ".join(DATA.column_names)
        cursor.execute(f"SELECT {names} FROM t")
        ours = sorted(cursor.fetch_arrow_table().to_pylist(), key=str)
        theirs = DeltaTable(table).to_pyarrow_table().select(DATA.column_names).to_pylist()
        assert ours == sorted(theirs, key=str), sql
    for sql in ("INSERT OVERWRITE t SELECT * FROM t WHERE id > 10", "TRUNCATE TABLE t"):
        cursor.execute(sql)
        cursor.execute("SELECT id FROM t")
        ours = sorted(id for (id,) in cursor.fetchall())
        assert ours == sorted(DeltaTable(table).to_pyarrow_table()["id"].to_pylist()), sql
    operations = [commit["operation"] for commit in DeltaTable(table).history(8)]
    assert operations == ["DELETE", "WRITE", "DELETE", "WRITE", "MERGE", "UPDATE", "UPDATE", "DELETE"]


def test_a_change_says_what_it_removed(lake):
    cursor, folder = lake
    cursor.execute("CREATE TABLE t (x BIGINT, k VARCHAR) PARTITIONED BY (k)")
    cursor.execute("INSERT INTO t VALUES (1, 'a b'), (2, 'a b'), (3, NULL)")
    cursor.execute("DELETE FROM t WHERE x = 1")
    log = (delta_folder(folder) / "_delta_log/00000000000000000002.json").read_text()
    actions = [json.loads(line) for line in log.splitlines()]
    [removed] = [action["remove"] for action in actions if "remove" in action]
    [added] = [action["add"] for action in actions if "add" in action]
    assert removed["dataChange"] and removed["extendedFileMetadata"] and removed["deletionTimestamp"] > 0
    assert removed["partitionValues"] == added["partitionValues"] == {"k": "a b"}
    assert removed["size"] > 0 and removed["path"] != added["path"]
    assert json.loads(added["stats"])["numRecords"] == 1


def test_append_only_tables_keep_their_rows(lake, tmp_path):
    cursor, _ = lake
    table = pa.table({"x": pa.array([1, 2], pa.int64())})
    write_deltalake(tmp_path / "t", table, configuration={"delta.appendOnly": "true"})
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{tmp_path}/t/'")
    for sql in ("DELETE FROM t", "UPDATE t SET x = 1", "TRUNCATE TABLE t", "INSERT OVERWRITE t VALUES (1)"):
        with pytest.raises(Exception, match="append-only"):
            cursor.execute(sql)
    cursor.execute("INSERT INTO t VALUES (3)")
    assert rows(cursor, "SELECT count(*) FROM t") == [(3,)]


def test_vacuum_after_changes_loses_nothing(lake):
    cursor, folder = lake
    cursor.execute("CREATE TABLE t AS SELECT value AS x FROM generate_series(1, 100)")
    cursor.execute("UPDATE t SET x = x + 1000 WHERE x > 50")
    cursor.execute("DELETE FROM t WHERE x < 10")
    table = DeltaTable(delta_folder(folder))
    table.create_checkpoint()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert rows(cursor, "SELECT count(*), max(x) FROM t") == [(91, 1100)]
    cursor.execute("DELETE FROM t WHERE x = 1100")
    assert DeltaTable(delta_folder(folder)).to_pyarrow_table().num_rows == 90


@pytest.mark.parametrize("partitions", [[], ["k"]])
def test_change_data_tells_what_became_of_each_row(lake, tmp_path, partitions):
    cursor, _ = lake
    table = pa.table({"x": pa.array(range(1, 7), pa.int64()), "k": ["a", "a", "b", "d", None, "c"]})
    write_deltalake(tmp_path / "t", table, partition_by=partitions,
                    configuration={"delta.enableChangeDataFeed": "true"})  # fmt: skip
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{tmp_path}/t/'")
    cursor.execute("DELETE FROM t WHERE x = 1")
    cursor.execute("UPDATE t SET x = x * 10 WHERE x IN (2, 3)")
    cursor.execute("""MERGE INTO t USING (SELECT * FROM (VALUES (20, 'z'), (4, 'y'), (9, 'n')) AS v (x, k)) AS s
                      ON t.x = s.x
                      WHEN MATCHED AND s.x = 4 THEN DELETE
                      WHEN MATCHED THEN UPDATE SET k = s.k
                      WHEN NOT MATCHED THEN INSERT *""")
    cursor.execute("UPDATE t SET x = x + 1")
    cursor.execute("DELETE FROM t")
    changes = pa.table(DeltaTable(tmp_path / "t").load_cdf(starting_version=1).read_all())
    found = [(row["_commit_version"], row["_change_type"], row["x"], row["k"]) for row in changes.to_pylist()]
    before = [(5, None), (6, "c"), (9, "n"), (20, "z"), (30, "b")]
    after = [(x + 1, k) for x, k in before]
    expected = [
        (1, "delete", 1, "a"),
        (2, "update_preimage", 2, "a"), (2, "update_postimage", 20, "a"),
        (2, "update_preimage", 3, "b"), (2, "update_postimage", 30, "b"),
        (3, "delete", 4, "d"), (3, "insert", 9, "n"),
        (3, "update_preimage", 20, "a"), (3, "update_postimage", 20, "z"),
        *((4, "update_preimage", *row) for row in before),
        *((4, "update_postimage", *row) for row in after),
        *((5, "delete", *row) for row in after),
    ]  # fmt: skip
    assert sorted(found, key=str) == sorted(expected, key=str)
