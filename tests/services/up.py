"""The services that tests need, and a command that runs beside them."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import postgres
import seaweedfs


@contextmanager
def services():
    """Gives the environment in which tests find the services, and their clients' Python."""
    with tempfile.TemporaryDirectory(prefix="boathouse-test-") as folder, ExitStack() as started:
        folder = Path(folder)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own.
        env = dict(os.environ, BOATHOUSE_TEST_PYTHON=sys.executable)
        env |= started.enter_context(seaweedfs.running(folder / "seaweedfs"))
        env |= started.enter_context(postgres.running(folder / "postgres"))
        yield env


def stop_on_signals():
    """Turns SIGTERM and SIGHUP into an exception, so that services are stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


if __name__ == "__main__":
    stop_on_signals()
    with services() as env:
        sys.exit(subprocess.run(sys.argv[1:], env=env).returncode)
