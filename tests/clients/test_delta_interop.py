"""Delta tables go both ways between Boathouse and the `deltalake` package."""

import datetime
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


def test_deltalake_sees_history_compaction_and_orphans_alike(lake):
    cursor, folder = lake
    cursor.execute("CREATE TABLE t (id BIGINT, day DATE) PARTITIONED BY (day)")
    for id in range(4):
        cursor.execute(f"INSERT INTO t VALUES ({id}, '2024-01-0{1 + id % 2}')")
    before = rows(cursor, "SELECT id, day FROM t ORDER BY id")
    cursor.execute("OPTIMIZE t")
    cursor.fetchall()
    cursor.execute("OPTIMIZE t ZORDER BY id")
    cursor.fetchall()
    path = delta_folder(folder)
    table = DeltaTable(path)
    assert len(table.file_uris()) == 2
    found = table.to_pyarrow_table().sort_by("id").to_pylist()
    assert [(row["id"], row["day"]) for row in found] == before
    theirs = [(commit["version"], commit["operation"]) for commit in table.history()]
    assert rows(cursor, "SELECT 1") == [(1,)]
    cursor.execute("DESCRIBE HISTORY t")
    ours = [(commit[0], commit[4]) for commit in cursor.fetchall()]
    assert ours == theirs
    cursor.execute("SET vacuum_retention_check = false")
    cursor.execute("VACUUM t RETAIN 0 HOURS DRY RUN")
    ours = {row[0].split(f"{path.name}/")[-1] for row in cursor.fetchall()}
    theirs = table.vacuum(retention_hours=0, dry_run=True, enforce_retention_duration=False, full=True)
    assert ours == set(theirs) and len(ours) == 6


def test_what_deltalake_changed_is_in_table_changes(lake, tmp_path):
    cursor, _ = lake
    location = tmp_path / "t"
    data = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "text": ["a", "b", "c"]})
    write_deltalake(location, data, configuration={"delta.enableChangeDataFeed": "true"})
    table = DeltaTable(location)
    table.update(updates={"text": "'x'"}, predicate="id = 2")
    table.delete("id = 3")
    table.optimize.compact()
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{location}/'")
    ours = rows(
        cursor,
        "SELECT id, text, _change_type, _commit_version FROM table_changes('t', 0) ORDER BY 4, 1, 3",
    )
    theirs = pa.table(DeltaTable(location).load_cdf(starting_version=0).read_all())
    names = ["id", "text", "_change_type", "_commit_version"]
    theirs = sorted(
        (tuple(row[name] for name in names) for row in theirs.to_pylist()),
        key=lambda row: (row[3], row[0], row[2]),
    )
    assert ours == theirs
    assert rows(cursor, "SELECT text FROM t@v0 WHERE id = 2") == [("b",)]
