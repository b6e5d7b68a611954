"""The programs and the notebook of examples/, run as they stand; each skips where the packages it shows are missing."""
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import lfm

ROOT = pathlib.Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "samples").glob("*.png"))


def need(*modules, program=None):
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    if missing:
        pytest.skip(f"pip install {' '.join(missing)} to run it")
    if program and not shutil.which(program):
        pytest.skip(f"{program} is missing")


def run(example, pictures, scores):
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run([sys.executable, ROOT / "examples" / example, pictures, scores], capture_output=True, text=True, timeout=600,
                          env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for file in pathlib.Path(scores).glob("*.json") for line in file.read_text().splitlines()]
    return {pathlib.Path(line["path"]).name: line for line in lines}


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for sample in SAMPLES:
        shutil.copy(sample, folder)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return folder


def expect_scores(lines):
    expected = dict(zip((p.name for p in SAMPLES), lfm.Detector()(SAMPLES)))
    assert set(lines) == {*expected, "broken.png"}
    for name, record in expected.items():
        assert np.float32(lines[name]["score"]) == np.float32(record.score) and lines[name]["label"] == record.label
    assert lines["broken.png"]["error"] and lines["broken.png"].get("score") is None


def test_ray_scores(pictures, tmp_path):
    need("ray", "pyarrow")
    expect_scores(run("ray_scores.py", pictures, tmp_path / "scores"))


def test_spark_scores(pictures, tmp_path):
    need("pyspark", "pandas", "pyarrow", program="java")
    expect_scores(run("spark_scores.py", pictures, tmp_path / "scores"))


def test_notebook():
    need("nbclient", "nbformat", "ipykernel", "matplotlib", "PIL")
    import nbclient
    import nbformat

    notebook = nbformat.read(ROOT / "examples" / "explain_a_picture.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "examples")}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("fake" in str(o.get("data", {}).get("text/plain")) for o in outputs)
    assert any("image/png" in o.get("data", {}) for o in outputs)
