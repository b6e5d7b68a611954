"""The record of a call: a JSON object a line, on disk before the next thing is measured, so that no end loses any."""

from __future__ import annotations

import json
import os
import pathlib
import threading


class Rows:
    """An append-only file. Never an existing one: a number is added to the name instead."""

    def __init__(self, folder: pathlib.Path, name: str):
        folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            self.stem = name if number == 1 else f"{name}-{number}"
            self.path = folder / f"{self.stem}.jsonl"
            try:
                self._file = open(self.path, "x", encoding="utf-8")
                break
            except FileExistsError:
                number += 1
        self._lock = threading.Lock()
        self.all: list[dict] = []

    def add(self, row: dict) -> None:
        with self._lock:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.all.append(row)

    def close(self) -> None:
        self._file.close()


def read_rows(path: pathlib.Path) -> list[dict]:
    """The rows of a file; a last line that was cut off is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
