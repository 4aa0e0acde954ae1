#!/usr/bin/env python3
"""Prints the rows of a query on Delta tables as DuckDB answers it, as JSON; `delta_scan('folder')`
is a table. Runs in the environment of duckdb_delta.txt.
"""

import json
import sys
from importlib.metadata import files

import duckdb

[extension] = [f for f in files("duckdb-extension-delta") if f.name == "delta.duckdb_extension"]
connection = duckdb.connect()
connection.execute(f"LOAD '{extension.locate()}'")
connection.execute("SET TimeZone = 'UTC'")
print(json.dumps(connection.sql(sys.argv[1]).fetchall(), default=str))
