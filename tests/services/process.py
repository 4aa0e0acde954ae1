"""Child processes that end with this one, and free ports."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def start(command, **options):
    """Starts a child in its own process group; it dies when this process does."""
    return subprocess.Popen(
        command,
        start_new_session=True,
        preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        **options,
    )


def stop(child, first=signal.SIGTERM, patience=20):
    """Asks the child to end, then ends its whole group."""
    if child.poll() is None:
        child.send_signal(first)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def wait_until(ready, what, child, log: Path, seconds=60):
    """Calls `ready` until it is true; an error shows the end of the child's log."""
    deadline = time.monotonic() + seconds
    while not ready():
        ended = child.poll() is not None
        if ended or deadline < time.monotonic():
            why = "ended" if ended else f"was not ready after {seconds} s"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise RuntimeError(f"{what} {why}; its log ends with:\n{tail}")
        time.sleep(0.1)


def free_ports(count, companion=0):
    """Different free loopback ports, each with a free port at `port + companion`."""
    ports = []
    while len(ports) < count:
        port = random.randrange(10_000, 22_000)
        if port not in ports and all(_is_free(p) for p in {port, port + companion}):
            ports.append(port)
    return ports


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
