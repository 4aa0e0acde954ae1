#!/usr/bin/env python3
"""How long a query's plan takes on a Delta table of many files: cold, warm, and after one more
commit.

    benches/delta_planning.py [--files 100000] [--rounds 9] [--binary PATH]

The log is a checkpoint and a few commits after it. No data file is there: a plan reads none.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tpch import ROOT, build

DAYS = 100
FIELDS = [("id", "long"), ("name", "string"), ("price", "double"), ("at", "timestamp"), ("day", "date")]
QUERIES = {
    "all files": "SELECT * FROM t",
    "a hundredth, by partition": "SELECT * FROM t WHERE day = DATE '2024-02-01'",
    "one file, by statistics": "SELECT * FROM t WHERE id = 777",
    "half of the files, by both": "SELECT name FROM t WHERE day >= DATE '2024-02-20' AND price >= 0 AND id >= 10",
    "count(*), from the log": "SELECT count(*) FROM t",
}


def add(number):
    day = f"2024-{1 + number % DAYS // 28:02}-{1 + number % DAYS % 28:02}"
    low, high = number * 1000, number * 1000 + 999
    stats = {
        "numRecords": 1000,
        "minValues": {"id": low, "name": f"name {low:012}", "price": 0.5, "at": "2024-01-01T00:00:00.000Z"},
        "maxValues": {"id": high, "name": f"name {high:012}", "price": 99.5, "at": "2024-12-31T00:00:00.000Z"},
        "nullCount": {"id": 0, "name": 3, "price": 0, "at": 0},
    }  # fmt: skip
    return {
        "path": f"day={day}/part-{number:08}-2ba6b6a0-1e0d-4f5c-9a70-4f0c4a7b6f55.zstd.parquet",
        "partitionValues": {"day": day}, "size": 1 << 20, "modificationTime": 1_700_000_000_000,
        "dataChange": False, "stats": json.dumps(stats),
    }  # fmt: skip


def protocol_and_metadata():
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in FIELDS]
    metadata = {
        "id": "4d5f1c2e-0000-4000-8000-000000000000", "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": ["day"], "configuration": {}, "createdTime": 0,
    }  # fmt: skip
    return {"minReaderVersion": 1, "minWriterVersion": 2}, metadata


def write_checkpoint(log, version, files):
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.map_(pa.string(), pa.string())
    protocol_type = pa.struct([("minReaderVersion", pa.int32()), ("minWriterVersion", pa.int32())])
    metadata_type = pa.struct([
        ("id", pa.string()), ("format", pa.struct([("provider", pa.string()), ("options", text)])),
        ("schemaString", pa.string()), ("partitionColumns", pa.list_(pa.string())),
        ("configuration", text), ("createdTime", pa.int64())])  # fmt: skip
    add_type = pa.struct([
        ("path", pa.string()), ("partitionValues", text), ("size", pa.int64()), ("modificationTime", pa.int64()),
        ("dataChange", pa.bool_()), ("stats", pa.string())])  # fmt: skip
    protocol, metadata = protocol_and_metadata()
    metadata = metadata | {"configuration": [], "format": {"provider": "parquet", "options": []}}
    adds = [add(number) for number in range(files)]
    adds = [action | {"partitionValues": list(action["partitionValues"].items())} for action in adds]
    blank = [None] * files
    table = pa.table({
        "protocol": pa.array([protocol, None, *blank], protocol_type),
        "metaData": pa.array([None, metadata, *blank], metadata_type),
        "add": pa.array([None, None, *adds], add_type),
    })  # fmt: skip
    pq.write_table(table, log / f"{version:020}.checkpoint.parquet")
    (log / "_last_checkpoint").write_text(json.dumps({"version": version, "size": files + 2}))


def write_commit(log, version, actions):
    lines = [{"commitInfo": {"timestamp": 1_700_000_000_000, "operation": "WRITE"}}, *actions]
    (log / f"{version:020}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def make(folder, files):
    log = folder / "_delta_log"
    log.mkdir(parents=True)
    write_checkpoint(log, 10, files - 5)
    protocol, metadata = protocol_and_metadata()
    write_commit(log, 10, [{"protocol": protocol}, {"metaData": metadata}])
    for number in range(5):
        write_commit(log, 11 + number, [{"add": add(files - 5 + number)}])
    return log


def milliseconds(cursor, sql):
    start = time.perf_counter()
    cursor.execute("EXPLAIN " + sql)
    plan = cursor.fetchall()
    return 1000 * (time.perf_counter() - start), plan[-1][1]


def measure(binary, files, rounds):
    sys.path.insert(0, str(ROOT / "tests/services"))
    from adbc_driver_flightsql import dbapi
    from process import free_ports, start, stop

    with tempfile.TemporaryDirectory() as folder:
        log = make(Path(folder) / "t", files)
        port, http = free_ports(2)
        command = [binary, "serve", "--flight", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http}",
                   "--data-dir", Path(folder) / "data"]  # fmt: skip
        server = start(command, stderr=subprocess.PIPE, text=True)
        try:
            server.stderr.readline()
            with dbapi.connect(f"grpc://127.0.0.1:{port}", autocommit=True) as connection, connection.cursor() as cursor:
                report(cursor, Path(folder) / "t", log, files, rounds)
        finally:
            stop(server)


def report(cursor, folder, log, files, rounds):
    cursor.execute(f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{folder}/'")
    # Another name of the same folder is another table, and nothing of it is kept yet.
    link = folder.parent / "cold"
    link.symlink_to(folder)
    cold, _ = milliseconds(cursor, f"SELECT * FROM '{link}/' WHERE id = 777")
    print(f"{files} files; milliseconds until a query is planned, median of {rounds}")
    print(f"{'cold (the whole log is read)':44}{cold:10.0f}")
    print(f"{'':44}{'warm':>10}{'+ commit':>10}  files in the plan")
    version = 16
    for name, sql in QUERIES.items():
        milliseconds(cursor, sql)
        warm = statistics.median(milliseconds(cursor, sql)[0] for _ in range(rounds))
        after = []
        for _ in range(rounds):
            write_commit(log, version, [{"add": add(files + version)}])
            version += 1
            time_taken, plan = milliseconds(cursor, sql)
            after.append(time_taken)
        scanned = plan.partition("files=")[2].partition(",")[0] or "none"
        print(f"{name:44}{warm:10.0f}{statistics.median(after):10.0f}  {scanned}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--binary", help="instead of a release build made now")
    arguments = parser.parse_args()
    environment = ROOT / "tests/services/clients-env"
    python = subprocess.run([environment], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    if Path(sys.prefix) != Path(python).parent.parent:
        os.execv(python, [python, __file__, *sys.argv[1:]])
    measure(arguments.binary or build()["boathouse"], arguments.files, arguments.rounds)


if __name__ == "__main__":
    main()
