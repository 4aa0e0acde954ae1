"""Answers the queries of `tests/slt/query/` with DuckDB on the same files.

    python tests/oracle/slt_answers.py [--write] [FILE...]

Prints where a file expects something else; with --write it puts DuckDB's answers into the
files. So an answer in that folder never comes from Boathouse itself.
"""

import datetime
import decimal
import re
import sys
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "tests/slt/query"
EXTERNAL_TABLE = re.compile(r"CREATE EXTERNAL TABLE (\w+) STORED AS PARQUET.*LOCATION '(.*)'", re.S)


def run(connection, sql):
    sql = sql.replace("${DATASETS}", str(ROOT / "datasets"))
    if found := EXTERNAL_TABLE.match(sql):
        name, place = found.groups()
        sql = f"CREATE VIEW {name} AS FROM read_parquet('{place}**/*.parquet', hive_partitioning = true)"
    return connection.execute(sql)


def shown(value):
    """A value as Arrow's formatter writes it."""
    match value:
        case None:
            return "NULL"
        case "":
            return "(empty)"
        case bool():
            return str(value).lower()
        case float() if value in (float("inf"), float("-inf")):
            return str(value)
        case float() if value != value:
            return "NaN"
        case float():
            return repr(value).replace("e+", "e")
        case datetime.datetime():
            return value.isoformat()
        case list():
            return "[" + ", ".join(map(shown, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"
    return str(value)


def column_type(value):
    """The letter that the runner gives a column, as far as a value tells."""
    match value:
        case None:
            return None
        case bool() | list() | dict() | datetime.date():
            return "?"
        case int():
            return "I"
        case float() | decimal.Decimal():
            return "R"
    return "T"


def answered(block, connection):
    """The block with DuckDB's answer in place of the one it has."""
    lines = block.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(("query", "statement"))), None)
    if start is None:
        return block
    end = lines.index("----") if "----" in lines else len(lines)
    try:
        cursor = run(connection, "\n".join(lines[start + 1 : end]))
    except duckdb.Error as error:
        raise SystemExit(f"{error}\n{block}") from error
    if lines[start].startswith("statement"):
        return block
    rows = cursor.fetchall()
    letters = lines[start].split()[1]
    for row in rows:
        for letter, value in zip(letters, row, strict=True):
            if column_type(value) not in (None, letter, "?" if letter in "BDP" else letter):
                raise SystemExit(f"{letters} does not fit {row}\n{block}")
    results = [re.sub(r"\s+", " ", " ".join(shown(value).strip() for value in row)) for row in rows]
    return "\n".join([*lines[:end], "----", *results])


def answers(path, connection):
    """The file's text with DuckDB's answers."""
    blocks = []
    for block in path.read_text().strip().split("\n\n"):
        for included in re.findall(r"^include (.*)", block, re.M):
            answers(path.parent / included, connection)
        blocks.append(answered(block, connection))
    return "\n\n".join(blocks) + "\n"


def main(arguments):
    write = "--write" in arguments
    files = [Path(a).resolve() for a in arguments if a != "--write"] or sorted(FOLDER.glob("*.slt"))
    wrong = 0
    for path in files:
        connection = duckdb.connect()
        connection.execute("SET integer_division = true")
        expected, actual = path.read_text(), answers(path, connection)
        if write:
            path.write_text(actual)
        elif expected != actual:
            wrong += 1
            pairs = enumerate(zip(expected.splitlines(), actual.splitlines()), start=1)
            line, pair = next((line, pair) for line, pair in pairs if pair[0] != pair[1])
            print(f"{path.relative_to(ROOT)}:{line}: expected {pair[0]!r}, DuckDB has {pair[1]!r}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
