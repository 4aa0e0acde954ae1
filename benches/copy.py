#!/usr/bin/env python3
"""COPY and UNLOAD side by side with DuckDB: the same files read and written on the same machine.

    benches/copy.py [--csv-scale 1.35] [--parquet-scale 4] [--rounds 3] [--threads 2]

TPC-H's lineitem is loaded from about 1 GB of CSV and about 1 GB of Parquet into a table, and unloaded
as CSV and as Parquet. DuckDB reads the same files and writes the same formats with the same compression.
Both are one process with the same number of threads and take turns, task by task; their rows must be
equal. Round 0 warms up and is not counted. The rate is of the bytes of the files on the text's side of
the task: read by a load, written by an unload.
"""

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = """l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber INT,
    l_quantity DECIMAL(15, 2), l_extendedprice DECIMAL(15, 2), l_discount DECIMAL(15, 2),
    l_tax DECIMAL(15, 2), l_returnflag VARCHAR, l_linestatus VARCHAR, l_shipdate DATE,
    l_commitdate DATE, l_receiptdate DATE, l_shipinstruct VARCHAR, l_shipmode VARCHAR,
    l_comment VARCHAR"""
# Tells two tables of lineitem apart, in both dialects.
FINGERPRINT = """SELECT count(*), sum(l_orderkey), sum(l_extendedprice), min(l_shipdate),
    max(l_receiptdate), sum(length(l_comment)), count(DISTINCT l_shipmode) FROM """


class Engine:
    """A process that runs one statement a line."""

    def __init__(self, name, command):
        self.name = name
        self.seconds = {}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, sql):
        print(json.dumps(sql), file=self.process.stdin, flush=True)
        if not (line := self.process.stdout.readline()):
            raise SystemExit(f"{self.name} stopped at:\n{sql}")
        answer = json.loads(line)
        return answer["seconds"], answer["rows"]

    def peak_memory(self):
        """The most it ever held, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve_duckdb(threads):
    """DuckDB as such a process."""
    import duckdb

    connection = duckdb.connect(config={"threads": int(threads)})
    connection.execute("SET preserve_insertion_order = false")
    for line in sys.stdin:
        sql = json.loads(line)
        began = time.perf_counter()
        rows = connection.execute(sql).fetchall()
        seconds = time.perf_counter() - began
        rows = [[None if v is None else str(v) for v in row] for row in rows]
        print(json.dumps({"seconds": seconds, "rows": rows}), flush=True)


def build():
    """The release binaries that are needed, by name."""
    command = ["cargo", "build", "--release", "--workspace", "--bench", "benches", "--bins",
               "--message-format=json"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    messages = map(json.loads, done.stdout.splitlines())
    return {m["target"]["name"]: m["executable"] for m in messages if m.get("executable")}


def bytes_in(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def emptied(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def make_data(arguments, folder, datasets, duckdb):
    """`csv/` and `parquet/`, each with files of lineitem."""
    for name, scale in (("csv", arguments.csv_scale), ("parquet", arguments.parquet_scale)):
        if (folder / name).exists():
            continue
        with tempfile.TemporaryDirectory(dir=folder) as made:
            subprocess.run([datasets, "tpch", "--scale", str(scale), made], check=True)
            source = f"FROM '{made}/lineitem/*.parquet'"
            emptied(folder / f"{name}.part")
            options = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet, COMPRESSION zstd"}[name]
            duckdb.run(f"COPY ({source}) TO '{folder}/{name}.part/lineitem.{name}' ({options})")
        (folder / f"{name}.part").rename(folder / name)


def boathouse_tasks(folder, out):
    for format in ("csv", "parquet"):
        read = "CSV HEADER" if format == "csv" else "PARQUET"
        yield (f"load {format}", folder / format,
               [f"DROP TABLE IF EXISTS {format}_rows", f"CREATE TABLE {format}_rows ({COLUMNS})"],
               f"COPY INTO {format}_rows FROM '{folder}/{format}/' {read}",
               f"{FINGERPRINT} {format}_rows")  # fmt: skip
    for format, write in (("csv", "CSV HEADER"), ("parquet", "PARQUET ZSTD")):
        to = out / f"boathouse_{format}"
        yield (f"unload {format}", to, [],
               f"UNLOAD ('SELECT * FROM {format}_rows') TO '{to}/' {write}", None)  # fmt: skip


def duckdb_tasks(folder, out):
    columns = [column.strip().split(" ", 1) for column in re.split(r",(?![^(]*\))", COLUMNS)]
    types = ", ".join(f"'{name}': '{type}'" for name, type in columns)
    parquet = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
    for format in ("csv", "parquet"):
        read = f"read_csv('{folder}/csv/*', header = true, delim = ',', columns = {{{types}}})"
        read = read if format == "csv" else f"read_parquet('{folder}/parquet/*')"
        to = out / f"duckdb_{format}_rows"
        yield (f"load {format}", folder / format, to,
               f"COPY (FROM {read}) TO '{to}' ({parquet}, PER_THREAD_OUTPUT)",
               f"{FINGERPRINT} '{to}/*.parquet'")  # fmt: skip
    for format, write in (("csv", "FORMAT csv, HEADER"), ("parquet", parquet)):
        to = out / f"duckdb_{format}"
        yield (f"unload {format}", to, to,
               f"COPY (FROM '{out}/duckdb_{format}_rows/*.parquet') TO '{to}' ({write}, PER_THREAD_OUTPUT)",
               None)  # fmt: skip


def equal(one, other):
    """Whether two fingerprints are the same; sums of floating-point numbers as far as they go."""

    def same(a, b):
        try:
            return math.isclose(float(a), float(b), rel_tol=1e-9)
        except (TypeError, ValueError):
            return a == b

    return len(one) == len(other) and all(all(map(same, a, b)) for a, b in zip(one, other))


def compare(arguments, folder, boathouse, duckdb):
    out = emptied(folder / "out")
    rates = {}
    for round in range(arguments.rounds + 1):
        tasks = zip(boathouse_tasks(folder, out), duckdb_tasks(folder, out))
        for (name, place, before, ours, check), (_, their_place, to, theirs, their_check) in tasks:
            if name.startswith("unload"):
                shutil.rmtree(place, ignore_errors=True)
            for statement in before:
                boathouse.run(statement)
            shutil.rmtree(to, ignore_errors=True)
            seconds = boathouse.run(ours)[0], duckdb.run(theirs)[0]
            sizes = bytes_in(place), bytes_in(their_place)
            if check and not equal(boathouse.run(check)[1], duckdb.run(their_check)[1]):
                sys.exit(f"{name}: the rows are not equal")
            if round > 0:
                rates.setdefault(name, []).append((seconds, sizes))
    written = {f: f"'{out}/{{}}_{f}/*.{f}'" for f in ("csv", "parquet")}
    for format, files in written.items():
        ours, theirs = (duckdb.run(FINGERPRINT + files.format(n))[1] for n in ("boathouse", "duckdb"))
        if not equal(ours, theirs):
            sys.exit(f"unload {format}: the rows are not equal\n{ours}\n{theirs}")
    return rates


def report(arguments, rates, engines):
    print(f"lineitem, {arguments.threads} threads, median of {arguments.rounds} rounds")
    print(f"{'':16}{'MB':>8}{'boathouse s':>13}{'MB/s':>8}{'duckdb s':>11}{'MB/s':>8}{'of duckdb':>11}")
    for name, rounds in rates.items():
        ours, theirs = (statistics.median(seconds[i] for seconds, _ in rounds) for i in (0, 1))
        megabytes = rounds[0][1][0] / 1e6
        print(f"{name:16}{megabytes:8.0f}{ours:13.2f}{megabytes / ours:8.0f}{theirs:11.2f}"
              f"{megabytes / theirs:8.0f}{theirs / ours:11.0%}")  # fmt: skip
    for engine in engines:
        print(f"{engine.name}: peak {engine.peak_memory()} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv-scale", type=float, default=1.35)
    parser.add_argument("--parquet-scale", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--data", help="folder for the files; kept, and used again when it is there")
    parser.add_argument("--binaries", help="folder of the binaries, in place of building them")
    arguments = parser.parse_args()
    if arguments.binaries:
        folder = Path(arguments.binaries)
        newest = max((p for p in folder.glob("deps/benches-*") if not p.suffix), key=os.path.getmtime)
        built = {"boathouse-datasets": folder / "boathouse-datasets", "benches": newest}
    else:
        built = build()
    environment = [ROOT / "tests/services/clients-env", ROOT / "benches/requirements.txt"]
    python = subprocess.run(environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    threads = str(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.data or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        no_tables = emptied(Path(temporary) / "no_tables")
        boathouse = Engine("boathouse", [built["benches"], "queries", no_tables, threads])
        duckdb = Engine("duckdb", [python, __file__, "--duckdb", threads])
        make_data(arguments, folder, built["boathouse-datasets"], duckdb)
        report(arguments, compare(arguments, folder, boathouse, duckdb), (boathouse, duckdb))
        for engine in (boathouse, duckdb):
            engine.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--duckdb"]:
        serve_duckdb(sys.argv[2])
    else:
        main()
