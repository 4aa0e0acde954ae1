"""Builds the workspace and runs every test; see `tests/run`."""

import json
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/services"))

from process import start, stop  # noqa: E402
from up import services, stop_on_signals  # noqa: E402


class Tally:
    """How many tests passed and failed; a step that breaks counts as a failure."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def add(self, passed, failed, exit_code):
        self.passed += passed
        self.failed += failed if failed or exit_code == 0 else 1


def step(name, command, env, each_line=lambda line: None):
    """Runs a command in sight of the user; gives its exit code."""
    print(f"\n== {name}", flush=True)
    began = time.monotonic()
    child = start(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        for line in child.stdout:
            print(line, end="", flush=True)
            each_line(line)
        return child.wait()
    finally:
        stop(child)
        print(f"== {name}: {time.monotonic() - began:.0f} s", flush=True)


def rust_tests(word, env, tally):
    counts = []

    def count(line):
        if found := re.match(r"test result: .* (\d+) passed; (\d+) failed;", line):
            counts.append((int(found[1]), int(found[2])))

    command = ["cargo", "test", "--workspace", "--no-fail-fast", *([word] if word else [])]
    exit_code = step("Rust tests", command, env, count)
    tally.add(sum(p for p, _ in counts), sum(f for _, f in counts), exit_code)


def python_tests(word, env, tally):
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [sys.executable, "-m", "pytest", "tests/clients",
                   f"--junitxml={report.name}", *(["-k", word] if word else [])]  # fmt: skip
        exit_code = step("client tests", command, env)
        if exit_code == 5:  # No test of that name.
            exit_code = 0
        text = Path(report.name).read_text()
    suite = next(iter(xml.fromstring(text)), {}) if text else {}
    total, failed, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
    tally.add(total - failed - errors - skipped, failed + errors, exit_code)


def binary(env):
    """Where cargo puts the debug binary."""
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps"],
        cwd=ROOT, env=env, capture_output=True, check=True,
    )  # fmt: skip
    return Path(json.loads(metadata.stdout)["target_directory"]) / "debug/boathouse"


def main(word=None):
    tally = Tally()
    try:
        with services() as env:
            env["PYTHONDONTWRITEBYTECODE"] = "1"
            env["BOATHOUSE_TEST_BINARY"] = str(binary(env))
            build = ["cargo", "build", "--workspace", "--all-targets"]
            if step("build", build, env) == 0:
                rust_tests(word, env, tally)
                python_tests(word, env, tally)
            else:
                tally.failed += 1
    except (KeyboardInterrupt, SystemExit):
        print("stopped by a signal")
        tally.failed += 1
    except Exception as error:
        print(f"could not go on: {error!r}")
        tally.failed += 1
    if tally.passed + tally.failed == 0:
        print(f"no test has {word!r} in its name")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 0 if tally.failed == 0 and tally.passed > 0 else 1


if __name__ == "__main__":
    stop_on_signals()
    sys.exit(main(*sys.argv[1:2]))
