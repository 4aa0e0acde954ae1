"""Writes the files beside it: small tables in each format, and files that are damaged."""

import datetime
import gzip
import json
import shutil
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "oracle"))

import deletion_vectors  # noqa: E402

CITIES = [
    (1, "Berlin", 3_755_251, 891.7, "1237-10-28"),
    (2, "Zürich", 443_037, 87.9, None),
    (3, "New York, NY", 8_335_897, None, "1624-01-01"),
    (4, 'The "Hague"', 562_839, 98.1, "1230-01-01"),
]
COLUMNS = ["id", "name", "people", "area_km2", "founded"]


def write(path, content):
    path = HERE / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def parquet(path, table, **options):
    (HERE / path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, HERE / path, **options)


def quoted(value):
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if set('",') & set(text) else text


def csv():
    return "".join(",".join(map(quoted, row)) + "\n" for row in [COLUMNS, *CITIES])


def ndjson():
    return "".join(json.dumps(dict(zip(COLUMNS, row)), ensure_ascii=False) + "\n" for row in CITIES)


def zstd(text):
    return pa.compress(text.encode(), codec="zstd", asbytes=True)


def formats():
    write("csv/cities.csv", csv())
    write("csv_gz/cities.csv.gz", gzip.compress(csv().encode(), mtime=0))
    write("csv_zst/cities.csv.zst", zstd(csv()))
    write("csv_no_header/cities.csv", csv().split("\n", 1)[1])
    write("csv_semicolons/cities.csv", "id;name\n1;Berlin\n2;a,b\n")
    write("ndjson/cities.ndjson", ndjson())
    write("ndjson_gz/cities.json.gz", gzip.compress(ndjson().encode(), mtime=0))
    write("ndjson_nested/events.json", (
        '{"id": 1, "user": {"name": "ann", "tags": ["a", "b"]}}\n'
        '{"id": 2, "user": {"name": "bob", "tags": []}}\n'))  # fmt: skip


def every_type():
    """One Parquet file with a column of each type; the last row is all NULL."""
    utc = datetime.timezone.utc
    columns = {
        "flag": pa.array([True, False, None]),
        "i8": pa.array([-128, 127, None], pa.int8()),
        "i16": pa.array([-32768, 32767, None], pa.int16()),
        "i32": pa.array([-(2**31), 2**31 - 1, None], pa.int32()),
        "i64": pa.array([-(2**63), 2**63 - 1, None], pa.int64()),
        "f32": pa.array([1.5, -0.25, None], pa.float32()),
        "f64": pa.array([1e300, -1e-300, None], pa.float64()),
        "price": pa.array([Decimal("1234567.89"), Decimal("-0.01"), None], pa.decimal128(12, 2)),
        "huge": pa.array([Decimal("9" * 38), Decimal("-1"), None], pa.decimal128(38, 0)),
        "text": pa.array(["", "héllo 🌊", None]),
        "bytes": pa.array([b"", b"\x00\xff", None]),
        "day": pa.array([datetime.date(1970, 1, 1), datetime.date(9999, 12, 31), None]),
        "moment": pa.array([datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)] + [None] * 2, pa.timestamp("us")),
        "instant": pa.array([datetime.datetime(2024, 2, 29, 12, 0, tzinfo=utc)] + [None] * 2, pa.timestamp("us", "UTC")),
        "list": pa.array([[1, 2, None], [], None], pa.list_(pa.int32())),
        "struct": pa.array([{"a": 1, "b": "x"}, {"a": None, "b": None}, None],
                           pa.struct([("a", pa.int32()), ("b", pa.string())])),
        "map": pa.array([[("k", 1), ("l", None)], [], None], pa.map_(pa.string(), pa.int64())),
    }  # fmt: skip
    parquet("every_type/rows.parquet", pa.table(columns))


def partitions():
    for day, sales in [("2024-01-01", [1, 2]), ("2024-01-02", [3]), ("2024-02-01", [4, 5, 6])]:
        parquet(f"by_day/day={day}/rows.parquet", pa.table({"sale": pa.array(sales, pa.int32())}))
    for shop, day, sale in [("a", 1, 10), ("a", 2, 20), ("b", 1, 30)]:
        parquet(f"by_shop_and_day/shop={shop}/day={day}/rows.parquet", pa.table({"sale": pa.array([sale], pa.int32())}))
    for city, sale in [("New%20York", 1), ("Z%C3%BCrich", 2), ("__HIVE_DEFAULT_PARTITION__", 3)]:
        parquet(f"by_city/city={city}/rows.parquet", pa.table({"sale": pa.array([sale], pa.int32())}))
    parquet("by_wrong_day/day=2024-01-01/rows.parquet", pa.table({"sale": pa.array([1], pa.int32())}))
    parquet("by_wrong_day/day=yesterday/rows.parquet", pa.table({"sale": pa.array([2], pa.int32())}))
    # The second file has a column more, in another order.
    parquet("evolved/1.parquet", pa.table({"id": [1], "name": ["a"]}))
    parquet("evolved/2.parquet", pa.table({"email": ["b@x"], "name": ["b"], "id": [2]}))
    # Files that a reader must pass over.
    parquet("hidden/rows.parquet", pa.table({"id": [1]}))
    write("hidden/_SUCCESS", "")
    write("hidden/.rows.parquet.crc", "no Parquet")


def damaged():
    write("bad/text/rows.parquet", "This is no Parquet file.\n")
    whole = (HERE / "every_type/rows.parquet").read_bytes()
    write("bad/truncated/rows.parquet", whole[: len(whole) // 2])
    write("bad/empty/rows.parquet", "")
    write("bad/short_row/rows.csv", "a,b,c\n1,2,3\n4,5\n")
    write("bad/letters/rows.csv", "n\n1\ntwo\n")
    write("bad/half_json/rows.json", '{"a": 1}\n{"a":\n')


def delta(path, commits, schema, partition_columns=()):
    """A Delta table of the given versions; `None` leaves a gap."""
    shutil.rmtree(HERE / path, ignore_errors=True)
    for version, files in commits.items():
        actions = []
        if version == 0:
            actions.append({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}})
            actions.append({"metaData": {
                "id": "00000000-0000-0000-0000-000000000001",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": schema}),
                "partitionColumns": list(partition_columns),
                "configuration": {}, "createdTime": 0}})  # fmt: skip
        for action, name, table, values in files:
            if action == "remove":
                actions.append({"remove": {"path": name, "dataChange": True, "deletionTimestamp": 0}})
                continue
            parquet(f"{path}/{name}", table)
            actions.append({"add": {
                "path": name, "partitionValues": values, "dataChange": True, "modificationTime": 0,
                "size": (HERE / path / name).stat().st_size,
                "stats": json.dumps({"numRecords": table.num_rows})}})  # fmt: skip
        write(f"{path}/_delta_log/{version:020}.json", "".join(json.dumps(a) + "\n" for a in actions))


def delta_tables():
    def ids(*values):
        return pa.table({"id": pa.array(values, pa.int64())})

    id_field = {"name": "id", "type": "long", "nullable": True, "metadata": {}}
    day_field = {"name": "day", "type": "date", "nullable": True, "metadata": {}}
    delta("delta/plain", {
        0: [("add", "a.parquet", ids(1, 2), {}), ("add", "b.parquet", ids(3), {})],
        1: [("remove", "b.parquet", None, {}), ("add", "c.parquet", ids(4, 5), {})],
    }, [id_field])  # fmt: skip
    delta("delta/by_day", {
        0: [("add", "day=2024-01-01/a.parquet", ids(1, 2), {"day": "2024-01-01"}),
            ("add", "day=2024-01-02/b.parquet", ids(3), {"day": "2024-01-02"}),
            ("add", "day=__HIVE_DEFAULT_PARTITION__/c.parquet", ids(4), {"day": None})],
    }, [id_field, day_field], ["day"])  # fmt: skip
    delta("bad/delta_gap", {
        0: [("add", "a.parquet", ids(1), {})],
        2: [("add", "c.parquet", ids(3), {})],
    }, [id_field])  # fmt: skip
    delta("bad/delta_lost_file", {0: [("add", "a.parquet", ids(1), {})]}, [id_field])
    (HERE / "bad/delta_lost_file/a.parquet").unlink()


def write_log(path, commits, schema, partition_columns=(), features=(), configuration=None):
    """The log of a Delta table whose files are there already: the actions of each version."""
    protocol = {"minReaderVersion": 1, "minWriterVersion": 2}
    if features:
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7,
                    "readerFeatures": list(features), "writerFeatures": list(features)}  # fmt: skip
    metadata = {
        "id": "00000000-0000-0000-0000-000000000001", "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": schema}),
        "partitionColumns": list(partition_columns), "configuration": configuration or {},
        "createdTime": 0,
    }  # fmt: skip
    for version, actions in enumerate(commits):
        if version == 0:
            actions = [{"protocol": protocol}, {"metaData": metadata}, *actions]
        write(f"{path}/_delta_log/{version:020}.json", "".join(json.dumps(a) + "\n" for a in actions))


def add(folder, name, stats=None, values=None, deleted=None, **other):
    action = {
        "path": name, "partitionValues": values or {}, "dataChange": True, "modificationTime": 0,
        "size": (HERE / folder / name).stat().st_size, "stats": json.dumps(stats) if stats else None,
    }  # fmt: skip
    return {"add": action | ({"deletionVector": deleted} if deleted else {}) | other}


def column(name, data_type, **metadata):
    return {"name": name, "type": data_type, "nullable": True, "metadata": metadata}


def mapped(name, data_type, number, physical):
    keys = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": physical}
    return column(name, data_type, **keys)


def deleted_rows():
    """Three files of 10 rows in row groups of 3 and one that has all of its rows deleted."""
    path = "delta/deleted"
    shutil.rmtree(HERE / path, ignore_errors=True)

    def file(name, first):
        ids = list(range(first, first + 10))
        halves = [None if n % 2 else n // 2 for n in ids]
        table = pa.table({"id": pa.array(ids, pa.int64()), "half": pa.array(halves, pa.int32())})
        parquet(f"{path}/{name}", table, row_group_size=3)
        return {"numRecords": 10, "minValues": {"id": first, "half": (first + 1) // 2},
                "maxValues": {"id": first + 9, "half": (first + 9) // 2},
                "nullCount": {"id": 0, "half": 5}, "tightBounds": False}  # fmt: skip

    name = uuid.UUID("4f1f6e5e-52c1-4d0d-8a2b-9b8f5f1b8a10")
    names = ["a.parquet", "b.parquet", "c.parquet", "d.parquet"]
    stats = [file(name, first) for name, first in zip(names, (0, 10, 20, 30))]
    stats[2].pop("tightBounds")
    # The even rows are the ones with a value: file b has only NULLs left.
    even, all_rows = [0, 2, 4, 6, 8], range(10)
    in_b, in_d = deletion_vectors.in_file(HERE / path, [even, all_rows], "ab", name)
    write_log(path, [
        [add(path, name, one) for name, one in zip(names, stats)],
        [{"remove": {"path": name, "dataChange": True, "deletionTimestamp": 0}} for name in ("a.parquet", "b.parquet")]
        + [add(path, "a.parquet", stats[0], deleted=deletion_vectors.inline([0, 3, 4, 5, 9])),
           add(path, "b.parquet", stats[1], deleted=in_b)],
        [{"remove": {"path": "d.parquet", "dataChange": True, "deletionTimestamp": 0}},
         add(path, "d.parquet", stats[3], deleted=in_d)],
    ], [column("id", "long"), column("half", "integer")], features=["deletionVectors"])  # fmt: skip


def mapped_columns():
    """A column was renamed, another dropped and made anew, in a table and in a struct of it."""
    inner = [mapped("x", "integer", 4, "col-x"), mapped("y", "string", 6, "col-y2")]
    schema = [
        mapped("id", "long", 1, "col-id"),
        mapped("title", "string", 2, "col-name"),
        mapped("point", {"type": "struct", "fields": inner}, 3, "col-point"),
        mapped("points", {"type": "array", "elementType": {"type": "struct", "fields": [
            mapped("z", "integer", 9, "col-z")]}, "containsNull": True}, 8, "col-points"),
        mapped("day", "date", 7, "col-day"),
    ]  # fmt: skip

    def with_id(name, data_type, number):
        return pa.field(name, data_type, metadata={"PARQUET:field_id": str(number)})

    def table(names, ids, second):
        point = pa.struct([with_id(names[2], pa.int32(), 4), with_id(names[3], pa.string(), second)])
        points = pa.list_(pa.field("element", pa.struct([with_id(names[5], pa.int32(), 9)])))
        return pa.table([
            pa.array(ids, pa.int64()), pa.array([f"name {n}" for n in ids]),
            pa.array([(n * 10, f"y {n}") for n in ids], point), pa.array([[(n,), (n + 1,)] for n in ids], points),
        ], schema=pa.schema([with_id(names[0], pa.int64(), 1), with_id(names[1], pa.string(), 2),
                             with_id(names[4], point, 3), with_id(names[6], points, 8)]))  # fmt: skip

    def stats(names, first, last):
        return {"numRecords": 2,
                "minValues": {names[0]: first, names[1]: f"name {first}", names[4]: {names[2]: first * 10}},
                "maxValues": {names[0]: last, names[1]: f"name {last}", names[4]: {names[2]: last * 10}},
                "nullCount": {names[0]: 0, names[1]: 0, names[4]: {names[2]: 0}}}  # fmt: skip

    # The older file's y is one that was dropped before the newer y came.
    older = ["col-id", "col-name", "col-x", "col-y", "col-point", "col-z", "col-points"]
    newer = ["col-id", "col-name", "col-x", "col-y2", "col-point", "col-z", "col-points"]
    for path, mode in [("delta/mapped", "name"), ("delta/mapped_by_id", "id")]:
        shutil.rmtree(HERE / path, ignore_errors=True)
        # By id, what a file calls its columns says nothing.
        names = [older, newer] if mode == "name" else [["a", "b", "c", "d", "e", "f", "g"]] * 2
        parquet(f"{path}/1.parquet", table(names[0], [1, 2], 5))
        parquet(f"{path}/2.parquet", table(names[1], [3, 4], 6))
        configuration = {"delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": "9"}
        write_log(path, [
            [add(path, "1.parquet", stats(older, 1, 2), {"col-day": "2024-01-01"})],
            [add(path, "2.parquet", stats(newer, 3, 4), {"col-day": None})],
        ], schema, ["day"], ["columnMapping"], configuration)  # fmt: skip


def widened():
    """Columns that were narrower when the first file was written."""
    path = "delta/widened"
    shutil.rmtree(HERE / path, ignore_errors=True)
    parquet(f"{path}/1.parquet", pa.table({"n": pa.array([1, 2], pa.int32()), "f": pa.array([0.5, None], pa.float32())}))
    parquet(f"{path}/2.parquet", pa.table({"n": pa.array([2**40], pa.int64()), "f": pa.array([1e300])}))
    changes = [{"toType": "long", "fromType": "integer"}]
    write_log(path, [
        [add(path, "1.parquet", {"numRecords": 2, "minValues": {"n": 1}, "maxValues": {"n": 2}, "nullCount": {"n": 0}}),
         add(path, "2.parquet", {"numRecords": 1, "minValues": {"n": 2**40}, "maxValues": {"n": 2**40}, "nullCount": {"n": 0}})],
    ], [column("n", "long", **{"delta.typeChanges": changes}), column("f", "double")],
       features=["typeWidening"], configuration={"delta.enableTypeWidening": "true"})  # fmt: skip


def bad_deltas():
    """Logs that are damaged, or need what is not there."""
    ids = pa.table({"id": pa.array([1, 2, 3], pa.int64())})
    stats = {"numRecords": 3}
    schema = [column("id", "long")]

    def table(name, actions, columns=schema, **options):
        path = f"bad/{name}"
        shutil.rmtree(HERE / path, ignore_errors=True)
        parquet(f"{path}/a.parquet", ids)
        write_log(path, [actions(path)], columns, **options)
        return path

    def plain(path):
        return [add(path, "a.parquet", stats)]

    def vector(**change):
        descriptor = deletion_vectors.inline([0, 1]) | change
        return lambda path: [add(path, "a.parquet", stats, deleted=descriptor)]

    with_vectors = {"features": ["deletionVectors"]}
    table("delta_feature", plain, features=["deletionVectors", "fromTheFuture"])
    table("delta_outside", lambda path: [add(path, "a.parquet", stats, path="../plain/a.parquet")])
    table("delta_negative_size", lambda path: [add(path, "a.parquet", stats, size=-1)])
    table("delta_no_day", lambda path: [add(path, "a.parquet", stats, {"day": "yesterday"})],
          [*schema, column("day", "date")], partition_columns=["day"])  # fmt: skip
    table("delta_dv_count", vector(cardinality=1), **with_vectors)
    table("delta_dv_rows", lambda path: [add(path, "a.parquet", stats, deleted=deletion_vectors.inline([7]))],
          **with_vectors)  # fmt: skip
    table("delta_dv_total", lambda path: [add(path, "a.parquet", {"numRecords": 5}, deleted=deletion_vectors.inline([0]))],
          **with_vectors)  # fmt: skip
    table("delta_dv_text", vector(pathOrInlineDv="~~~~~"), **with_vectors)
    table("delta_dv_kind", vector(storageType="x"), **with_vectors)
    table("delta_dv_outside", vector(storageType="p", pathOrInlineDv="file:///etc/passwd"), **with_vectors)
    path = table("delta_last_checkpoint", plain)
    write(f"{path}/_delta_log/_last_checkpoint", "{not JSON")
    path = table("delta_no_checkpoint", plain)
    write(f"{path}/_delta_log/_last_checkpoint", json.dumps({"version": 7, "size": 3}))
    path = table("delta_checkpoint", plain)
    write(f"{path}/_delta_log/{0:020}.checkpoint.parquet", "no Parquet")
    write(f"{path}/_delta_log/_last_checkpoint", json.dumps({"version": 0, "size": 3}))


if __name__ == "__main__":
    formats()
    every_type()
    partitions()
    damaged()
    delta_tables()
    deleted_rows()
    mapped_columns()
    widened()
    bad_deltas()
