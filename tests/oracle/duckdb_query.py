"""Answers queries with DuckDB, for tests that compare.

Each folder of Parquet files in the folder given as argument is a table. Each line of the
input is one query as a JSON string; each line of the output is its result: an array of rows
of text, NULL as null.
"""

import json
import sys
from pathlib import Path

import duckdb


def main(folder):
    connection = duckdb.connect()
    for table in sorted(path for path in Path(folder).iterdir() if path.is_dir()):
        files = f"{table}/**/*.parquet"
        connection.execute(f"CREATE VIEW {table.name} AS FROM read_parquet('{files}', hive_partitioning = true)")
    for line in sys.stdin:
        rows = connection.execute(json.loads(line)).fetchall()
        json.dump([[None if value is None else str(value) for value in row] for row in rows], sys.stdout)
        print()


if __name__ == "__main__":
    main(*sys.argv[1:])
