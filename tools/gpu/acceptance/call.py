"""One call: steps in order of value, each with a limit, all within a budget. What they measure is on record at once."""

from __future__ import annotations

import concurrent.futures
import pathlib
import re
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import Callable, Sequence

from . import device, markdown, place
from .processes import Ended, Log, Process, run
from .rows import Rows

SIDE_BY_SIDE = 8  # programs; each holds some of the GPU's memory


class Skip(Exception):
    """A step can't be done here, and why."""


class Failed(Exception):
    """A step is done, and found something wrong."""


class OutOfTime(Failed):
    """A step was cut off by its limit, and what it lacks."""


@dataclass(frozen=True)
class Step:
    name: str
    limit: float  # seconds
    work: Callable[["Call"], None]
    on_device: bool = True  # skipped once it is known that there is none
    patient: bool = False  # cut off by its limit, it has measured what it could: no failure


class Call:
    def __init__(
        self,
        kind: str,
        bundle: place.Bundle,
        folder: pathlib.Path,
        ordinal: int,
        budget: float,
        choose: str,
        programs: str,
    ):
        self.kind, self.bundle, self.ordinal, self.budget = kind, bundle, ordinal, budget
        self._choose, self._programs = re.compile(choose), re.compile(programs)
        self._begin = time.monotonic()
        self._step, self._deadline, self._device_missing = "", budget, ""
        self._rendering = threading.Lock()
        self.rows = Rows(folder, kind)
        self.log = Log(folder / f"{self.rows.stem}.log")
        self.report = folder / f"{self.rows.stem}.md"
        self.companions: list[Process] = []  # that run beside the steps; ended with the call
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="lfm-gpu-"))
        self.environment = place.environment(ordinal)
        self.python = place.tool("python3", self.environment)
        self.gpu, reason = (None, "the emulated device") if bundle.emulated else device.find_device(ordinal)
        self.row(
            "call",
            call=kind,
            bundle=bundle.facts["build"],
            budget=budget,
            emulated=bundle.emulated,
            host=place.host(),
            date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            device=self.gpu.identity() if self.gpu else None,
            no_device=reason,
        )

    # The record.

    def row(self, kind: str, **values) -> None:
        self.rows.add(
            {
                "row": kind,
                "at": round(time.monotonic() - self._begin, 2),
                **({"step": self._step} if self._step else {}),
                **values,
            }
        )
        self.render()

    def render(self) -> None:
        """The report as it stands; another thread that renders just now is as good."""
        if not self._rendering.acquire(blocking=False):
            return
        try:
            partial = self.report.with_suffix(".md.partial")
            partial.write_text(markdown.report([list(self.rows.all)]), encoding="utf-8")
            partial.replace(self.report)
        finally:
            self._rendering.release()

    def state(self, when: str) -> None:
        if self.gpu:
            try:
                self.row("state", when=when, **self.gpu.state())
            except OSError as error:
                self.log.write("device", str(error))

    # Time.

    def left(self) -> float:
        """Seconds until the step under way is cut off."""
        return self._deadline - (time.monotonic() - self._begin)

    # Commands.

    def run(
        self,
        name: str,
        command: Sequence[object],
        limit: float | None = None,
        environment: dict[str, str] | None = None,
        **options,
    ) -> Ended:
        """Ends with the step at the latest."""
        allowed = self.left() if limit is None else min(limit, self.left())
        return run(self.log, name, command, environment or self.environment, allowed, **options)

    def start(
        self, name: str, command: Sequence[object], environment: dict[str, str] | None = None, **options
    ) -> Process:
        return Process(self.log, name, command, environment or self.environment, **options)

    def side_by_side(self, work: Callable[[object], None], items: Sequence[object]) -> None:
        """work(item) of all, some at a time, in their order. What one raises is raised when all are done."""
        with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for done in [pool.submit(work, item) for item in items]:
                done.result()

    def tests(self, *roles: str) -> list[place.Program]:
        return [
            program for role in roles for program in self.bundle.of_role(role) if self._programs.search(program.name)
        ]

    def require_model(self) -> pathlib.Path:
        if not self.bundle.model:
            raise Skip("the bundle holds no weights")
        return self.bundle.model

    # Steps.

    def perform(self, steps: Sequence[Step]) -> bool:
        """Whether something passed and nothing failed."""
        self.state("begin")
        outcomes = [self._perform(step) for step in steps if self._choose.search(step.name)]
        self._step = ""
        for process in self.companions:
            process.end()
            process.wait(0)
        self.state("end")
        self.row("end")
        with self._rendering:  # whoever rendered just now may have missed the last row
            pass
        self.render()
        self.rows.close()
        self.log.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        return "FAILED" not in outcomes and "passed" in outcomes

    def _perform(self, step: Step) -> str:
        begin = time.monotonic() - self._begin
        limit = min(step.limit, self.budget - begin)
        self._step, self._deadline = step.name, begin + limit
        print(f"==> {step.name}", flush=True)
        outcome, reason = "passed", ""
        try:
            if step.on_device and self._device_missing:
                raise Skip(self._device_missing)
            if limit < 3:
                raise Skip(f"the budget of {self.budget:.0f} s is spent")
            self.row("begin", limit=round(limit, 1))
            step.work(self)
        except Skip as skipped:
            outcome, reason = "SKIPPED", str(skipped)
        except Exception as error:  # the other steps are still worth their time
            cut_off = isinstance(error, OutOfTime) or self.left() <= 0
            outcome = "cut off" if cut_off and step.patient else "FAILED"
            reason = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
            if cut_off:
                reason = f"its {limit:.0f} s are over: {reason}"
        seconds = time.monotonic() - self._begin - begin
        self.row("step", outcome=outcome, reason=reason, seconds=round(seconds, 1))
        if step.on_device and outcome != "SKIPPED":
            self.state(f"after {step.name}")
        print(f"    {outcome}{': ' + reason if reason else ''}, {seconds:.1f} s", flush=True)
        return outcome

    def without_device(self) -> None:
        """From now on steps on the device are skipped."""
        self._device_missing = "there is no device"
