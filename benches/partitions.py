#!/usr/bin/env python3
"""How long GetPartitions takes for the first page of a filter, and how that grows with the
partitions that don't match.

    benches/partitions.py [--partitions 300000] [--rounds 20]

Tables of a hundredth, a tenth and all of the partitions have the same 1,000 partitions that match.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tpch import ROOT, build

MATCHING = 1000


def make(glue, table, partitions):
    """A table by day and sensor, with so many partitions of other days than the one asked for."""
    keys = [{"Name": "day", "Type": "string"}, {"Name": "sensor", "Type": "int"}]
    description = {"Columns": [{"Name": "a", "Type": "int"}], "Location": f"s3://lake/{table}/"}
    glue.create_table(
        DatabaseName="bench",
        TableInput={"Name": table, "PartitionKeys": keys, "StorageDescriptor": description},
    )
    values = [["2024-06-01", str(n)] for n in range(MATCHING)]
    values += [[f"{2000 + n // 300_000}-01-{n % 28 + 1:02}", str(n)] for n in range(partitions - MATCHING)]
    for start in range(0, len(values), 100):
        batch = [{"Values": one} for one in values[start : start + 100]]
        answer = glue.batch_create_partition(DatabaseName="bench", TableName=table, PartitionInputList=batch)
        assert not answer["Errors"], answer
        if start % 50_000 == 0:
            print(f"{table}: {start} of {partitions}", file=sys.stderr)


def first_page(glue, table, expression):
    start = time.perf_counter()
    page = glue.get_partitions(DatabaseName="bench", TableName=table, Expression=expression, MaxResults=100)
    assert len(page["Partitions"]) == 100
    return 1000 * (time.perf_counter() - start)


def measure(binary, partitions, rounds):
    import boto3

    sys.path.insert(0, str(ROOT / "tests/services"))
    from process import free_ports, start, stop

    with tempfile.TemporaryDirectory() as folder:
        port, http = free_ports(2)
        command = [binary, "serve", "--flight", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http}",
                   "--data-dir", Path(folder) / "data"]  # fmt: skip
        server = start(command, stderr=subprocess.PIPE, text=True)
        try:
            server.stderr.readline()
            glue = boto3.client(
                "glue", endpoint_url=f"http://127.0.0.1:{http}", region_name="us-east-1",
                aws_access_key_id="any", aws_secret_access_key="any",
            )  # fmt: skip
            glue.create_database(DatabaseInput={"Name": "bench"})
            sizes = [partitions // 100, partitions // 10, partitions]
            for size in sizes:
                make(glue, f"t{size}", size)
            print(f"milliseconds for the first 100 of {MATCHING} partitions that match, median of {rounds} rounds")
            expressions = ["day = '2024-06-01'", "day >= '2024-06-01'", "day = '2024-06-01' AND sensor BETWEEN 100 AND 900"]
            print(f"{'partitions':50}" + "".join(f"{size:>10}" for size in sizes))
            for expression in expressions:
                for size in sizes:
                    first_page(glue, f"t{size}", expression)
                times = {size: [] for size in sizes}
                for _ in range(rounds):
                    for size in sizes:
                        times[size].append(first_page(glue, f"t{size}", expression))
                print(f"{expression:50}" + "".join(f"{statistics.median(times[size]):10.1f}" for size in sizes))
        finally:
            stop(server)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    environment = ROOT / "tests/services/clients-env"
    python = subprocess.run([environment], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    if Path(sys.prefix) != Path(python).parent.parent:
        os.execv(python, [python, __file__, *sys.argv[1:]])
    measure(build()["boathouse"], arguments.partitions, arguments.rounds)


if __name__ == "__main__":
    main()
