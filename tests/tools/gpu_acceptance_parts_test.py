"""What a dry run of tools/gpu/acceptance does not reach, or not in time: limits, torn records, what tools print."""

import os
import pathlib
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/gpu"))

from acceptance import (
    call,
    counters,
    device,
    estimates,
    markdown,
    performance,
    place,
    processes,
    rows,
    tables,
    test_program,
)  # noqa: E402

ENVIRONMENT = dict(os.environ)


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class Processes(InFolder):
    def setUp(self):
        super().setUp()
        self.log = processes.Log(self.folder / "log")

    def test_a_limit_ends_children_too_and_what_was_said_stays(self):
        begin = time.monotonic()
        ended = processes.run(
            self.log, "sleeper", ["sh", "-c", "echo begun; sleep 600 & echo $!; wait"], ENVIRONMENT, 1
        )
        self.assertTrue(ended.cut_off)
        self.assertLess(time.monotonic() - begin, 30)
        self.assertEqual(ended.lines[0], "begun")
        for _ in range(100):  # whoever adopts it may take a moment
            if not self.runs(int(ended.lines[1])):
                break
            time.sleep(0.1)
        self.assertFalse(self.runs(int(ended.lines[1])))
        self.assertIn("sleeper| begun", (self.folder / "log").read_text())

    @staticmethod
    def runs(process):
        try:
            return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def test_one_that_hears_no_signal_is_killed(self):
        ended = processes.run(
            self.log, "deaf", ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], ENVIRONMENT, 0.5
        )
        self.assertTrue(ended.cut_off)

    def test_what_is_not_there_is_told(self):
        ended = processes.run(self.log, "missing", [self.folder / "no-such-program"], ENVIRONMENT, 5)
        self.assertEqual(ended.status, 127)
        self.assertIn("no-such-program", ended.last_words())


class Record(InFolder):
    def test_a_line_that_was_cut_off_is_left_out(self):
        record = rows.Rows(self.folder, "correctness")
        record.add({"row": "call"})
        record.add({"row": "tests"})
        with open(record.path, "a") as file:
            file.write('{"row": "samp')
        self.assertEqual(rows.read_rows(record.path), [{"row": "call"}, {"row": "tests"}])

    def test_an_earlier_one_is_kept(self):
        for stem in ("performance", "performance-2", "performance-3"):
            self.assertEqual(rows.Rows(self.folder, "performance").stem, stem)


class Said(unittest.TestCase):
    def test_by_test_programs(self):
        tests = test_program.Tests()
        for line in (
            "[ RUN      ] A.one",
            "[       OK ] A.one (3 ms, 2 assertions)",
            "[ RUN      ] C.two - Half/cuda",
            "  CHECK( a == b )",
            "[  FAILED  ] C.two - Half/cuda (12 ms, 1 assertions)",
            "[ RUN      ] A.three",
            "skipped: no tensor cores",
            "[  SKIPPED ] A.three (0 ms, 0 assertions)",
            "[ RUN      ] A.crash",
            "test cases: 4 | 1 passed | 1 failed",
        ):
            tests.take(line)
        self.assertEqual(tests.counts(), {"passed": 1, "failed": ["C.two - Half/cuda"], "skipped": {"no tensor cores": 1}})
        self.assertEqual(tests.running, "A.crash")

    def test_by_ncu(self):
        found = counters.rows_of(
            [
                "==PROF== Connected",
                '"ID","Kernel Name","Block Size","Grid Size","gpu__time_duration.sum","dram__throughput.avg.pct_'
                'of_peak_sustained_elapsed"',
                '"","","","","us","%"',
                '"0","adam_kernel(float *, int)","(256, 1, 1)","(9, 1, 1)",' '"1,234.50","71.25"',
                '"1","broken"',
            ]
        )
        self.assertEqual(
            found,
            [
                {
                    "kernel": "adam_kernel",
                    "grid": "(9, 1, 1)",
                    "block": "(256, 1, 1)",
                    "microseconds": 1234.5,
                    "dram_percent": 71.25,
                }
            ],
        )
        self.assertEqual(counters.rows_of(["==ERROR== no permission"]), [])

    def test_by_bench_after_a_note(self):
        ended = processes.Ended(0, 1, ["lfm-cuda: a note", '{"mode": "resident",', ' "rows": []}'])
        self.assertEqual(performance.json_of(ended), {"mode": "resident", "rows": []})
        self.assertIsNone(performance.json_of(processes.Ended(1, 1, ["no JSON {"])))


class Device(unittest.TestCase):
    def test_none_has_a_reason(self):
        found, reason = device.find_device(99)
        self.assertIsNone(found)
        self.assertTrue(reason)

    def test_numbers_that_a_gpu_does_not_tell(self):
        self.assertEqual([device.number(text) for text in ("1980", "412.5", "[N/A]")], [1980, 412.5, None])


class Environment(unittest.TestCase):
    def test_programs_do_not_see_the_launchers_libraries(self):
        os.environ.update(LFM_LAUNCHER_LIBRARY_PATH="", LD_LIBRARY_PATH="/bundle/python/lib")
        self.addCleanup(os.environ.pop, "LD_LIBRARY_PATH", None)
        self.addCleanup(os.environ.pop, "LFM_LAUNCHER_LIBRARY_PATH")
        variables = place.environment(3)
        self.assertNotIn("LD_LIBRARY_PATH", variables)
        self.assertNotIn("LFM_LAUNCHER_LIBRARY_PATH", variables)
        self.assertEqual(variables["CUDA_VISIBLE_DEVICES"], "3")
        os.environ["LFM_LAUNCHER_LIBRARY_PATH"] = "/opt/driver"
        self.assertEqual(place.environment(0)["LD_LIBRARY_PATH"], "/opt/driver")


class Budget(InFolder):
    """Steps of a call, without any program."""

    def call(self, budget):
        (self.folder / "bundle.json").write_text(
            '{"device": "emulated", "programs": [], "build": {"commit": "c", "architectures": "", "compiler": ""}}'
        )
        return call.Call("correctness", place.Bundle(self.folder), self.folder / "out", 0, budget, "", "")

    def test_a_step_gets_what_is_left_and_those_behind_it_are_skipped(self):
        made = self.call(5)
        slow = lambda c: self.assertTrue(c.run("slow", ["sleep", "60"]).cut_off)  # noqa: E731
        self.assertTrue(made.perform([call.Step("slow", 100, slow), call.Step("late", 100, slow)]))
        outcomes = {row["step"]: row["outcome"] for row in made.rows.all if row["row"] == "step"}
        self.assertEqual(outcomes, {"slow": "passed", "late": "SKIPPED"})
        self.assertIn("| late | SKIPPED: the budget of 5 s is spent |", made.report.read_text())

    def test_one_that_fails_lets_the_others_run(self):
        made = self.call(60)

        def broken(_):
            raise KeyError("rows")

        self.assertFalse(
            made.perform([call.Step("broken", 9, broken), call.Step("fine", 9, lambda c: c.row("note", text="told"))])
        )
        report = made.report.read_text()
        self.assertIn("| broken | FAILED: KeyError: 'rows' |", report)
        self.assertIn("| fine | passed |", report)
        self.assertIn("* told", report)

    def test_without_a_device_what_needs_one_is_skipped(self):
        made = self.call(60)
        made.without_device()
        self.assertFalse(made.perform([call.Step("tests", 9, lambda c: None)]))
        self.assertIn("| tests | SKIPPED: there is no device |", made.report.read_text())


class Report(unittest.TestCase):
    def test_of_figures(self):
        times = {"median": 2.0, "p10": 1.6, "p90": 2.5, "least": 1.5}
        ours = {
            "row": "measured",
            "mode": "resident",
            "part": "batch",
            "operation": "batch",
            "precision": "fp16",
            "batch": 64,
            "size": 256,
            "milliseconds": times,
            "images_per_second": 32000.0,
        }
        peer = {
            "row": "peer",
            "phase": "eager",
            "peer": "PyTorch, eager",
            "precision": "fp16",
            "batch": 64,
            "images_per_second": 16000.0,
            "milliseconds": {**times, "median": 4.0},
        }
        failed = {
            "row": "measured",
            "mode": "kernels",
            "operation": "block 2",
            "variant": "cuDNN, fp16",
            "error": "not supported",
        }
        text = markdown.report([[ours, peer, failed]])
        self.assertIn("| lfm-cuda, resident | fp16 | 32,000 (25,600–40,000) |", text)
        self.assertIn("| fp16 | 64 | 32,000 | 16,000 (PyTorch, eager) | 2.00x |", text)
        self.assertIn("* block 2, cuDNN, fp16: not supported", text)
        again = {**ours, "milliseconds": {**times, "median": 1.0}, "images_per_second": 64000.0}
        text = markdown.report([[ours, peer], [again]])
        self.assertIn("| fp16 | 64 | 64,000 | 16,000 (PyTorch, eager) | 4.00x |", text)
        self.assertNotIn("32,000", text)

    def test_of_stages_by_libraries(self):
        def row(part: str, operation: str, variant: str, milliseconds: float) -> dict:
            return {
                "row": "measured",
                "mode": "compare-kernels",
                "part": part,
                "operation": operation,
                "variant": variant,
                "precision": "fp16",
                "batch": 64,
                "milliseconds": {"median": milliseconds},
            }

        rows = [row("batch", "batch", "ours", 0.5), row("layer", "block 2", "ours", 0.1)]
        rows += [row("batch", "batch", "cuDNN", 0.75), row("layer", "block 2", "cuDNN", 0.2)]
        rows.append(row("layer", "pooling", "ours", 0.01))
        rows.append({**row("batch", "batch", "cuBLAS", 0), "error": "it is missing"})
        del rows[-1]["milliseconds"]
        text = markdown.report([rows])
        self.assertIn("| precision | batch |  | ours | cuDNN | cuBLAS |", text)
        self.assertIn("| fp16 | 64 | batch | 500.0 | 750.0 |  |", text)
        self.assertIn("| fp16 | 64 | block 2 | 100.0 | 200.0 |  |", text)
        self.assertIn("| fp16 | 64 | pooling |  | (10.0) |  |", text)
        self.assertIn("* batch, cuBLAS: it is missing", text)

    def test_what_was_reckoned_is_answered_on_such_a_gpu_alone(self):
        resident = {"row": "measured", "mode": "resident", "part": "batch", "operation": "batch", "precision": "fp16"}
        resident |= {"batch": 64, "milliseconds": {"median": 1.0, "p10": 1.0, "p90": 1.0}, "images_per_second": 64000.0}
        for name, answered in (("NVIDIA H100 80GB HBM3", True), ("NVIDIA GeForce RTX 4090", False)):
            call_row = {"row": "call", "device": {"name": name}}
            text = "\n".join(estimates.estimates([call_row, resident]))
            self.assertEqual("| 105,000 to 140,000 | 64,000 | lower |" in text, answered)

    def test_of_nothing(self):
        self.assertEqual(markdown.report([[]]), "# On a GPU\n")

    def test_numbers_have_three_figures(self):
        self.assertEqual(
            [tables.number(value) for value in (123456.7, 99.95, 0.01234, float("nan"))],
            ["123,457", "100", "0.0123", "NaN"],
        )


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # of records left open
