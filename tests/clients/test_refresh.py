"""Files that come, change and go beneath an external table."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import run_sql


@pytest.fixture
def sales(tmp_path):
    """A folder with one partition."""
    folder = tmp_path / "sales"
    write(folder, 1, [10, 20])
    return folder


def write(folder, day, values):
    (folder / f"day={day}").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"sale": pa.array(values, pa.int64())}), folder / f"day={day}/rows.parquet")


def create(folder, data_dir):
    sql = f"CREATE EXTERNAL TABLE sales STORED AS PARQUET PARTITIONED BY (day) LOCATION '{folder}/'"
    assert run_sql(sql, data_dir).returncode == 0


def total(data_dir):
    done = run_sql("SELECT count(*) AS n, sum(sale) AS s FROM sales", data_dir, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[1]


def test_a_new_partition_is_there_after_a_refresh(data_dir, sales):
    create(sales, data_dir)
    write(sales, 2, [30])
    refreshed = run_sql("REFRESH TABLE sales", data_dir)
    assert refreshed.returncode == 0, refreshed.stderr
    assert total(data_dir) == "3,60"


def test_a_removed_file_is_named_until_a_refresh(data_dir, sales):
    write(sales, 2, [30])
    create(sales, data_dir)
    shutil.rmtree(sales / "day=2")
    done = run_sql("SELECT sale FROM sales WHERE sale > 5", data_dir)
    assert done.returncode == 1
    assert "day=2/rows.parquet" in done.stderr and "REFRESH TABLE" in done.stderr, done.stderr
    run_sql("REFRESH TABLE sales", data_dir)
    assert total(data_dir) == "2,30"


def test_a_replaced_file_is_read_right_or_refused(data_dir, sales):
    """Statistics of the old file must not answer for the new one."""
    create(sales, data_dir)
    write(sales, 1, [1, 2, 3, 4, 500])
    done = run_sql("SELECT sale FROM sales WHERE sale > 100", data_dir, "--format", "csv")
    if done.returncode == 0:
        assert done.stdout.split() == ["sale", "500"], done.stdout
    else:
        assert "REFRESH TABLE" in done.stderr, done.stderr
    run_sql("REFRESH TABLE sales", data_dir)
    assert total(data_dir) == "5,510"
