"""Writes the files beside it: small tables in each format, and files that are damaged."""

import datetime
import gzip
import json
import shutil
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent

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


if __name__ == "__main__":
    formats()
    every_type()
    partitions()
    damaged()
    delta_tables()
