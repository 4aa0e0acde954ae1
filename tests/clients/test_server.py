"""What the process does beside answering: memory, signals, crashes, neighbours."""

import re
import signal
import threading
import time
from contextlib import suppress

import pytest
from adbc_driver_manager import Error
from conftest import Background, Server, run_sql, serving


def rows(server, sql):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_the_demo_answers(data_dir):
    with serving(Server(data_dir, verb="demo")) as server:
        assert rows(server, "SELECT count(*) FROM flights") == [(336776,)]


def test_a_large_result_needs_little_memory(data_dir):
    """More than 2 GB to a reader that is slower than the server."""
    sql = "SELECT value AS n, repeat('x', 1000) AS padding FROM generate_series(1, 2500000)"
    with serving(Server(data_dir)) as server, server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        received = batches = peak = 0
        for batch in cursor.fetch_record_batch():
            received += batch.num_rows
            batches += 1
            if batches <= 20:
                time.sleep(0.1)
            if batches % 20 == 1:
                peak = max(peak, server.memory())
        assert received == 2_500_000
        assert peak < 1024, f"{peak} MiB"


def test_what_was_acknowledged_survives_a_kill(data_dir):
    """kill -9 in the middle of writes: every acknowledged batch is there, once and whole."""
    server = Server(data_dir)
    acknowledged = []
    first_few = threading.Event()
    rows(server, "CREATE TABLE t (batch BIGINT, n BIGINT)")

    def write():
        with server.connect() as connection, connection.cursor() as cursor:
            for batch in range(10_000):
                cursor.execute(f"INSERT INTO t SELECT {batch}, value FROM generate_series(1, 1000)")
                acknowledged.append(batch)
                if len(acknowledged) == 5:
                    first_few.set()

    writer = Background(write)
    assert first_few.wait(60)
    time.sleep(0.25)
    server.kill()
    with pytest.raises(Error):
        writer.join()

    with serving(Server(data_dir)) as server:
        found = rows(server, "SELECT batch, count(*), count(DISTINCT n) FROM t GROUP BY batch ORDER BY batch")
        assert all(count == distinct == 1000 for _, count, distinct in found)
        batches = [batch for batch, _, _ in found]
        # The one that was under way may have been done.
        assert batches in (acknowledged, [*acknowledged, len(acknowledged)])
        rows(server, "INSERT INTO t VALUES (-1, 1)")
        assert rows(server, "SELECT count(*) FROM t WHERE batch = -1") == [(1,)]


def test_a_kill_during_create_table_leaves_no_half(data_dir):
    server = Server(data_dir)
    create = "CREATE TABLE t AS SELECT value AS n, repeat('x', 200) AS s FROM generate_series(1, 3000000)"
    writer = Background(lambda: rows(server, create))
    time.sleep(0.7)
    server.kill()
    with pytest.raises(Error):
        writer.join()
    with serving(Server(data_dir)) as server:
        try:
            assert rows(server, "SELECT count(*) FROM t") == [(3_000_000,)]
        except Error as error:
            assert 'table "default.t" does not exist' in str(error)
            rows(server, "CREATE TABLE t AS SELECT 1 AS x")
            assert rows(server, "SELECT x FROM t") == [(1,)]


def test_sigterm_lets_a_query_end(data_dir):
    with serving(Server(data_dir)) as server:
        sql = "SELECT count(*) FROM generate_series(1, 3000000) WHERE value % 3 = 0"
        query = Background(lambda: rows(server, sql))
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        try:
            assert query.join() == [(1_000_000,)]
        except Error as error:  # The connection may have come too late.
            assert re.search("(?i)shut|unavailable|refused|cancel", str(error))
        assert server.process.wait(30) == 0
        assert time.monotonic() - began < 30


def test_sigterm_ends_an_idle_server_at_once(data_dir):
    with serving(Server(data_dir)) as server:
        connection = server.connect()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        with suppress(Error):  # Nobody is there to say goodbye to.
            connection.close()


def test_a_second_signal_does_not_wait(data_dir):
    slow = "SELECT count(*) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b WHERE a.value % 7 = b.value % 11"
    with serving(Server(data_dir)) as server:
        query = Background(lambda: rows(server, slow))
        time.sleep(0.5)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        server.process.send_signal(signal.SIGINT)
        server.process.wait(10)
        with pytest.raises(Error):
            query.join()


def test_a_shell_beside_a_server(data_dir):
    """Two processes on one data folder see each other's changes."""
    with serving(Server(data_dir)) as server:
        rows(server, "CREATE TABLE t AS SELECT 1 AS x")
        inserted = run_sql("INSERT INTO t VALUES (2)", data_dir)
        assert inserted.returncode == 0, inserted.stderr
        assert rows(server, "SELECT sum(x) FROM t") == [(3,)]
        rows(server, "INSERT INTO t VALUES (4)")
        counted = run_sql("SELECT sum(x) AS total FROM t", data_dir, "--format", "csv")
        assert counted.stdout.split() == ["total", "7"], counted.stderr


def test_two_processes_write_one_table(data_dir):
    """Concurrent commits all land, none twice."""
    with serving(Server(data_dir)) as server:
        rows(server, "CREATE TABLE t (writer VARCHAR, n BIGINT)")

        def through_the_server():
            for n in range(10):
                rows(server, f"INSERT INTO t VALUES ('server', {n})")

        writer = Background(through_the_server)
        statements = "; ".join(f"INSERT INTO t VALUES ('shell', {n})" for n in range(10))
        shell = run_sql(statements, data_dir)
        writer.join()
        assert shell.returncode == 0, shell.stderr
        counts = rows(server, "SELECT writer, count(*), count(DISTINCT n) FROM t GROUP BY writer ORDER BY writer")
        assert counts == [("server", 10, 10), ("shell", 10, 10)]


def test_a_remote_shell(data_dir):
    with serving(Server(data_dir)) as server:
        rows(server, "CREATE TABLE t AS SELECT 'over there' AS place")
        from subprocess import run

        from conftest import boathouse

        sql = "SELECT place FROM t"
        command, env = boathouse(["sql", "--connect", server.uri, "-c", sql, "--format", "csv"], data_dir.parent)
        done = run(command, env=env, capture_output=True, text=True, timeout=60)
        assert done.stdout.splitlines() == ["place", "over there"], done.stderr
