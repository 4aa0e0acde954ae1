"""The answers that `tests/slt/query/` expects are DuckDB's, not Boathouse's own."""

import subprocess
import sys

from conftest import ROOT


def test_expected_results_are_those_of_duckdb():
    script = ROOT / "tests/oracle/slt_answers.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
