"""The command line: run correctness, run performance, run report."""

from __future__ import annotations

import argparse
import pathlib
import signal
import sys

if not __package__:  # started as a file
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    __package__ = "acceptance"

from acceptance import correctness, markdown, performance, place, processes  # noqa: E402
from acceptance.call import Call  # noqa: E402
from acceptance.rows import read_rows  # noqa: E402

CALLS = {"correctness": correctness, "performance": performance}
ROOT = pathlib.Path(__file__).resolve().parent.parent


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Tests and measures lfm-cuda on this machine's GPU. Needs its driver; used where they are there:\n"
        "compute-sanitizer, ncu, cuBLAS, cuDNN, PyTorch. Clocks, power limits and MIG are left as they are.",
        epilog="Each call writes three files to --out as it goes: CALL.jsonl, a row for each thing measured, CALL.md,\n"
        "the report, and CALL.log, what every command said. What ends a call loses nothing that was measured.\n"
        "Exit code: 0, something passed and nothing failed; 1, a step failed or nothing passed; 2, usage; 128 and a\n"
        "signal's number, ended by that.",
    )
    calls = parser.add_subparsers(dest="call", required=True, metavar="CALL")
    for name, module in CALLS.items():
        call = calls.add_parser(name, help=(module.__doc__ or "").splitlines()[0])
        call.add_argument(
            "--out",
            type=pathlib.Path,
            default=pathlib.Path("gpu-report"),
            help="folder of the report (default: %(default)s)",
        )
        call.add_argument("--device", type=int, default=0, help="which GPU, as the driver numbers them (default: 0)")
        call.add_argument(
            "--budget", type=float, help=f"seconds (default: {module.BUDGET}; fifty times that on the emulated device)"
        )
        call.add_argument("--steps", default="", metavar="REGEX", help="only the steps whose name matches")
        call.add_argument("--programs", default="", metavar="REGEX", help="only the test programs whose name matches")
    report = calls.add_parser("report", help="One report of several calls' rows, Markdown")
    report.add_argument("rows", nargs="+", type=pathlib.Path, help="CALL.jsonl files")
    report.add_argument("--note", action="append", default=[], metavar="TEXT", help="to add; may be repeated")
    report.add_argument("--output", type=pathlib.Path, help="where to (default: standard output)")
    return parser.parse_args(arguments)


def ended_from_outside(number: int, _) -> None:
    processes.stop_all()
    sys.exit(128 + number)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    if options.call == "report":
        calls = [read_rows(path) for path in options.rows]
        text = markdown.report([*calls, [{"row": "note", "text": text} for text in options.note]])
        if options.output:
            options.output.write_text(text, encoding="utf-8")
        else:
            print(text, end="")
        return 0
    bundle, module = place.Bundle(ROOT), CALLS[options.call]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended_from_outside)
    budget = options.budget or module.BUDGET * (50 if bundle.emulated else 1)
    call = Call(options.call, bundle, options.out.resolve(), options.device, budget, options.steps, options.programs)
    good = call.perform(module.steps(call))
    print(f"==> {call.report}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
