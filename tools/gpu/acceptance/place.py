"""Where everything lies: this folder is part of a bundle (tools/gpu-bundle), whose bundle.json says what it holds."""

from __future__ import annotations

import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
from dataclasses import dataclass

CUDA_FOLDERS = ("/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib")


@dataclass(frozen=True)
class Program:
    name: str
    role: str  # program, kernel-test or engine-test
    every_device: bool  # its tests are parameters of every engine
    path: pathlib.Path


class Bundle:
    def __init__(self, root: pathlib.Path):
        self.root = root
        try:
            self.facts = json.loads((root / "bundle.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SystemExit(f"{root} is no bundle: {error}. tools/gpu-bundle makes one.")
        self.device: str = self.facts["device"]  # cuda or emulated
        self.programs = [
            Program(entry["name"], entry["role"], entry["every_device"], root / "bin" / entry["name"])
            for entry in self.facts["programs"]
        ]
        self.model = next(iter(sorted((root / "share/lfm-cuda").glob("*.lfmw"))), None)

    @property
    def emulated(self) -> bool:
        return self.device == "emulated"

    def program(self, name: str) -> pathlib.Path:
        return self.root / "bin" / name

    def of_role(self, role: str) -> list[Program]:
        return [program for program in self.programs if program.role == role]


def environment(device: int) -> dict[str, str]:
    """Of the programs. The launcher's own additions are taken out again."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LFM_LAUNCHER_")}
    if "LFM_LAUNCHER_LIBRARY_PATH" in os.environ:
        variables.pop("LD_LIBRARY_PATH", None)
        if os.environ["LFM_LAUNCHER_LIBRARY_PATH"]:
            variables["LD_LIBRARY_PATH"] = os.environ["LFM_LAUNCHER_LIBRARY_PATH"]
    # CUDA numbers GPUs by speed, the driver by slot, unless told otherwise.
    variables.update(CUDA_DEVICE_ORDER="PCI_BUS_ID", CUDA_VISIBLE_DEVICES=str(device), PYTHONUNBUFFERED="1")
    cuda = "/usr/local/cuda/bin"
    if os.path.isdir(cuda) and cuda not in variables.get("PATH", "").split(":"):
        variables["PATH"] = variables.get("PATH", "/usr/bin:/bin") + ":" + cuda
    return variables


def with_cuda_libraries(variables: dict[str, str], python: str | None) -> dict[str, str]:
    """cuBLAS and cuDNN, opened when a benchmark runs: beside the toolkit, or among PyTorch's packages."""
    folders = [folder for folder in CUDA_FOLDERS if os.path.isdir(folder)]
    for site in site_packages(python):
        folders += sorted(glob.glob(os.path.join(site, "nvidia", "*", "lib")))
    if not folders:
        return variables
    given = variables.get("LD_LIBRARY_PATH")
    return {**variables, "LD_LIBRARY_PATH": ":".join(([given] if given else []) + folders)}


def site_packages(python: str | None) -> list[str]:
    if not python:
        return []
    try:
        asked = subprocess.run(
            [python, "-c", "import sys; print('\\n'.join(sys.path))"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            env=environment(0),
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line for line in asked.stdout.splitlines() if os.path.isdir(line)]


def tool(name: str, variables: dict[str, str]) -> str | None:
    """The path of a program of the machine."""
    return shutil.which(name, path=variables.get("PATH"))


def host() -> dict:
    """The machine beside the GPU."""
    facts = {"cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release}
    try:
        facts["cpu"] = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M).group(1)
        facts["memory_gib"] = (
            int(re.search(r"^MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M).group(1)) >> 20
        )
        facts["system"] = re.search(
            r'^PRETTY_NAME="?([^"\n]*)', pathlib.Path("/etc/os-release").read_text(), re.M
        ).group(1)
    except (OSError, AttributeError):
        pass  # not told on this machine
    return facts
