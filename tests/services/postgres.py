"""PostgreSQL: the catalog that several nodes share."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

from process import free_ports, start, stop, wait_until


@contextmanager
def running(folder: Path):
    """Runs a server that trusts everyone; gives the environment that names it."""
    bin = _programs()
    folder.mkdir()
    run_as = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root.
        user = pwd.getpwnam("postgres")
        run_as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        os.chown(folder, user.pw_uid, user.pw_gid)
    data = folder / "data"
    log = folder / "log"
    initdb = [bin / "initdb", "-D", data, "-A", "trust", "-U", "postgres",
              "--locale=C.UTF-8", "--no-sync"]  # fmt: skip
    with log.open("w") as out:
        subprocess.run(initdb, cwd=folder, stdout=out, stderr=out, check=True, **run_as)

        [port] = free_ports(1)
        command = [bin / "postgres", "-D", data, "-p", str(port), "-k", folder,
                   "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300",
                   "-c", "fsync=off", "-c", "full_page_writes=off"]  # fmt: skip
        child = start(command, cwd=folder, stdout=out, stderr=out, **run_as)
    try:
        probe = [bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        wait_until(lambda: subprocess.run(probe).returncode == 0, "PostgreSQL", child, log)
        yield {"BOATHOUSE_TEST_POSTGRES_URL": f"postgres://postgres@127.0.0.1:{port}/postgres"}
    finally:
        stop(child, first=signal.SIGINT)  # SIGINT: end connections, then shut down.


def _programs():
    """The folder of PostgreSQL's programs; installs them where that is possible."""
    if not (found := _installed()) and os.getuid() == 0 and shutil.which("apt-get"):
        options = {"check": True, "stdout": subprocess.DEVNULL,
                   "env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}}  # fmt: skip
        subprocess.run(["apt-get", "update", "-q"], **options)
        subprocess.run(["apt-get", "install", "-qy", "--no-install-recommends", "postgresql"], **options)
        found = _installed()
    if not found:
        raise RuntimeError("PostgreSQL is missing: install Debian's postgresql, or put initdb on the PATH")
    return found


def _installed():
    candidates = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)
    if on_path := shutil.which("initdb"):
        candidates.insert(0, os.path.realpath(on_path))
    return Path(candidates[0]).parent if candidates else None
