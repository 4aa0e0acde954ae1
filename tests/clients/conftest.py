"""Runs the built binary, as users do, for tests with real clients."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from adbc_driver_flightsql import dbapi

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "tests/slt/data"
DATASETS = ROOT / "datasets"
sys.path.insert(0, str(ROOT / "tests/services"))

from process import free_ports, start, stop  # noqa: E402


def boathouse(arguments, home, **env):
    """The binary's command line, and an environment without the user's own settings."""
    binary = os.environ.get("BOATHOUSE_TEST_BINARY", str(ROOT / "target/debug/boathouse"))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("BOATHOUSE_", "AWS_", "XDG_"))}
    return [binary, *map(str, arguments)], clean | {"HOME": str(home), "NO_COLOR": "1"} | env


def run_sql(sql, data_dir, *flags, seconds=60, **env):
    """Runs SQL in a process of its own."""
    command, env = boathouse(["sql", "--data-dir", data_dir, *flags, "-c", sql], data_dir.parent, **env)
    return subprocess.run(
        command, env=env, cwd=data_dir.parent, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip


def s3_env(endpoint, key, secret):
    """The settings of an S3 that is not AWS's."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "BOATHOUSE_S3_ALLOW_HTTP": "true",
    }


class Server:
    """A `boathouse serve`, or another verb that serves, and how to reach it."""

    def __init__(self, data_dir, verb="serve", **env):
        port, http = free_ports(2)
        self.uri = f"grpc://127.0.0.1:{port}"
        self.http = f"http://127.0.0.1:{http}"
        env = {"BOATHOUSE_HTTP_LISTEN": f"127.0.0.1:{http}"} | env
        self.log = data_dir.parent / f"server-{port}.log"
        command, env = boathouse([verb, "--data-dir", data_dir, "--flight", f"127.0.0.1:{port}"],
                                 data_dir.parent, **env)  # fmt: skip
        with self.log.open("w") as out:
            self.process = start(command, env=env, cwd=data_dir.parent, stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=out)  # fmt: skip
        deadline = time.monotonic() + 60
        while not (_answers(port) and (verb != "serve" or _answers(http))):
            if self.process.poll() is not None or deadline < time.monotonic():
                stop(self.process)
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def connect(self, **options):
        return dbapi.connect(self.uri, autocommit=True, **options)

    def kill(self):
        """As a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def memory(self):
        """The resident memory now, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) // 1024


def _answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(server):
    """A server that is stopped at the end."""
    try:
        yield server
    finally:
        stop(server.process)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for the tests that only add tables of their own."""
    with serving(Server(tmp_path_factory.mktemp("lake") / "data")) as server:
        yield server


@pytest.fixture
def connection(server):
    with server.connect() as connection:
        yield connection


@pytest.fixture
def cursor(connection):
    with connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def table(request):
    """A table name that no other test uses."""
    return re.sub(r"\W", "_", request.node.name).lower()


@pytest.fixture
def data_dir(tmp_path):
    """A data folder of its own."""
    return tmp_path / "data"


class Background(threading.Thread):
    """A call in another thread; `join` gives its result or raises its error."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call, self.result, self.error = call, None, None
        self.start()

    def run(self):
        try:
            self.result = self.call()
        except BaseException as error:
            self.error = error

    def join(self, timeout=60):
        super().join(timeout)
        assert not self.is_alive(), f"still running after {timeout} s"
        if self.error:
            raise self.error
        return self.result
