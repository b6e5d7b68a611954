"""Commands that end in time: each in a session of its own, ended with its children, its output told line by line."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Callable, Sequence

_running: set[subprocess.Popen] = set()
_stopped = threading.Event()


def stop_all() -> None:
    """Ends whatever runs, at once; from now on nothing starts."""
    _stopped.set()
    for process in list(_running):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Log:
    """One file for the output of all commands, each line after the name of its command, written as it comes."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self._file = open(path, "a", encoding="utf-8", errors="replace")
        self._lock = threading.Lock()

    def write(self, name: str, line: str) -> None:
        with self._lock:
            self._file.write(f"{name}| {line}\n")
            self._file.flush()

    def close(self) -> None:
        self._file.close()


@dataclass
class Ended:
    status: int  # negative: the signal that ended it
    seconds: float
    lines: list[str] = field(default_factory=list)
    cut_off: bool = False  # by its limit

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def last_words(self) -> str:
        """What it said last, for a reason in a table."""
        said = " ".join([line.strip() for line in self.lines if line.strip()][-2:])
        return said[-300:] if said else f"exit code {self.status}"


class Process:
    """A command under way. Its standard error goes where its output goes."""

    def __init__(
        self,
        log: Log,
        name: str,
        command: Sequence[object],
        environment: dict[str, str],
        *,
        cwd: pathlib.Path | None = None,
        on_line: Callable[[str], None] | None = None,
        talks: bool = False,
    ):
        self._log, self._name, self._on_line = log, name, on_line
        self._begin = time.monotonic()
        self._lines: list[str] = []
        if _stopped.is_set():
            raise OSError("the call was ended")
        log.write(name, "$ " + " ".join(str(word) for word in command))
        self._process = subprocess.Popen(
            [str(word) for word in command],
            env=environment,
            cwd=cwd,
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
        )
        _running.add(self._process)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            line = line.rstrip("\n")
            self._lines.append(line)
            self._log.write(self._name, line)
            if self._on_line:
                self._on_line(line)

    def say(self, line: str) -> None:
        """To its standard input; one that has ended hears nothing."""
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self, limit: float) -> Ended:
        """Until it ends; after `limit` seconds it is ended."""
        cut_off = False
        try:
            self._process.wait(max(0.0, limit))
        except subprocess.TimeoutExpired:
            cut_off = True
            self.end()
        _running.discard(self._process)
        self._reader.join(2)  # a child that outlives it may hold the pipe
        for pipe in (self._process.stdin, *([] if self._reader.is_alive() else [self._process.stdout])):
            if pipe:
                pipe.close()
        ended = Ended(self._process.returncode, time.monotonic() - self._begin, list(self._lines), cut_off)
        self._log.write(
            self._name, f"= {'cut off' if cut_off else f'exit code {ended.status}'} after {ended.seconds:.1f} s"
        )
        return ended

    def end(self) -> None:
        """Now, with its children."""
        for kind, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
            try:
                os.killpg(self._process.pid, kind)
            except ProcessLookupError:
                pass
            try:
                self._process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                continue


def run(log: Log, name: str, command: Sequence[object], environment: dict[str, str], limit: float, **options) -> Ended:
    try:
        return Process(log, name, command, environment, **options).wait(limit)
    except OSError as error:  # not there, not executable, of another machine
        log.write(name, f"= {error}")
        return Ended(127, 0.0, [str(error)])
