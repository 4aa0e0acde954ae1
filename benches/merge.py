#!/usr/bin/env python3
"""The time and the peak memory of a MERGE of many rows into more, checked against DuckDB.

    benches/merge.py [--rows 10000000] [--changes 1000000] [--memory-mib 512] [--binary PATH]

Half of the changed rows are new; of those that match, some are deleted. The MERGE is one process
of its own, whose peak memory is what the kernel says of it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tpch import ROOT, build

MERGE = """
MERGE INTO target AS t USING source AS s ON t.id = s.id
WHEN MATCHED AND s.id % 7 = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET n = t.n + s.n, name = s.name
WHEN NOT MATCHED THEN INSERT *
"""
# The same rows in DuckDB, whose words for a series and for the join are others.
EXPECTED = """
WITH target AS ({target}), source AS ({source}), joined AS (
    SELECT coalesce(t.id, s.id) AS id,
           CASE WHEN t.id IS NULL THEN s.n WHEN s.id IS NULL THEN t.n ELSE t.n + s.n END AS n,
           coalesce(s.name, t.name) AS name,
           t.id IS NOT NULL AND s.id IS NOT NULL AND s.id % 7 = 0 AS gone
    FROM target AS t FULL JOIN source AS s ON t.id = s.id)
SELECT {sums} FROM joined WHERE NOT gone
"""
SUMS = "count(*), sum(id), sum(n), sum(n % 1009 * (id % 997)), sum(length(name)), min(name), max(name)"


def target(rows, series):
    return f"SELECT {series} AS id, {series} % 1000 AS n, 'row ' || {series} AS name FROM generate_series(1, {rows}) AS g(value)"


def source(rows, changes):
    """Every so many of the target's rows, and as many after its end."""
    step = max(1, 2 * rows // changes)
    return f"""SELECT value * {step} AS id, value % 100 AS n, 'changed ' || value AS name
               FROM generate_series(1, {changes}) AS g(value)"""


def run(binary, folder, memory, sql):
    """Runs a statement; gives seconds, the peak memory in MiB, and what was printed."""
    command = [binary, "sql", "--data-dir", folder / "data", "--format", "csv", "-c", sql]
    env = os.environ | {"BOATHOUSE_ENGINE_MEMORY_LIMIT_BYTES": str(memory << 20), "HOME": str(folder)}
    start = time.monotonic()
    child = subprocess.Popen(list(map(str, command)), env=env, stdout=subprocess.PIPE, text=True)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"failed: {sql}\n{output}")
    return time.monotonic() - start, usage.ru_maxrss // 1024, output


def measure(arguments):
    import duckdb

    binary = arguments.binary or build()["boathouse"]
    rows, changes, memory = arguments.rows, arguments.changes, arguments.memory_mib
    made, merged = target(rows, "value"), source(rows, changes)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, select in [("target", made), ("source", merged)]:
            run(binary, folder, memory, f"CREATE TABLE {name} AS {select}")
        seconds, peak, _ = run(binary, folder, memory, MERGE)
        _, _, found = run(binary, folder, memory, f"SELECT {SUMS} FROM target")
        database = duckdb.connect()
        expected = database.execute(EXPECTED.format(target=made, source=merged, sums=SUMS)).fetchone()
    found = found.splitlines()[-1].split(",")
    if found != [str(value) for value in expected]:
        raise SystemExit(f"other rows than DuckDB's:\n{found}\n{expected}")
    print(f"{changes} rows into {rows}: {seconds:.1f} s, peak memory {peak} MiB (the limit for queries: {memory} MiB)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--changes", type=int, default=1_000_000)
    parser.add_argument("--memory-mib", type=int, default=512)
    parser.add_argument("--binary", help="instead of a release build")
    arguments = parser.parse_args()
    environment = ROOT / "tests/services/clients-env"
    python = subprocess.run([environment], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    if Path(sys.prefix) != Path(python).parent.parent:
        os.execv(python, [python, __file__, *sys.argv[1:]])
    measure(arguments)


if __name__ == "__main__":
    main()
