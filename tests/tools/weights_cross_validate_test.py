"""weights/cross-validate on made-up scores: what it chooses, that the group left out has no part in it."""

import csv
import importlib.machinery
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "weights" / "cross-validate"
cross = importlib.machinery.SourceFileLoader("cross_validate", str(SCRIPT)).load_module()
HEAD = ["condition", "test_set", "subset", "label", "path", "logit", "score", "doubt"]


def scores_of(logits, groups=6, pictures=30, conditions=("none", "jpeg:75")):
    """{condition: {(group, kind, label): [[logit, ...], ...]}}; logits(draw, group, condition, label): a picture's."""
    draw = random.Random(1)
    table = {}
    for condition in conditions:
        table[condition] = {
            (f"g{group}", f"g{group}", label): [logits(draw, group, condition, label) for _ in range(pictures)]
            for group in range(groups) for label in (0, 1)}
    return table


def complementary(draw, group, condition, label):
    """One member sees fakes as they are, the other those re-compressed; neither is fooled."""
    sees = (condition == "none", condition != "none")
    return [draw.gauss(12 if label and seen else 0, 1) for seen in sees]


def second_misleads(draw, group, condition, label):
    """The second member is as sure of reals as of fakes."""
    return [draw.gauss(6 if label else 0, 1), draw.gauss(0, 30)]


class CrossValidate(unittest.TestCase):
    def test_average_precision_is_as_defined(self):
        self.assertAlmostEqual(cross.average_precision([0.1, 0.4], [0.35, 0.8]), 5 / 6)  # scikit-learn's example
        self.assertAlmostEqual(cross.average_precision([1, 1], [1, 1]), 0.5)
        self.assertEqual(cross.average_precision([0], [1]), 1)

    def test_thresholds_leave_room_for_the_next_picture(self):
        reals = list(range(100))
        self.assertEqual(cross.threshold_at(0.05, reals), 95)  # four above, as lfm-cuda's own table has it
        self.assertEqual(cross.threshold_at(0.05, range(10)), 9)

    def test_members_that_complete_each_other_are_joined(self):
        left_out, choices = cross.cross_validate(scores_of(complementary), 0.05, ())
        self.assertGreater(cross.mean(left_out["chosen"], "recall"), 0.95)
        self.assertLess(cross.mean(left_out["member 1 alone"], "recall"), 0.6)
        self.assertFalse(any("alone" in name for name in choices))

    def test_a_member_that_misleads_is_left_alone(self):
        left_out, choices = cross.cross_validate(scores_of(second_misleads), 0.05, ())
        self.assertEqual(list(choices), ["member 1 alone"])
        self.assertEqual(left_out["chosen"], left_out["member 1 alone"])

    def test_what_is_chosen_does_not_depend_on_the_group_left_out(self):
        """Whatever the scores of a group, the candidates fitted without it are the same."""
        tables = [scores_of(complementary), scores_of(complementary)]
        for table in tables[1].values():
            for label in (0, 1):
                table["g0", "g0", label] = [[1e3 * label - 500, 7.0]] * 30
        candidate = cross.candidates(2, 0.05)[1][-1]
        others = [f"g{group}" for group in range(1, 6)]
        thresholds = []
        for table in tables:
            thresholds.append((candidate.fit(table, others, ()), list(candidate.scales)))
        self.assertEqual(thresholds[0], thresholds[1])

    def test_reals_that_set_no_threshold(self):
        table = scores_of(complementary)
        for pictures in table.values():
            pictures["g1", "g1", 0] = [[100.0, 100.0]] * 30
        candidate = cross.candidates(2, 0.05)[0][0]
        groups = [f"g{group}" for group in range(6)]
        self.assertEqual(candidate.fit(table, groups, ()), 100)
        self.assertLess(candidate.fit(table, groups, ("g1/0_real",)), 50)

    def test_reads_a_file_a_member_or_one_of_all(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            rows = [[condition, "set", group, label, f"{group}/{label}/{n}.png", n + 10 * label, 0.5, ""]
                    for condition in ("none", "jpeg:75")
                    for group in ("aligned-a", "aligned-b", "web", "phones")
                    for label in (0, 1) for n in range(4)]
            for name, factor in (("a", 1), ("b", -1)):
                with open(folder / f"{name}.csv", "w", newline="") as file:
                    csv.writer(file).writerows([HEAD] + [row[:5] + [factor * row[5]] + row[6:] for row in rows])
            with open(folder / "both.csv", "w", newline="") as file:
                csv.writer(file).writerow(HEAD + ["member_1", "member_2"])
                csv.writer(file).writerows(row + [row[5], -row[5]] for row in rows)
            apart = cross.read([folder / "a.csv", folder / "b.csv"], ["aligned-"])
            self.assertEqual(apart, cross.read([folder / "both.csv"], ["aligned-"]))
            self.assertIn(("aligned-", "aligned-b", 1), apart["jpeg:75"])
            self.assertEqual(apart["none"]["web", "web", 1][2], [12.0, -12.0])
            command = [sys.executable, SCRIPT, folder / "both.csv", "--merge", "aligned-"]
            run = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn("| chosen | all | 1.000 |", run.stdout)
            (folder / "empty.csv").write_text(",".join(HEAD) + "\n")
            command = [sys.executable, SCRIPT, folder / "a.csv", folder / "empty.csv"]
            empty = subprocess.run(command, capture_output=True)
            self.assertIn(b"a.csv: no picture", empty.stderr)


if __name__ == "__main__":
    unittest.main()
