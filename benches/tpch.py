#!/usr/bin/env python3
"""TPC-H side by side: Boathouse, DuckDB and plain DataFusion on the same Parquet files.

    benches/tpch.py [--scale 1] [--rounds 5] [--threads 2]

Each is one process that answers every query; they take turns query by query, with the same
number of threads, and their answers must agree. Round 0 warms up and is not counted.
"""

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Engine:
    """A process that answers one query a line."""

    def __init__(self, name, command):
        self.name = name
        self.seconds = {}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self, sql):
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


def build():
    """The release binaries that are needed, by name."""
    command = ["cargo", "build", "--release", "--workspace", "--bench", "benches", "--bins",
               "--message-format=json"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    messages = map(json.loads, done.stdout.splitlines())
    return {m["target"]["name"]: m["executable"] for m in messages if m.get("executable")}


def same(a, b):
    """Whether two values are equal; numbers as far as an average's six decimals go."""
    if a == b:
        return True
    try:
        x, y = float(a), float(b)
    except (TypeError, ValueError):
        return False
    return abs(x - y) <= max(1e-6 * abs(x), 1e-5)


def agree(one, other):
    return len(one) == len(other) and all(
        len(a) == len(b) and all(map(same, a, b)) for a, b in zip(one, other)
    )


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--data", help="folder for the tables; kept, and used again when it is there")
    arguments = parser.parse_args()

    built = build()
    environment = [ROOT / "tests/services/clients-env", ROOT / "benches/requirements.txt"]
    python = subprocess.run(environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.data or temporary)
        if not (folder / "lineitem").exists():
            generate = [built["boathouse-datasets"], "tpch", "--scale", str(arguments.scale), folder]
            subprocess.run(generate, check=True)
        compare(arguments, folder, built["benches"], python)


def compare(arguments, folder, boathouse, python):
    threads = str(arguments.threads)
    peers = ROOT / "benches/peers.py"
    engines = [
        Engine("boathouse", [boathouse, "queries", folder, threads]),
        *(Engine(name, [python, peers, name, folder, threads]) for name in ("duckdb", "datafusion")),
    ]
    queries = sorted((ROOT / "datasets/tpch").glob("q*.sql"))
    disagreements = set()
    for round in range(arguments.rounds + 1):
        for query in queries:
            answers = []
            for engine in engines:
                seconds, rows = engine.answer(query.read_text())
                answers.append(rows)
                if round > 0:
                    engine.seconds.setdefault(query.stem, []).append(seconds)
            for engine, rows in zip(engines[1:], answers[1:]):
                if not agree(answers[0], rows):
                    disagreements.add(f"{query.stem}: boathouse and {engine.name} disagree")

    print(f"TPC-H at scale {arguments.scale:g}, {threads} threads, median seconds of {arguments.rounds} rounds")
    print(f"{'':8}" + "".join(f"{engine.name:>12}" for engine in engines))
    medians = [{q: statistics.median(s) for q, s in engine.seconds.items()} for engine in engines]
    for query in medians[0]:
        print(f"{query:8}" + "".join(f"{m[query]:12.3f}" for m in medians))
    means = [geometric_mean(m.values()) for m in medians]
    print(f"{'geomean':8}" + "".join(f"{mean:12.3f}" for mean in means))
    print(f"{'sum':8}" + "".join(f"{sum(m.values()):12.3f}" for m in medians))
    print(f"{'peak MiB':8}" + "".join(f"{engine.peak_memory():12}" for engine in engines))
    for engine, mean in zip(engines[1:], means[1:]):
        print(f"boathouse : {engine.name} = {means[0] / mean:.2f}")
    for engine in engines:
        engine.close()
    if disagreements:
        sys.exit("\n".join(sorted(disagreements)))


if __name__ == "__main__":
    main()
