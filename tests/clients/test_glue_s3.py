"""awswrangler and PyIceberg over Boathouse's Glue API, with their data on S3."""

import os
import uuid

import pandas as pd
import pyarrow as pa
import pytest

from conftest import Server, s3_env, serving

ENDPOINT = os.environ.get("BOATHOUSE_TEST_S3_ENDPOINT")
pytestmark = pytest.mark.skipif(not ENDPOINT, reason="no S3; tests/services/up starts one")


@pytest.fixture(scope="module")
def keys():
    return os.environ["BOATHOUSE_TEST_S3_ACCESS_KEY"], os.environ["BOATHOUSE_TEST_S3_SECRET_KEY"]


@pytest.fixture(scope="module")
def lake():
    return f"s3://{os.environ['BOATHOUSE_TEST_S3_BUCKET']}/{uuid.uuid4()}"


@pytest.fixture(scope="module")
def server(tmp_path_factory, keys, lake):
    settings = {"BOATHOUSE_LAKE_URL": f"{lake}/own/", **s3_env(ENDPOINT, *keys)}
    with serving(Server(tmp_path_factory.mktemp("glue-s3") / "data", **settings)) as server:
        yield server


def rows(server, sql):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


@pytest.fixture
def wrangler(monkeypatch, server, keys):
    for name, value in s3_env(ENDPOINT, *keys).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # botocore's new default checksums are trailers that not every store takes.
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    import awswrangler

    awswrangler.config.glue_endpoint_url = server.http
    awswrangler.config.s3_endpoint_url = ENDPOINT
    return awswrangler


def test_awswrangler_makes_evolves_and_drops_tables(server, lake, wrangler):
    catalog = wrangler.catalog
    catalog.create_database("wr", description="by awswrangler")
    frame = pd.DataFrame({"user": [1, 2, 3], "seconds": [0.5, 1.5, 2.5], "day": ["2024-01-01", "2024-01-01", "2024-01-02"]})
    write = {"dataset": True, "database": "wr", "table": "listens", "partition_cols": ["day"]}
    wrangler.s3.to_parquet(frame, f"{lake}/listens/", mode="overwrite", **write)
    assert rows(server, "SELECT day, sum(seconds) FROM wr.listens GROUP BY day ORDER BY day") == [("2024-01-01", 2.0), ("2024-01-02", 2.5)]
    assert len(wrangler.s3.read_parquet_table(database="wr", table="listens")) == 3
    more = pd.DataFrame({"user": [9], "seconds": [9.0], "device": ["phone"], "day": ["2024-01-03"]})
    wrangler.s3.to_parquet(more, f"{lake}/listens/", mode="append", **write)
    assert rows(server, "SELECT count(*), count(device) FROM wr.listens") == [(4, 1)]
    assert catalog.get_table_types("wr", "listens") == {"user": "bigint", "seconds": "double", "device": "string", "day": "string"}
    parts = catalog.get_partitions("wr", "listens", expression="day > '2024-01-01'")
    assert sorted(values for values in parts.values()) == [["2024-01-02"], ["2024-01-03"]]
    assert [table["Name"] for table in catalog.get_tables(database="wr", name_prefix="lis")] == ["listens"]
    assert "listens" in list(catalog.tables(database="wr")["Table"])
    assert catalog.delete_table_if_exists("wr", "listens")
    assert rows(server, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'wr'") == [(0,)]
    catalog.delete_database("wr")


def test_sql_makes_what_awswrangler_reads(server, lake, wrangler):
    rows(server, "CREATE DATABASE made")
    rows(server, "CREATE TABLE made.t (n BIGINT, name VARCHAR)")
    assert wrangler.catalog.does_table_exist("made", "t")
    assert wrangler.catalog.get_table_types("made", "t") == {"n": "bigint", "name": "string"}
    assert wrangler.catalog.get_table_location("made", "t").startswith(f"{lake}/own/")


@pytest.fixture
def iceberg(server, keys, lake):
    from pyiceberg.catalog import load_catalog

    key, secret = keys
    return load_catalog(
        "glue", type="glue", warehouse=f"{lake}/iceberg",
        **{
            "glue.endpoint": server.http, "glue.region": "us-east-1",
            "glue.access-key-id": key, "glue.secret-access-key": secret,
            "s3.endpoint": ENDPOINT, "s3.region": "us-east-1",
            "s3.access-key-id": key, "s3.secret-access-key": secret,
        },
    )  # fmt: skip


def test_pyiceberg_creates_appends_evolves_renames_and_drops(server, iceberg):
    iceberg.create_namespace("ice")
    data = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "name": ["a", "b", None]})
    table = iceberg.create_table("ice.t", schema=data.schema)
    assert rows(server, "SELECT count(*) FROM ice.t") == [(0,)]
    table.append(data)
    assert rows(server, "SELECT id, name FROM ice.t ORDER BY id") == [(1, "a"), (2, "b"), (3, None)]
    with table.update_schema() as update:
        update.add_column("score", __import__("pyiceberg.types", fromlist=["DoubleType"]).DoubleType())
        update.rename_column("name", "title")
    more = pa.table({"id": pa.array([4], pa.int64()), "title": ["d"], "score": [0.5]})
    iceberg.load_table("ice.t").append(more)
    expected = [(1, "a", None), (2, "b", None), (3, None, None), (4, "d", 0.5)]
    assert rows(server, "SELECT id, title, score FROM ice.t ORDER BY id") == expected
    # Of two that append to the same version one must notice, and append to the other's.
    stale = iceberg.load_table("ice.t")
    iceberg.load_table("ice.t").append(more)
    stale.append(more)
    assert rows(server, "SELECT count(*) FROM ice.t") == [(6,)]
    iceberg.rename_table("ice.t", "ice.renamed")
    assert iceberg.list_tables("ice") == [("ice", "renamed")]
    assert rows(server, "SELECT count(*) FROM ice.renamed") == [(6,)]
    iceberg.drop_table("ice.renamed")
    iceberg.drop_namespace("ice")
    assert rows(server, "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'ice'") == [(0,)]
