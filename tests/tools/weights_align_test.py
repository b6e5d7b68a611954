"""weights/align on a network and pictures made here: pairs of one content, delivered alike, the same again."""

import csv
import importlib.machinery
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

try:
    import ncnn  # noqa: F401
    import numpy as np
    from PIL import Image, JpegImagePlugin
except ImportError as error:
    print(f"skipped: {error}; weights/align names the packages")
    sys.exit(77)

WEIGHTS = pathlib.Path(__file__).resolve().parents[2] / "weights"
align = importlib.machinery.SourceFileLoader("align", str(WEIGHTS / "align")).load_module()
COLUMNS = "family part runner licence origin revision pattern".split()
# Enlarges bilinearly: a network without weights.
ENLARGING = "7767517\n2 2\nInput  data 0 1 data\nInterp up 1 1 data out 0=2 1={0}.0 2={0}.0\n"


def scene(seed, side=600):
    """A lively picture that looks like no other seed's."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 256, (40, 40, 3), np.uint8))
    coarse = np.asarray(coarse.resize((side, side), Image.BICUBIC), np.int16)
    return Image.fromarray(np.uint8(np.clip(coarse + draw.integers(-20, 20, coarse.shape), 0, 255)))


class Align(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for part in ("train", "heldout"):
            reals = self.folder / "out" / part / "photos" / "0_real"
            reals.mkdir(parents=True)
            for number in range(4):
                scene(number).save(reals / f"scene-{number}-aaaa{number:04d}.jpg", quality=70 + 5 * number)
            scene(9).save(reals / "scene-9-bbbb0009.png")
        mirror = self.folder / "mirrors" / "some+networks"
        mirror.mkdir(parents=True)
        for name, factor in (("twice", 2), ("threefold", 3)):
            (mirror / f"{name}.param").write_text(ENLARGING.format(factor))
            (mirror / f"{name}.bin").write_bytes(bytes(16))
        git = ["git", "-C", str(mirror), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "networks"]):
            subprocess.run([*git, *command], check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        revision = head.stdout.strip()
        with open(self.folder / "networks.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            for name, part in (("twice", "train"), ("threefold", "heldout")):
                table.writerow([name, part, "ncnn", "none", "some/networks", revision, rf"^{name}\.param$"])

    def run_align(self):
        command = [sys.executable, "-B", WEIGHTS / "align", self.folder / "out", "--pairs", "4"]
        command += ["--mirrors", self.folder / "mirrors", "--networks", self.folder / "networks.csv"]
        subprocess.run(command, check=True, capture_output=True, text=True)
        with open(self.folder / "out" / "aligned.csv", newline="") as file:
            return list(csv.DictReader(file))

    def test_networks_see_reals_of_their_part(self):
        rows = self.run_align()
        self.assertEqual([row["part"] for row in rows].count("train"), 4)
        self.assertEqual([row["part"] for row in rows].count("heldout"), 4)
        for row in rows:
            self.assertTrue(row["real"].startswith(row["part"] + "/"))
            self.assertIn(row["mixed"], align.MIXES)

    def test_pairs_have_one_size_content_and_compression(self):
        self.run_align()
        seen = 0
        for real in sorted((self.folder / "out").glob("*/aligned-*/0_real/*")):
            base = real.parents[1]
            with Image.open(real) as a, Image.open(base / "1_fake" / real.name) as b:
                self.assertEqual((a.size, a.format), ((256, 256), b.format))
                if a.format == "JPEG":
                    self.assertEqual(a.quantization, b.quantization)
                    self.assertEqual(JpegImagePlugin.get_sampling(a), JpegImagePlugin.get_sampling(b))
                gap = np.abs(np.asarray(a, float) - np.asarray(b, float)).mean()
                self.assertLess(gap, align.WIDEST_GAP)
                self.assertGreater(gap, 0)
            seen += 1
        self.assertEqual(seen, 8)

    def test_what_is_made_is_not_made_again(self):
        self.run_align()
        def files():
            return {path: path.read_bytes() for path in (self.folder / "out").rglob("*") if path.is_file()}
        before = files()
        self.run_align()
        self.assertEqual(files(), before)

    def test_mixing_in_blocks_takes_each_frequency_from_one_side(self):
        real, fake = (np.random.default_rng(seed).uniform(0, 255, (256, 256, 3)) for seed in (1, 2))
        basis = align.dct_basis()
        np.testing.assert_allclose(basis @ basis.T, np.eye(8), atol=1e-12)
        made = align.mixed(real, fake, "blocks", random.Random(1))
        waves = [basis @ x[:8, :8, 0] @ basis.T for x in (real, fake, made)]
        from_real, from_fake = (np.isclose(waves[2], waves[side]) for side in (0, 1))
        self.assertTrue((from_real ^ from_fake).all())
        self.assertTrue(0 < from_real.sum() < 64)
        self.assertIs(align.mixed(real, fake, "whole", random.Random(1)), fake)

    def test_blurs_no_further_than_the_goal(self):
        image = scene(1)
        goal = align.detail(image) / 3
        self.assertLess(abs(align.detail(align.blurred(image, goal)) - goal), 0.1 * goal)


if __name__ == "__main__":
    unittest.main()
