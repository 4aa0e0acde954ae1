"""SeaweedFS: an S3 that checks signatures and honours conditional writes."""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

from process import free_ports, start, stop, wait_until
from pyarrow import fs

ACCESS_KEY = "boathouse"
SECRET_KEY = "boathouse-secret"
BUCKET = "boathouse-test"


@contextmanager
def running(folder: Path):
    """Runs a server with one bucket; gives the environment that names it."""
    folder.mkdir()
    identity = {
        "name": "boathouse",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    data = folder / "data"
    data.mkdir()
    log = folder / "log"

    # Each port also opens port + 10000.
    master, volume, filer, s3 = free_ports(4, companion=10_000)
    weed = Path(sys.executable).with_name("weed")
    command = [
        weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", "-master.volumeSizeLimitMB=64", "-master.telemetry=false",
        f"-volume.port={volume}", "-volume.max=20",
        "-filer", f"-filer.port={filer}",
        "-s3", f"-s3.port={s3}", "-s3.port.lance=0", "-s3.port.iceberg=0", f"-s3.config={config}",
    ]  # fmt: skip
    with log.open("w") as out:
        child = start(command, cwd=folder, stdout=out, stderr=out)
    try:
        endpoint = f"http://127.0.0.1:{s3}"
        wait_until(lambda: _accepts_a_write(endpoint), "SeaweedFS", child, log)
        yield {
            "BOATHOUSE_TEST_S3_ENDPOINT": endpoint,
            "BOATHOUSE_TEST_S3_ACCESS_KEY": ACCESS_KEY,
            "BOATHOUSE_TEST_S3_SECRET_KEY": SECRET_KEY,
            "BOATHOUSE_TEST_S3_BUCKET": BUCKET,
        }
    finally:
        stop(child)


def _accepts_a_write(endpoint):
    s3 = fs.S3FileSystem(
        endpoint_override=endpoint,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        region="us-east-1",
        allow_bucket_creation=True,
        connect_timeout=1,
        request_timeout=5,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )
    try:
        s3.create_dir(BUCKET)
        with s3.open_output_stream(f"{BUCKET}/ready") as out:
            out.write(b"yes")
        return True
    except OSError:
        return False
