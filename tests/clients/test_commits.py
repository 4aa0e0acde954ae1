"""Commits to Delta tables, from several processes, some of which are killed."""

import os
import random
import threading
import time
import uuid

import pytest
from adbc_driver_manager import Error
from conftest import Background, Server, run_sql, s3_env, serving
from deltalake import DeltaTable

ENDPOINT = os.environ.get("BOATHOUSE_TEST_S3_ENDPOINT")
needs_s3 = pytest.mark.skipif(not ENDPOINT, reason="no S3; tests/services/up starts one")
SECONDS = 12


def rows(server, sql):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def delta_folder(root):
    """The one Delta table in a folder."""
    [log] = root.glob("**/_delta_log")
    return log.parent


def test_a_commit_is_whole_wherever_the_process_is_killed(data_dir):
    """kill -9 at random moments of many commits; the next process goes on with the same numbers."""
    chance = random.Random(7)
    acknowledged, next_batch, progress = set(), [0, 0, 0], threading.Event()
    batch_rows = 500

    def write(server, writer):
        with server.connect() as connection, connection.cursor() as cursor:
            while True:
                batch = next_batch[writer]
                cursor.execute(
                    f"INSERT INTO t SELECT {writer} AS w, {batch} AS b, value FROM generate_series(1, {batch_rows}) "
                    f"WITH (txn_app = 'writer {writer}', txn_version = {batch})"
                )
                acknowledged.add((writer, batch))
                progress.set()
                next_batch[writer] += 1

    for kill in range(20):
        server = Server(data_dir)
        if kill == 0:
            rows(server, "CREATE TABLE t (writer BIGINT, batch BIGINT, n BIGINT)")
        writers = [Background(lambda w=w: write(server, w)) for w in range(len(next_batch))]
        progress.clear()
        assert progress.wait(60)
        time.sleep(chance.uniform(0, 0.5))
        server.kill()
        for writer in writers:
            with pytest.raises(Error):
                writer.join()

    with serving(Server(data_dir)) as server:
        found = rows(server, "SELECT writer, batch, count(*), count(DISTINCT n) FROM t GROUP BY writer, batch")
        assert all(count == distinct == batch_rows for *_, count, distinct in found)
        batches = {(writer, batch) for writer, batch, *_ in found}
        # Of each writer the one that was under way may have been done.
        assert acknowledged <= batches <= acknowledged | set(enumerate(next_batch))
        assert len(acknowledged) >= 10
    table = DeltaTable(delta_folder(data_dir))
    assert table.version() == len(batches)
    assert table.to_pyarrow_table().num_rows == len(batches) * batch_rows


def test_one_process_after_another_writes_each_number_once(data_dir):
    """Commits of `boathouse sql`, each a process of its own."""
    assert run_sql("CREATE TABLE t (n BIGINT)", data_dir).returncode == 0
    insert = "INSERT INTO t VALUES (1) WITH (txn_app = 'a', txn_version = {})"
    for version in range(4):
        for _ in range(2):
            done = run_sql(insert.format(version), data_dir)
            assert done.returncode == 0, done.stderr
    assert DeltaTable(delta_folder(data_dir)).to_pyarrow_table().num_rows == 4


@pytest.fixture
def node(tmp_path):
    """Makes servers of one lake on S3 and one catalog in PostgreSQL."""
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


@needs_s3
def test_money_is_moved_and_never_made(node, table):
    """Eight clients of two servers move money between accounts; every read sees a sum of 0."""
    with serving(node("a")) as a, serving(node("b")) as b:
        rows(a, f"CREATE TABLE {table} (client BIGINT, account BIGINT, amount BIGINT)")
        ends = time.monotonic() + SECONDS
        moved, reads = [0] * 8, [0] * 8

        def client(number):
            chance = random.Random(number)
            with (a, b)[number % 2].connect() as connection, connection.cursor() as cursor:
                seen = 0
                while time.monotonic() < ends:
                    source, target = chance.sample(range(10), 2)
                    amount = chance.randint(1, 100)
                    cursor.execute(
                        f"INSERT INTO {table} VALUES ({number}, {source}, -{amount}), ({number}, {target}, {amount})"
                    )
                    moved[number] += 1
                    cursor.execute(
                        f"SELECT sum(amount), count(*), count(*) FILTER (WHERE client = {number}) FROM {table}"
                    )
                    [(total, count, own)] = cursor.fetchall()
                    assert total == 0 and count % 2 == 0
                    assert own == 2 * moved[number], "a client sees its own commits at once"
                    assert seen <= count, "time doesn't go back"
                    seen = count
                    reads[number] += 1

        clients = [Background(lambda n=n: client(n)) for n in range(8)]
        for one in clients:
            one.join(SECONDS + 60)
        print(f"{sum(moved)} transfers and {sum(reads)} reads by 8 clients of 2 servers in {SECONDS} s")
        whole = f"SELECT count(*), sum(amount) FROM {table}"
        assert rows(a, whole) == rows(b, whole) == [(2 * sum(moved), 0)]
        assert min(moved) > 0


@needs_s3
def test_the_next_query_sees_what_another_node_committed(node, table):
    with serving(node("a")) as a, serving(node("b")) as b:
        rows(a, f"CREATE TABLE {table} (n BIGINT)")
        for n in range(1, 11):
            writer, reader = (a, b) if n % 2 else (b, a)
            rows(writer, f"INSERT INTO {table} VALUES ({n})")
            assert rows(reader, f"SELECT count(*), max(n) FROM {table}") == [(n, n)]


@needs_s3
def test_a_node_that_is_killed_leaves_its_numbers_to_the_other(node, table):
    """What one node was doing when it died, another does again with the same number."""
    a = node("a")
    rows(a, f"CREATE TABLE {table} (n BIGINT)")
    under_way, started = [0], threading.Event()

    def insert(server, n):
        rows(server, f"INSERT INTO {table} VALUES ({n}) WITH (txn_app = 'w', txn_version = {n})")

    def write():
        for n in range(10_000):
            under_way[0] = n
            insert(a, n)
            started.set()

    writer = Background(write)
    assert started.wait(60)
    time.sleep(1)
    a.kill()
    with pytest.raises(Error):
        writer.join()
    with serving(node("b")) as b:
        for n in range(under_way[0], under_way[0] + 5):
            insert(b, n)
        total = under_way[0] + 5
        assert rows(b, f"SELECT count(*), count(DISTINCT n), max(n) FROM {table}") == [(total, total, total - 1)]
