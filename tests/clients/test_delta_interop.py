"""Delta tables go both ways between Boathouse, the `deltalake` package and DuckDB."""

import datetime
import functools
import json
import random
import subprocess
import sys
import uuid
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, Server, serving
from deltalake import DeltaTable, QueryBuilder, write_deltalake

sys.path.insert(0, str(ROOT / "tests/oracle"))

import deletion_vectors  # noqa: E402


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


@functools.cache


def duckdb_python():
    """The Python of an environment with a DuckDB that reads Delta tables."""
    command = [ROOT / "tests/services/clients-env", ROOT / "tests/oracle/duckdb_delta.txt"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def duckdb(sql):
    command = [duckdb_python(), ROOT / "tests/oracle/duckdb_delta.py", sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_json(rows):
    return json.loads(json.dumps(rows, default=str))


@pytest.mark.parametrize("partitions", ["", "PARTITIONED BY (day)"])
@pytest.mark.parametrize("mapping", ["none", "name", "id"])
def test_duckdb_and_deltalake_read_what_boathouse_wrote(lake, partitions, mapping):
    cursor, folder = lake
    cursor.adbc_ingest("source", DATA, mode="create")
    source = delta_folder(folder)
    cursor.execute(f"CREATE TABLE t {partitions} TBLPROPERTIES ('delta.columnMapping.mode' = '{mapping}') "
                   "AS SELECT * FROM source")  # fmt: skip
    cursor.execute("INSERT INTO t SELECT * FROM source WHERE id = 2")
    [table] = [log.parent for log in folder.glob("**/_delta_log") if log.parent != source]
    columns = "id, price, text, CAST(day AS VARCHAR) AS day, tags, point['x'] AS x, point['y'] AS y"
    mine = rows(cursor, f"SELECT {columns} FROM t ORDER BY id, price NULLS LAST")
    other = columns.replace("point['x']", "point.x").replace("point['y']", "point.y")
    if mapping == "none" or not partitions:
        # This DuckDB looks for partition values under the table's names for keys.
        assert duckdb(f"SELECT {other} FROM delta_scan('{table}') ORDER BY id, price NULLS LAST") == as_json(mine)
        assert duckdb(f"SELECT id FROM delta_scan('{table}') WHERE point.x = 1.5 AND day = DATE '2024-02-29'") == [[1]]
    query = QueryBuilder().register("t", DeltaTable(table))
    found = pa.table(query.execute(f"SELECT {', '.join(DATA.column_names)} FROM t ORDER BY id").read_all())
    assert found.to_pylist() == [DATA.to_pylist()[row] for row in (0, 1, 1, 2)]


@pytest.mark.parametrize("properties", [
    {}, {"delta.columnMapping.mode": "name"}, {"delta.columnMapping.mode": "id"},
    {"delta.enableDeletionVectors": "true"}, {"delta.checkpoint.writeStatsAsJson": "false", "delta.checkpoint.writeStatsAsStruct": "true"},
])  # fmt: skip


def test_boathouse_and_deltalake_write_to_one_table(lake, tmp_path, properties):
    cursor, _ = lake
    folder = tmp_path / "t"
    write_deltalake(folder, DATA, partition_by=["day"], configuration=properties)
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{folder}/'")
    cursor.execute("INSERT INTO t SELECT * FROM t WHERE id = 3")
    DeltaTable(folder).create_checkpoint()
    write_deltalake(folder, DATA.slice(0, 1), mode="append")
    DeltaTable(folder).delete("id = 2")
    cursor.execute(f"SELECT {', '.join(DATA.column_names)} FROM t ORDER BY id")
    everything = DATA.to_pylist()
    assert cursor.fetch_arrow_table().to_pylist() == [everything[row] for row in (0, 0, 2, 2)]
    # Under another name it's read from its checkpoint, which finds the same.
    (tmp_path / "link").symlink_to(folder)
    cursor.execute(f"SELECT id, point['x'] FROM '{tmp_path}/link/' ORDER BY id")
    assert cursor.fetchall() == [(1, 1.5), (1, 1.5), (3, None), (3, None)]
    assert duckdb(f"SELECT id FROM delta_scan('{folder}') ORDER BY id") == [[1], [1], [3], [3]]


def test_compacted_logs(lake, tmp_path):
    cursor, _ = lake
    for x in range(6):
        write_deltalake(tmp_path / "t", pa.table({"x": pa.array([x], pa.int64())}), mode="append")
    DeltaTable(tmp_path / "t").compact_logs(1, 4)
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{tmp_path}/t/'")
    assert rows(cursor, "SELECT count(*), sum(x) FROM t") == [(6, 15)]
    write_deltalake(tmp_path / "t", pa.table({"x": pa.array([6], pa.int64())}), mode="append")
    assert rows(cursor, "SELECT count(*), sum(x) FROM t") == [(7, 21)]


def test_timestamps_without_a_time_zone(lake, tmp_path):
    cursor, _ = lake
    moments = [datetime.datetime(2024, 2, 29, 1, 2, 3, 4), None, datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)]
    write_deltalake(tmp_path / "t", pa.table({"at": pa.array(moments, pa.timestamp("us"))}))
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{tmp_path}/t/'")
    cursor.execute("SELECT at FROM t")
    assert cursor.fetch_arrow_table()["at"].to_pylist() == moments
    assert rows(cursor, "SELECT count(*) FROM t WHERE at = TIMESTAMP '2024-02-29 01:02:03.000004'") == [(1,)]
    assert rows(cursor, "SELECT count(*) FROM t WHERE at > TIMESTAMP '1969-12-31 23:59:59.9995'") == [(2,)]


def test_a_table_in_the_place_of_another_is_noticed(lake, tmp_path):
    cursor, _ = lake
    folder = tmp_path / "t"

    def written(*values):
        for x in values:
            write_deltalake(folder, pa.table({"x": pa.array([x], pa.int64())}), mode="append")

    written(1, 2, 3)
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{folder}/'")
    assert rows(cursor, "SELECT sum(x) FROM t") == [(6,)]
    for values in [(10, 20, 30), (100,), (1000, 2000, 3000, 4000)]:
        folder.rename(tmp_path / f"old{values[0]}")
        written(*values)
        assert rows(cursor, "SELECT sum(x) FROM t") == [(sum(values),)]
    folder.rename(tmp_path / "gone")
    with pytest.raises(Exception, match="(?i)delta"):
        rows(cursor, "SELECT sum(x) FROM t")


def test_a_version_that_is_lost_is_missed(lake, tmp_path):
    cursor, _ = lake
    folder = tmp_path / "t"
    for x in range(3):
        write_deltalake(folder, pa.table({"x": pa.array([x], pa.int64())}), mode="append")
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{folder}/'")
    assert rows(cursor, "SELECT sum(x) FROM t") == [(3,)]
    for x in range(3, 5):
        write_deltalake(folder, pa.table({"x": pa.array([x], pa.int64())}), mode="append")
    lost = folder / f"_delta_log/{3:020}.json"
    kept = lost.read_bytes()
    lost.unlink()
    with pytest.raises(Exception, match="the Delta log has no version 3"):
        rows(cursor, "SELECT sum(x) FROM t")
    lost.write_bytes(kept)
    assert rows(cursor, "SELECT sum(x) FROM t") == [(10,)]


def test_a_wrong_hint_of_the_last_checkpoint(lake, tmp_path):
    cursor, _ = lake
    folder = tmp_path / "t"
    for x in range(3):
        write_deltalake(folder, pa.table({"x": pa.array([x], pa.int64())}), mode="append")
    for number, hint in enumerate(["", "{", '{"version": 50, "size": 1}', '{"version": 1, "size": 1, "parts": 4}']):
        (folder / "_delta_log/_last_checkpoint").write_text(hint)
        (tmp_path / f"link{number}").symlink_to(folder)
        cursor.execute(f"CREATE EXTERNAL TABLE t{number} STORED AS DELTA LOCATION '{tmp_path}/link{number}/'")
        cursor.execute(f"INSERT INTO t{number} VALUES (10)")
        assert rows(cursor, f"SELECT sum(x) FROM t{number}") == [(3 + 10 * (number + 1),)]


class Deleting:
    """A Delta table whose commits with deletion vectors are made by hand."""

    def __init__(self, folder, row_group_size):
        self.folder = folder
        self.row_group_size = row_group_size
        self.version = 0
        self.files = {}
        schema = {"type": "struct", "fields": [
            {"name": name, "type": kind, "nullable": True, "metadata": {}}
            for name, kind in [("id", "long"), ("text", "string")]]}  # fmt: skip
        features = ["deletionVectors"]
        self.commit([
            {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
                          "readerFeatures": features, "writerFeatures": features}},
            {"metaData": {"id": str(uuid.uuid4()), "format": {"provider": "parquet", "options": {}},
                          "schemaString": json.dumps(schema), "partitionColumns": [],
                          "configuration": {"delta.enableDeletionVectors": "true"}, "createdTime": 0}},
        ])  # fmt: skip

    def commit(self, actions):
        log = self.folder / "_delta_log"
        log.mkdir(parents=True, exist_ok=True)
        (log / f"{self.version:020}.json").write_text("".join(json.dumps(a) + "\n" for a in actions))
        self.version += 1

    def add(self, ids):
        """A file of the ids, of which none is deleted."""
        name = f"part-{uuid.uuid4()}.parquet"
        table = pa.table({"id": pa.array(ids, pa.int64()), "text": [f"text {n}" if n % 3 else None for n in ids]})
        pq.write_table(table, self.folder / name, row_group_size=self.row_group_size, data_page_size=200)
        stats = {"numRecords": len(ids), "minValues": {"id": min(ids)}, "maxValues": {"id": max(ids)},
                 "nullCount": {"id": 0, "text": sum(n % 3 == 0 for n in ids)}}  # fmt: skip
        size = (self.folder / name).stat().st_size
        action = {"path": name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": True,
                  "stats": json.dumps(stats)}  # fmt: skip
        self.files[name] = (action, list(ids), None)
        self.commit([{"add": action}])
        return name

    def delete(self, name, rows, descriptor):
        action, ids, before = self.files[name]
        remove = {"path": name, "dataChange": True, "deletionTimestamp": 0}
        stats = json.loads(action["stats"]) | {"tightBounds": False}
        added = action | {"stats": json.dumps(stats), "deletionVector": descriptor}
        self.commit([{"remove": remove | ({"deletionVector": before} if before else {})}, {"add": added}])
        self.files[name] = (action, ids, descriptor)
        return [n for row, n in enumerate(ids) if row not in set(rows)]


@pytest.mark.parametrize("kind", ["inline", "file", "absolute"])
@pytest.mark.parametrize("row_group_size", [100, 7_000])
def test_rows_with_deletion_vectors(lake, tmp_path, kind, row_group_size):
    cursor, _ = lake
    random.seed(row_group_size)
    table = Deleting(tmp_path / "t", row_group_size)
    size = 20_000
    names = [table.add(range(start, start + size)) for start in (0, size, 2 * size)]
    whole = table.add(range(3 * size, 3 * size + 50))
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{tmp_path}/t/'")
    assert rows(cursor, "SELECT count(*) FROM t") == [(3 * size + 50,)]
    # More and more rows, so that one vector takes the place of another.
    left = {}
    deleted = [set(), set(), set()]
    for times in range(3):
        for file, name in enumerate(names):
            deleted[file] |= set(random.sample(range(size), [50, 3_000, 9_000][times]))
            deleted[file] |= set(range(times * 5_000, times * 5_000 + 4_500)) if file == 1 else set()
            if file == 2 and times == 2:
                deleted[file] = set(range(size))
            descriptor = (
                deletion_vectors.inline(deleted[file]) if kind == "inline" else
                deletion_vectors.in_file(tmp_path / "t", [[1], deleted[file]], "x" if file else "", absolute=kind == "absolute")[1]
            )  # fmt: skip
            left[name] = table.delete(name, deleted[file], descriptor)
        left[whole] = list(range(3 * size, 3 * size + 50))
        ids = sorted(n for some in left.values() for n in some)
        check_ids(cursor, ids, size)
    found = duckdb(f"SELECT count(*), sum(id), count(text) FROM delta_scan('{tmp_path}/t')")
    assert found == [[len(ids), sum(ids), sum(n % 3 != 0 for n in ids)]]


def check_ids(cursor, ids, size):
    cursor.execute("SELECT id FROM t ORDER BY id")
    assert cursor.fetch_arrow_table()["id"].to_pylist() == ids
    texts = sum(n % 3 != 0 for n in ids)
    assert rows(cursor, "SELECT count(*), count(text), min(id), max(id) FROM t") == [(len(ids), texts, ids[0], ids[-1])]
    for low, high in [(0, 10), (5_003, 5_999), (size - 5, size + 5), (2 * size, 3 * size + 7)]:
        wanted = [(n,) for n in ids if low <= n <= high]
        where = f"id BETWEEN {low} AND {high}"
        assert rows(cursor, f"SELECT id FROM t WHERE {where} ORDER BY id") == wanted
        limited = rows(cursor, f"SELECT id FROM t WHERE {where} LIMIT 3")
        assert len(limited) == min(3, len(wanted)) and set(limited) <= set(wanted)
        assert rows(cursor, f"SELECT count(*) FROM t WHERE {where} AND text IS NULL") == [
            (sum(n % 3 == 0 for (n,) in wanted),)]  # fmt: skip
    assert len(rows(cursor, f"SELECT id FROM t LIMIT {len(ids) + 1}")) == len(ids)
    assert rows(cursor, "SELECT id FROM t ORDER BY id DESC LIMIT 2") == [(n,) for n in ids[:-3:-1]]


def test_rows_added_to_a_table_with_deletion_vectors(lake, tmp_path):
    cursor, _ = lake
    table = Deleting(tmp_path / "t", 100)
    name = table.add(range(10))
    table.delete(name, [0, 1], deletion_vectors.inline([0, 1]))
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{tmp_path}/t/'")
    cursor.execute("INSERT INTO t VALUES (100, 'new')")
    assert rows(cursor, "SELECT count(*), sum(id) FROM t") == [(9, 144)]
    assert duckdb(f"SELECT count(*), CAST(sum(id) AS INT) FROM delta_scan('{tmp_path}/t')") == [[9, 144]]


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


def test_rows_changed_in_a_table_with_deletion_vectors(lake, tmp_path):
    cursor, _ = lake
    table = Deleting(tmp_path / "t", 100)
    first, second = table.add(range(250)), table.add(range(250, 500))
    table.delete(first, range(0, 250, 2), deletion_vectors.inline(set(range(0, 250, 2))))
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{tmp_path}/t/'")
    left = [*range(1, 250, 2), *range(250, 500)]
    cursor.execute("DELETE FROM t WHERE id BETWEEN 100 AND 300")
    left = [n for n in left if not 100 <= n <= 300]
    check = lambda: rows(cursor, "SELECT id FROM t ORDER BY id") == [(n,) for n in sorted(left)]  # noqa: E731
    assert check()
    log = sorted((tmp_path / "t/_delta_log").glob("*.json"))[-1].read_text()
    removed = [json.loads(line)["remove"] for line in log.splitlines() if '"remove"' in line]
    assert {remove["path"]: "deletionVector" in remove for remove in removed} == {first: True, second: False}
    cursor.execute("UPDATE t SET id = id + 1000 WHERE id < 50")
    left = [n + 1000 if n < 50 else n for n in left]
    assert check()
    cursor.execute("""MERGE INTO t USING (SELECT value AS id FROM generate_series(400, 600)) AS s ON t.id = s.id
                      WHEN MATCHED AND t.id % 2 = 0 THEN DELETE
                      WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)""")
    left = [n for n in left if not 400 <= n <= 600 or n % 2] + list(range(500, 601))
    assert check()
    found = duckdb(f"SELECT count(*), CAST(sum(id) AS BIGINT) FROM delta_scan('{tmp_path}/t')")
    assert found == [[len(left), sum(left)]]
    cursor.execute("TRUNCATE TABLE t")
    assert rows(cursor, "SELECT count(*) FROM t") == [(0,)]
