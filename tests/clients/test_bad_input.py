"""Damage, absence and limits: one clear error each, exit code 1, and nothing half made."""

import os
import re
import socket
import sqlite3
import subprocess
import time
from contextlib import contextmanager

import pytest
from conftest import DATA, boathouse, run_sql, s3_env


def error_of(done, *words):
    """The one error, which must name what is wrong."""
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    error = done.stderr.strip()
    assert len(re.findall("^error:", error, re.M)) == 1, error
    assert "panicked" not in error and "a bug" not in error.lower(), error
    for word in words:
        assert word.lower() in error.lower(), f"{word!r} is not in:\n{error}"
    return error


def tables(data_dir):
    listed = run_sql("SHOW TABLES", data_dir, "--format", "csv")
    assert listed.returncode == 0, listed.stderr
    return listed.stdout.splitlines()[1:]


def test_a_missing_file(data_dir, tmp_path):
    sql = f"CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{tmp_path}/nowhere.parquet'"
    error_of(run_sql(sql, data_dir), "nowhere.parquet")
    assert tables(data_dir) == []


@pytest.mark.parametrize("kind", ["text", "truncated"])
def test_a_file_that_is_no_parquet(data_dir, kind):
    sql = f"CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{DATA}/bad/{kind}/'"
    error_of(run_sql(sql, data_dir), f"{DATA}/bad/{kind}/rows.parquet")
    assert tables(data_dir) == []


def test_a_file_without_a_byte(data_dir):
    sql = f"CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{DATA}/bad/empty/'"
    error_of(run_sql(sql, data_dir), f"{DATA}/bad/empty/")
    assert tables(data_dir) == []


def test_a_file_argument_that_is_no_table(tmp_path):
    command, env = boathouse([DATA / "bad/text/rows.parquet"], tmp_path)
    done = subprocess.run(command, env=env, cwd=tmp_path, input="", capture_output=True, text=True, timeout=60)
    error_of(done, "rows.parquet")


def test_a_row_with_too_few_columns(data_dir):
    create = (
        f"CREATE EXTERNAL TABLE t (a INT, b INT, c INT) STORED AS CSV LOCATION '{DATA}/bad/short_row/' "
        "OPTIONS ('format.has_header' 'true')"
    )
    error_of(run_sql(f"{create}; SELECT * FROM t", data_dir), "rows.csv")


def test_a_log_with_a_gap(data_dir):
    sql = f"CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '{DATA}/bad/delta_gap/'"
    error_of(run_sql(sql, data_dir), "delta_gap")
    assert tables(data_dir) == []


def test_a_partition_value_of_the_wrong_type(data_dir):
    sql = (
        "CREATE EXTERNAL TABLE t (sale INT, day DATE) STORED AS PARQUET PARTITIONED BY (day) "
        f"LOCATION '{DATA}/by_wrong_day/'"
    )
    error_of(run_sql(sql, data_dir), "yesterday", "day")
    assert tables(data_dir) == []


def s3_table(data_dir, place, seconds, **env):
    return run_sql(f"CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{place}'", data_dir, seconds=seconds, **env)


def test_an_s3_that_is_not_there(data_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound, but nobody listens.
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = s3_table(data_dir, "s3://bucket/t/", 60, **s3_env(endpoint, "key", "secret"))
        error_of(done, "s3://bucket/t/")
    assert tables(data_dir) == []


def test_an_s3_that_never_answers(data_dir):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        done = s3_table(data_dir, "s3://bucket/t/", 150, **s3_env(endpoint, "key", "secret"))
        error_of(done, "s3://bucket/t/")
        assert time.monotonic() - began < 120


def test_wrong_keys(data_dir):
    endpoint = os.environ.get("BOATHOUSE_TEST_S3_ENDPOINT")
    if not endpoint:
        pytest.skip("no S3; tests/services/up starts one")
    bucket = os.environ["BOATHOUSE_TEST_S3_BUCKET"]
    done = s3_table(data_dir, f"s3://{bucket}/t/", 60, **s3_env(endpoint, "boathouse", "wrong"))
    error_of(done, f"s3://{bucket}/t/")
    assert tables(data_dir) == []


@contextmanager
def small_disk(folder, size):
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("can't mount a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", "24m") as disk:
        data_dir = disk / "data"
        assert run_sql("CREATE TABLE small AS SELECT 1 AS x", data_dir).returncode == 0
        big = "SELECT value AS n, random() AS r, random() AS s FROM generate_series(1, 3000000)"
        error_of(run_sql(f"CREATE TABLE big AS {big}", data_dir), "space")
        assert [line.split(",")[1] for line in tables(data_dir)] == ["small"]
        # What the failed statement wrote is gone again, so the lake goes on.
        assert run_sql("INSERT INTO small VALUES (2)", data_dir).returncode == 0
        noise = f"SELECT CAST({{}} * 9e18 AS BIGINT) FROM ({big})"
        insert = f"INSERT INTO small {noise.format('r')} UNION ALL {noise.format('s')}"
        error_of(run_sql(insert, data_dir), "space")
        counted = run_sql("SELECT count(*) AS n FROM small", data_dir, "--format", "csv")
        assert counted.stdout.split() == ["n", "2"], counted.stderr


def test_a_port_in_use(data_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command, env = boathouse(["serve", "--data-dir", data_dir, "--flight", address], data_dir.parent)
        done = subprocess.run(command, env=env, cwd=data_dir.parent, capture_output=True, text=True, timeout=60)
        error_of(done, address, "in use")


def test_a_damaged_catalog(data_dir):
    assert run_sql("CREATE DATABASE sales", data_dir).returncode == 0
    catalog = data_dir / "catalog.db"
    for leftover in data_dir.glob("catalog.db-*"):
        leftover.unlink()
    garbage = b"SQLite format 3\x00" + b"\xff" * 8000
    catalog.write_bytes(garbage)
    error_of(run_sql("SHOW DATABASES", data_dir), "catalog.db")
    assert catalog.read_bytes() == garbage


def test_a_catalog_that_is_no_database(data_dir):
    data_dir.mkdir()
    (data_dir / "catalog.db").write_text("some notes of mine")
    error_of(run_sql("SHOW DATABASES", data_dir), "catalog.db")
    assert (data_dir / "catalog.db").read_text() == "some notes of mine"


def test_a_newer_catalog(data_dir):
    assert run_sql("CREATE DATABASE sales", data_dir).returncode == 0
    with sqlite3.connect(data_dir / "catalog.db") as catalog:
        catalog.execute("UPDATE boathouse_schema SET version = 1000")
    error_of(run_sql("SHOW DATABASES", data_dir), "catalog.db", "1000")


def test_a_data_folder_that_is_a_file(tmp_path):
    (tmp_path / "data").write_text("not a folder")
    error_of(run_sql("SELECT 1", tmp_path / "data"), str(tmp_path / "data"))


def test_a_catalog_server_that_is_not_there(data_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url = f"postgres://user:secret@127.0.0.1:{port}/catalog"
        error = error_of(run_sql("SELECT 1", data_dir, "--catalog", url), f"127.0.0.1:{port}")
        assert "secret" not in error


def test_a_failed_statement_stops_the_script(data_dir):
    done = run_sql("CREATE TABLE a (x INT); SELECT * FROM missing; CREATE TABLE b (x INT)", data_dir)
    error_of(done, 'table "default.missing" does not exist')
    assert [line.split(",")[1] for line in tables(data_dir)] == ["a"]
