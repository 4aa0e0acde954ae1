"""AWS clients against Boathouse's Glue API, given nothing but an endpoint."""

import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from conftest import Server, serving


@pytest.fixture(scope="module")
def glue_server(tmp_path_factory):
    """A server whose lake is local."""
    with serving(Server(tmp_path_factory.mktemp("glue") / "data")) as server:
        yield server


@pytest.fixture(scope="module")
def glue(glue_server):
    return client(glue_server)


def client(server):
    return boto3.client(
        "glue", endpoint_url=server.http, region_name="us-east-1",
        aws_access_key_id="any", aws_secret_access_key="any",
    )  # fmt: skip


def code(call, *arguments, **named):
    """The error that a call ends with."""
    with pytest.raises(ClientError) as error:
        call(*arguments, **named)
    return error.value.response["Error"]["Code"]


def parquet_table(name, location, keys=(), **more):
    parquet = "org.apache.hadoop.hive.ql.io.parquet"
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": key, "Type": kind} for key, kind in keys],
        "Parameters": {"classification": "parquet", "CamelCase": "Kept As Sent"},
        "StorageDescriptor": {
            "Columns": [{"Name": "a", "Type": "bigint", "Comment": "a number"}],
            "Location": location,
            "InputFormat": f"{parquet}.MapredParquetInputFormat",
            "OutputFormat": f"{parquet}.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": f"{parquet}.serde.ParquetHiveSerDe"},
        },
        **more,
    }


def test_what_is_made_through_glue_is_there_in_sql_and_the_other_way_round(glue_server, glue, tmp_path):
    import pyarrow.parquet as pq

    glue.create_database(DatabaseInput={"Name": "Both", "Description": "of both"})
    pq.write_table(pa.table({"a": [1, 2, 3]}), tmp_path / "part.parquet")
    glue.create_table(DatabaseName="BOTH", TableInput=parquet_table("Numbers", f"file://{tmp_path}/"))
    with glue_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT sum(a) FROM both.numbers")
        assert cursor.fetchall() == [(6,)]
        cursor.execute("CREATE TABLE both.made (n BIGINT, day DATE) PARTITIONED BY (day)")
        cursor.execute("CREATE VIEW both.seen AS SELECT a FROM both.numbers")
    names = [table["Name"] for table in glue.get_tables(DatabaseName="both")["TableList"]]
    assert names == ["made", "numbers", "seen"]
    made = glue.get_table(DatabaseName="both", Name="made")["Table"]
    assert made["Parameters"]["table_type"] == "DELTA"
    assert [key["Name"] for key in made["PartitionKeys"]] == ["day"]
    assert glue.get_table(DatabaseName="both", Name="seen")["Table"]["TableType"] == "VIRTUAL_VIEW"
    glue.delete_table(DatabaseName="both", Name="numbers")
    with glue_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'both' ORDER BY 1")
        assert cursor.fetchall() == [("made",), ("seen",)]


def test_a_table_comes_back_as_it_was_sent_and_is_updated_by_compare_and_set(glue):
    glue.create_database(DatabaseInput={"Name": "cas"})
    table = parquet_table("t", "s3://lake/t/", Owner="ann", Retention=7, Description="what for")
    glue.create_table(DatabaseName="cas", TableInput=table)
    stored = glue.get_table(DatabaseName="cas", Name="T")["Table"]
    assert stored["VersionId"] == "1" and stored["Owner"] == "ann" and stored["Retention"] == 7
    assert stored["Parameters"] == table["Parameters"]
    assert stored["StorageDescriptor"]["SerdeInfo"] == table["StorageDescriptor"]["SerdeInfo"]
    assert code(glue.create_table, DatabaseName="cas", TableInput=table) == "AlreadyExistsException"

    table["Parameters"]["round"] = "2"
    glue.update_table(DatabaseName="cas", TableInput=table, VersionId="1")
    assert code(glue.update_table, DatabaseName="cas", TableInput=table, VersionId="1") == "ConcurrentModificationException"
    glue.update_table(DatabaseName="cas", TableInput=table, VersionId="2", SkipArchive=True)
    versions = glue.get_table_versions(DatabaseName="cas", TableName="t")["TableVersions"]
    assert [version["VersionId"] for version in versions] == ["3", "1"]
    glue.delete_table_version(DatabaseName="cas", TableName="t", VersionId="1")
    assert code(glue.get_table_version, DatabaseName="cas", TableName="t", VersionId="1") == "EntityNotFoundException"
    assert code(glue.get_table, DatabaseName="cas", Name="none") == "EntityNotFoundException"
    assert code(glue.get_table, DatabaseName="none", Name="t") == "EntityNotFoundException"


def test_partitions_are_filtered_paged_and_segmented(glue):
    glue.create_database(DatabaseInput={"Name": "parts"})
    keys = (("day", "date"), ("hour", "int"))
    glue.create_table(DatabaseName="parts", TableInput=parquet_table("t", "s3://lake/t/", keys))
    where = {"DatabaseName": "parts", "TableName": "t"}
    values = [[f"2024-01-{day:02}", str(hour)] for day in range(1, 11) for hour in range(24)]
    for start in range(0, len(values), 100):
        batch = [{"Values": one} for one in values[start : start + 100]]
        assert glue.batch_create_partition(**where, PartitionInputList=batch)["Errors"] == []
    again = glue.batch_create_partition(**where, PartitionInputList=[{"Values": values[0]}, {"Values": ["2025-01-01", "0"]}])
    assert [error["ErrorDetail"]["ErrorCode"] for error in again["Errors"]] == ["AlreadyExistsException"]
    assert code(glue.create_partition, **where, PartitionInput={"Values": ["2024-01-01"]}) == "InvalidInputException"

    def found(**arguments):
        pages = glue.get_paginator("get_partitions").paginate(**where, PaginationConfig={"PageSize": 50}, **arguments)
        return [partition["Values"] for page in pages for partition in page["Partitions"]]

    assert len(found()) == 241
    assert found(Expression="day = '2024-01-03' AND hour BETWEEN 5 AND 7") == [["2024-01-03", str(h)] for h in (5, 6, 7)]
    assert len(found(Expression="(hour in (1, 2)) and not (day < '2024-01-10')")) == 3 - 1
    segments = [found(Segment={"SegmentNumber": n, "TotalSegments": 5}) for n in range(5)]
    assert sorted(sum(segments, [])) == sorted(found())
    assert code(glue.get_partitions, **where, Expression="day ==== 3") == "InvalidInputException"
    assert code(glue.get_partitions, **where, Expression="nope = 3") == "InvalidInputException"

    glue.update_partition(**where, PartitionValueList=["2025-01-01", "0"], PartitionInput={"Values": ["2025-01-02", "0"]})
    assert code(glue.get_partition, **where, PartitionValues=["2025-01-01", "0"]) == "EntityNotFoundException"
    glue.delete_partition(**where, PartitionValues=["2025-01-02", "0"])
    wanted = [{"Values": values[0]}, {"Values": ["2030-01-01", "1"]}]
    assert len(glue.batch_get_partition(**where, PartitionsToGet=wanted)["Partitions"]) == 1


def test_eight_clients_lose_nothing(glue_server, glue):
    glue.create_database(DatabaseInput={"Name": "many"})
    glue.create_table(DatabaseName="many", TableInput=parquet_table("t", "s3://lake/t/", (("n", "int"),)))

    def work(number):
        mine, done = client(glue_server), 0
        for batch in range(5):
            inputs = [{"Values": [str(number * 100 + batch * 10 + n)]} for n in range(10)]
            assert mine.batch_create_partition(DatabaseName="many", TableName="t", PartitionInputList=inputs)["Errors"] == []
            while True:
                table = mine.get_table(DatabaseName="many", Name="t")["Table"]
                changed = parquet_table("t", "s3://lake/t/", (("n", "int"),))
                changed["Parameters"]["count"] = str(int(table["Parameters"].get("count", "0")) + 1)
                try:
                    mine.update_table(DatabaseName="many", TableInput=changed, VersionId=table["VersionId"])
                    break
                except mine.exceptions.ConcurrentModificationException:
                    continue
            done += 1
        return done

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(8))) == 40
    table = glue.get_table(DatabaseName="many", Name="t")["Table"]
    assert table["Parameters"]["count"] == "40"
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName="many", TableName="t")
    assert sum(len(page["Partitions"]) for page in pages) == 400


def test_statistics_functions_indexes_and_tags(glue):
    glue.create_database(DatabaseInput={"Name": "rest"}, Tags={"team": "web"})
    glue.create_table(
        DatabaseName="rest", TableInput=parquet_table("t", "s3://lake/t/", (("day", "date"),)),
        PartitionIndexes=[{"IndexName": "by_day", "Keys": ["day"]}],
    )  # fmt: skip
    where = {"DatabaseName": "rest", "TableName": "t"}
    [index] = glue.get_partition_indexes(**where)["PartitionIndexDescriptorList"]
    assert index["IndexStatus"] == "ACTIVE" and index["Keys"][0]["Name"] == "day"
    glue.delete_partition_index(**where, IndexName="by_day")

    data = {"Type": "LONG", "LongColumnStatisticsData": {"NumberOfNulls": 1, "NumberOfDistinctValues": 2}}
    statistics = {"ColumnName": "a", "ColumnType": "bigint", "AnalyzedTime": 1.5, "StatisticsData": data}
    assert glue.update_column_statistics_for_table(**where, ColumnStatisticsList=[statistics])["Errors"] == []
    got = glue.get_column_statistics_for_table(**where, ColumnNames=["a", "b"])
    assert got["ColumnStatisticsList"][0]["StatisticsData"] == data and got["Errors"][0]["ColumnName"] == "b"

    function = {"FunctionName": "F", "ClassName": "x.F", "OwnerType": "USER", "ResourceUris": []}
    glue.create_user_defined_function(DatabaseName="rest", FunctionInput=function)
    [found] = glue.get_user_defined_functions(DatabaseName="rest", Pattern="*")["UserDefinedFunctions"]
    assert found["FunctionName"] == "f"

    arn = "arn:aws:glue:us-east-1:000000000000:database/rest"
    glue.tag_resource(ResourceArn=arn, TagsToAdd={"cost": "1"})
    glue.untag_resource(ResourceArn=arn, TagsToRemove=["team"])
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {"cost": "1"}


def test_a_crawler_makes_tables_of_files(glue_server, glue, tmp_path):
    for day in (1, 2):
        folder = tmp_path / "raw" / "listens" / f"day=2026-11-0{day}"
        folder.mkdir(parents=True)
        lines = [json.dumps({"user": n, "seconds": n / 2}) for n in range(10)]
        (folder / "part.json").write_text("\n".join(lines))
    glue.create_database(DatabaseInput={"Name": "crawled"})
    target = {"S3Targets": [{"Path": f"file://{tmp_path}/raw/"}]}
    glue.create_crawler(Name="c", Role="any", DatabaseName="crawled", Targets=target, Schedule="cron(0 4 * * ? *)")
    assert code(glue.create_crawler, Name="c", Role="any", Targets=target) == "AlreadyExistsException"
    for _ in range(2):
        glue.start_crawler(Name="c")
        wait_until_ready(glue, "c")
    crawls = glue.list_crawls(CrawlerName="c")["Crawls"]
    assert [crawl["State"] for crawl in crawls] == ["COMPLETED", "COMPLETED"]
    assert json.loads(crawls[0]["Summary"])["changes"] == []
    crawler = glue.get_crawler(Name="c")["Crawler"]
    assert crawler["LastCrawl"]["Status"] == "SUCCEEDED" and crawler["Schedule"]["State"] == "SCHEDULED"
    assert glue.get_crawler_metrics(CrawlerNameList=["c"])["CrawlerMetricsList"][0]["TablesCreated"] == 1
    table = glue.get_table(DatabaseName="crawled", Name="listens")["Table"]
    assert table["PartitionKeys"] == [{"Name": "day", "Type": "date"}]
    with glue_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(seconds) FROM crawled.listens WHERE day = DATE '2026-11-02'")
        assert cursor.fetchall() == [(10, 22.5)]
    glue.delete_crawler(Name="c")
    assert code(glue.start_crawler, Name="c") == "EntityNotFoundException"


def wait_until_ready(glue, name):
    import time

    deadline = time.monotonic() + 30
    while glue.get_crawler(Name=name)["Crawler"]["State"] != "READY":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_no_request_is_an_internal_error(glue_server, glue):
    """Random JSON of the right and the wrong shape."""
    import urllib.error
    import urllib.request

    count = int(os.environ.get("BOATHOUSE_TEST_GLUE_REQUESTS", "3000"))
    dice = random.Random(7)
    model = glue.meta.service_model
    operations = [name for name in model.operation_names if known(name)]

    def value(shape, depth=0):
        if dice.random() < 0.08 or depth > 6:
            return dice.choice([None, 1, -1, 1e30, "", "x" * 300, [], {}, True, "\x00", "default"])
        kind = shape.type_name
        if kind == "structure":
            members = shape.members.items()
            return {k: value(v, depth + 1) for k, v in members if k in shape.required_members or dice.random() < 0.4}
        if kind == "list":
            return [value(shape.member, depth + 1) for _ in range(dice.randrange(3))]
        if kind == "map":
            return {dice.choice("abc"): value(shape.value, depth + 1) for _ in range(dice.randrange(3))}
        if kind in ("integer", "long", "float", "double", "timestamp"):
            return dice.choice([0, 1, 2, 7, 100, 1e9, -5])
        if kind == "boolean":
            return dice.random() < 0.5
        return dice.choice([*getattr(shape, "enum", []), "a", "b", "default", "a.b", "1", "2024-01-01", "a = 1", "s3://b/x/", "a > 'b'"])

    for _ in range(count):
        operation = dice.choice(operations)
        body = json.dumps(value(model.operation_model(operation).input_shape))
        headers = {"X-Amz-Target": f"AWSGlue.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        request = urllib.request.Request(glue_server.http, body.encode(), headers)
        try:
            urllib.request.urlopen(request, timeout=30).read()
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            assert error.code < 500, f"{operation} {body}: {text}"


def known(operation):
    words = ("Database", "Table", "Partition", "Crawl", "Classifier", "UserDefinedFunction", "Tag", "ColumnStatistics")
    others = ("Optimizer", "Task", "Unfiltered", "Integration", "Run", "Encryption", "Catalog", "Materialized", "StartCrawler", "Metrics")
    return any(word in operation for word in words) and not any(word in operation for word in others)


def test_the_command_line_client(glue_server):
    environment = os.environ | {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-m", "awscli", "--endpoint-url", glue_server.http, "glue"]

    def run(*arguments):
        done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "{}")

    run("create-database", "--database-input", '{"Name": "from_cli"}')
    names = [database["Name"] for database in run("get-databases")["DatabaseList"]]
    assert "from_cli" in names and "default" in names
