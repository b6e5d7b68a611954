"""What a test program says: the options and lines of tests/catch_main.cpp, known here alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .place import Program

OUTCOME = re.compile(r"^\[\s*(OK|FAILED|SKIPPED)\s*\] (.+) \((\d+) ms, \d+ assertions\)$")
STARTED = re.compile(r"^\[ RUN\s*\] (.+)$")
ALL_SKIPPED = 4  # an exit code


def filter_of(program: Program, device: str) -> list[str]:
    """Of tests that every engine is a parameter of, those of the device."""
    return [f"*/{device}"] if program.every_device else []


def listing(program: Program, device: str) -> list[object]:
    return [program.path, "--names", *filter_of(program, device)]


def listed(lines: list[str]) -> int:
    return sum(1 for line in lines if line.strip())


def command(program: Program, device: str) -> list[object]:
    return [program.path, *filter_of(program, device)]


@dataclass
class Tests:
    """Those of one program, as its lines come in."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)  # by reason
    running: str = ""  # its name, until it has ended
    _said: str = ""

    def take(self, line: str) -> None:
        started, ended = STARTED.match(line), OUTCOME.match(line)
        if started:
            self.running = started.group(1)
        elif ended:
            outcome, name, _ = ended.groups()
            self.running = ""
            if outcome == "OK":
                self.passed += 1
            elif outcome == "FAILED":
                self.failed.append(name)
            else:
                self.skipped[self._said] = self.skipped.get(self._said, 0) + 1
        elif line.strip():
            self._said = line.strip().removeprefix("skipped: ")[:200]

    def counts(self) -> dict:
        return {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}
