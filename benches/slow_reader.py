#!/usr/bin/env python3
"""The peak memory of a server that streams many rows to a reader slower than itself.

    benches/slow_reader.py [--million-rows 60] [--seconds 60]

The rows are those of TPC-H's lineitem, all columns, over and over; the reader takes about so many
seconds for them.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tpch import ROOT, build


def peak_mib(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024


def read_slowly(address, sql, rows_in_all, seconds):
    from adbc_driver_flightsql import dbapi

    rows, size, start = 0, 0, time.monotonic()
    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        for batch in cursor.fetch_record_batch():
            rows += batch.num_rows
            size += batch.nbytes
            ahead = start + seconds * rows / rows_in_all - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
    return rows, size, time.monotonic() - start


def measure(arguments):
    binaries = build()
    lineitems = 6_001_215
    copies = -(-arguments.million_rows * 1_000_000 // lineitems)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "tpch"
        subprocess.run([binaries["boathouse-datasets"], "tpch", files, "--scale", "1"], check=True)
        command = [binaries["boathouse"], "serve", "--flight", "127.0.0.1:0", "--http", "127.0.0.1:0",
                   "--data-dir", Path(folder) / "data"]  # fmt: skip
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            address = re.search(r"grpc://\S+:\d+", server.stderr.readline())[0]
            before = peak_mib(server)
            sql = " UNION ALL ".join([f"SELECT * FROM '{files}/lineitem/'"] * copies)
            rows, size, seconds = read_slowly(address, sql, copies * lineitems, arguments.seconds)
            print(f"{rows} rows, {size / 1e9:.1f} GB, read in {seconds:.0f} s")
            print(f"peak memory of the server: {peak_mib(server)} MiB (before: {before} MiB)")
        finally:
            server.terminate()
            server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million-rows", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    environment = ROOT / "tests/services/clients-env"
    python = subprocess.run([environment], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    if Path(sys.prefix) != Path(python).parent.parent:
        os.execv(python, [python, __file__, *sys.argv[1:]])
    measure(arguments)


if __name__ == "__main__":
    main()
