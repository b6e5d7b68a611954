"""The types that the package declares, as a type checker sees them. The compiled part's stub is made from the module itself."""
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("mypy", reason="pip install mypy to run it")
HERE = pathlib.Path(__file__).parent


def test_users_programs_pass_mypy(tmp_path):
    command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}", HERE / "typed_use.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
