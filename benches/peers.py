"""Answers queries with DuckDB or plain DataFusion, as `cargo bench -- queries` does with Boathouse.

    python peers.py duckdb|datafusion FOLDER THREADS
"""

import json
import sys
import time
from pathlib import Path


def duckdb(tables, threads):
    import duckdb

    connection = duckdb.connect(config={"threads": threads})
    for table in tables:
        connection.execute(f"CREATE VIEW {table.name} AS FROM read_parquet('{table}/*.parquet')")
    return lambda sql: connection.sql(sql).to_arrow_table()


def datafusion(tables, threads):
    from datafusion import SessionConfig, SessionContext

    context = SessionContext(SessionConfig().with_target_partitions(threads))
    for table in tables:
        context.register_parquet(table.name, str(table))
    return lambda sql: context.sql(sql).to_arrow_table()


def main(peer, folder, threads):
    tables = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    run = {"duckdb": duckdb, "datafusion": datafusion}[peer](tables, int(threads))
    for line in sys.stdin:
        sql = json.loads(line)
        began = time.perf_counter()
        table = run(sql)
        seconds = time.perf_counter() - began
        columns = [[None if v is None else str(v) for v in column.to_pylist()] for column in table.columns]
        rows = [list(row) for row in zip(*columns)]
        print(json.dumps({"seconds": seconds, "rows": rows}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
