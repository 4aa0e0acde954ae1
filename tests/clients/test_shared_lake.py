"""Two servers on one lake: data on S3, the catalog in PostgreSQL."""

import os
import time
import uuid

import pytest
from adbc_driver_manager import Error
from conftest import Background, Server, s3_env, serving

ENDPOINT = os.environ.get("BOATHOUSE_TEST_S3_ENDPOINT")
pytestmark = pytest.mark.skipif(not ENDPOINT, reason="no S3; tests/services/up starts one")


@pytest.fixture
def node(tmp_path):
    """Makes servers of the shared lake, each with a data folder of its own."""
    lake = f"s3://{os.environ['BOATHOUSE_TEST_S3_BUCKET']}/{uuid.uuid4()}/"
    keys = os.environ["BOATHOUSE_TEST_S3_ACCESS_KEY"], os.environ["BOATHOUSE_TEST_S3_SECRET_KEY"]
    settings = {
        "BOATHOUSE_CATALOG_URL": os.environ["BOATHOUSE_TEST_POSTGRES_URL"],
        "BOATHOUSE_LAKE_URL": lake,
        **s3_env(ENDPOINT, *keys),
    }

    def make(name):
        (tmp_path / name).mkdir()
        return Server(tmp_path / name / "data", **settings)

    return make


def rows(server, sql):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_a_change_is_seen_by_the_other(node, table):
    with serving(node("a")) as a, serving(node("b")) as b:
        rows(a, f"CREATE TABLE {table} AS SELECT 1 AS x")
        assert rows(b, f"SELECT x FROM {table}") == [(1,)]
        rows(b, f"INSERT INTO {table} VALUES (2)")
        assert rows(a, f"SELECT sum(x) FROM {table}") == [(3,)]
        rows(a, f"DROP TABLE {table}")
        with pytest.raises(Error, match="does not exist"):
            rows(b, f"SELECT x FROM {table}")
        rows(b, f"CREATE TABLE {table} AS SELECT 'new' AS y")
        assert rows(a, f"SELECT y FROM {table}") == [("new",)]


def test_both_write_one_table_and_nothing_is_lost(node, table):
    with serving(node("a")) as a, serving(node("b")) as b:
        rows(a, f"CREATE TABLE {table} (writer VARCHAR, n BIGINT)")

        def insert(server, name):
            for n in range(8):
                rows(server, f"INSERT INTO {table} VALUES ('{name}', {n})")

        writers = [Background(lambda: insert(a, "a")), Background(lambda: insert(b, "b"))]
        for writer in writers:
            writer.join(120)
        count = f"SELECT writer, count(*), count(DISTINCT n) FROM {table} GROUP BY writer ORDER BY writer"
        assert rows(a, count) == rows(b, count) == [("a", 8, 8), ("b", 8, 8)]


def test_one_of_two_makes_the_table(node, table):
    with serving(node("a")) as a, serving(node("b")) as b:

        def create(server):
            try:
                rows(server, f"CREATE TABLE {table} AS SELECT 1 AS x")
                return "made"
            except Error as error:
                return str(error)

        outcomes = [Background(lambda: create(server)) for server in (a, b)]
        outcomes = sorted(outcome.join() for outcome in outcomes)
        assert outcomes.count("made") == 1, outcomes
        assert any("exists" in outcome for outcome in outcomes), outcomes
        assert rows(a, f"SELECT x FROM {table}") == rows(b, f"SELECT x FROM {table}") == [(1,)]


def test_what_was_acknowledged_survives_a_kill(node, table):
    a = node("a")
    acknowledged = []
    rows(a, f"CREATE TABLE {table} (n BIGINT)")

    def write():
        for n in range(10_000):
            rows(a, f"INSERT INTO {table} VALUES ({n})")
            acknowledged.append(n)

    writer = Background(write)
    time.sleep(3)
    a.kill()
    with pytest.raises(Error):
        writer.join()
    with serving(node("b")) as b:
        found = [n for (n,) in rows(b, f"SELECT n FROM {table} ORDER BY n")]
        assert found in (acknowledged, [*acknowledged, len(acknowledged)])
        assert acknowledged
