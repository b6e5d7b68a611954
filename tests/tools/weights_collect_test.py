"""weights/collect on repositories and a list of sources made here: what is taken, what is left out, the same again."""

import csv
import importlib.machinery
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    from PIL import Image
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

WEIGHTS = pathlib.Path(__file__).resolve().parents[2] / "weights"
COLUMNS = "source part group class kind licence origin revision pattern leave cap windows least single".split()


def scene(seed, width=300, height=200):
    """A picture that looks like no other seed's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.BICUBIC)


class Collect(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.rows = []

    def repository(self, origin, pictures):
        """A mirror with these pictures: {name: (image, options of its saving)}; its commit."""
        folder = self.folder / "mirrors" / origin.replace("/", "+")
        for name, (image, options) in pictures.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, **options)
        return self.commit(origin)

    def commit(self, origin):
        folder = self.folder / "mirrors" / origin.replace("/", "+")
        git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "pictures"]):
            subprocess.run([*git, *command], check=True)
        return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    def source(self, name, origin, revision, **columns):
        default = {"part": "train", "group": "g", "class": "real", "kind": "photo", "licence": "CC0-1.0",
                   "pattern": r"\.(png|jpg)$", "cap": "100", "source": name, "origin": origin, "revision": revision}
        self.rows.append(dict.fromkeys(COLUMNS, "") | default | columns)

    def collect(self, *options, out="out"):
        path = self.folder / "sources.csv"
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)
        command = [sys.executable, "-B", str(WEIGHTS / "collect"), str(self.folder / out), "--sources", str(path)]
        command += ["--mirrors", str(self.folder / "mirrors"), *options]
        return subprocess.run(command, capture_output=True, text=True)

    def pictures(self, out="out"):
        root = self.folder / out
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.suffix in (".png", ".jpg"))

    def test_files_come_byte_for_byte_and_the_manifest_says_whence(self):
        pictures = {"photos/1.jpg": (scene(1), {"quality": 80}), "photos/2.png": (scene(2), {}),
                    "icon.png": (scene(3, 64, 64), {})}
        revision = self.repository("a/b", pictures)
        self.source("s", "a/b", revision)
        ended = self.collect()
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn("2 of 3 pictures", ended.stdout)
        self.assertIn("1 small", ended.stdout)
        with open(self.folder / "out/manifest.csv", newline="") as file:
            lines = list(csv.DictReader(file))
        self.assertEqual({line["file"] for line in lines}, {"photos/1.jpg", "photos/2.png"})
        for line in lines:
            original = self.folder / "mirrors/a+b" / line["file"]
            self.assertEqual((self.folder / "out" / line["path"]).read_bytes(), original.read_bytes())
            self.assertEqual((line["origin"], line["revision"], line["licence"]), ("a/b", revision, "CC0-1.0"))

    def test_what_looks_like_another_is_left_out_across_sources_and_against_a_folder(self):
        smaller = scene(1).resize((220, 147), Image.LANCZOS)
        first = self.repository("a/b", {"1.png": (scene(1), {}), "2.png": (scene(2), {})})
        second = self.repository("c/d", {"again.jpg": (smaller, {"quality": 60}), "3.png": (scene(3), {})})
        self.source("s", "a/b", first)
        self.source("t", "c/d", second, group="h", **{"class": "fake"})
        (self.folder / "val").mkdir()
        scene(2).resize((256, 256)).save(self.folder / "val/x.webp")
        ended = self.collect("--against", str(self.folder / "val"))
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual([path.split("/")[-1][0] for path in self.pictures()], ["s", "t"])

    def test_a_scene_and_its_fake_agree_in_the_end_of_their_names(self):
        fake = Image.blend(scene(1), scene(9), 0.1)
        revision = self.repository("a/b", {"7_real.png": (scene(1), {}), "7_fake.png": (fake, {})})
        self.source("r", "a/b", revision, pattern=r"(?P<same>\d+)_real\.png$")
        self.source("f", "a/b", revision, pattern=r"(?P<same>\d+)_fake\.png$", **{"class": "fake"})
        ended = self.collect()
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(len(self.pictures()), 2)
        self.assertEqual(len({path.rsplit("-", 1)[-1] for path in self.pictures()}), 1)

    def test_windows_of_large_pictures_lie_on_the_grid_and_keep_their_pixels(self):
        revision = self.repository("a/b", {"large.jpg": (scene(1, 1600, 1400), {"quality": 90})})
        self.source("s", "a/b", revision, windows="2")
        self.source("kept", "a/b", revision, part="heldout", group="h")
        ended = self.collect()
        self.assertEqual(ended.returncode, 0, ended.stderr)
        with open(self.folder / "out/manifest.csv", newline="") as file:
            lines = list(csv.DictReader(file))
        self.assertEqual([line["source"] for line in lines], ["s", "s"])  # left out of heldout: it looks like another
        whole = Image.open(self.folder / "mirrors/a+b/large.jpg").convert("RGB")
        for line in lines:
            x, y = map(int, line["window"].split(","))
            self.assertEqual((x % 8, y % 8), (0, 0))
            window = Image.open(self.folder / "out" / line["path"])
            self.assertEqual(window.tobytes(), whole.crop((x, y, x + 512, y + 512)).tobytes())

    def test_caps_take_the_same_pictures_again_and_a_changed_row_is_read_anew(self):
        revision = self.repository("a/b", {f"{n}.png": (scene(n), {}) for n in range(6)})
        self.source("s", "a/b", revision, cap="3")
        self.assertEqual(self.collect().returncode, 0)
        first = self.pictures()
        self.assertEqual(len(first), 3)
        self.assertEqual(self.collect(out="other").returncode, 0)
        self.assertEqual(self.pictures("other"), first)
        again = self.collect()
        self.assertNotIn("of 6 pictures", again.stdout)  # done already
        self.assertEqual(self.pictures(), first)
        self.rows[0]["cap"] = "2"
        self.assertEqual(self.collect().returncode, 0)
        self.assertEqual(len(self.pictures()), 2)
        self.assertLess(set(self.pictures()), set(first))

    def test_collages_are_left_out_where_a_source_asks_for_it(self):
        collage = Image.new("RGB", (400, 400))
        for number in range(4):
            collage.paste(scene(20 + number, 200, 200), (200 * (number % 2), 200 * (number // 2)))
        revision = self.repository("a/b", {"collage.png": (collage, {}), "photo.png": (scene(1), {})})
        self.source("s", "a/b", revision, single="yes")
        ended = self.collect()
        self.assertIn("1 collage", ended.stdout, ended.stderr)
        self.assertEqual(len(self.pictures()), 1)

    def test_reserved_repositories_repeated_names_and_patterns_that_match_nothing_are_refused(self):
        self.source("s", "compvis/Stable-Diffusion", "HEAD")
        ended = self.collect()
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("kept for tests", ended.stderr)
        revision = self.repository("a/b", {"1.png": (scene(1), {})})
        self.rows.clear()
        self.source("s", "a/b", revision, pattern="nothing")
        self.assertIn("matches nothing", self.collect().stderr)
        self.source("s", "a/b", revision)
        self.assertIn("its own", self.collect().stderr)

    def test_a_broken_file_is_told_and_does_not_stop_the_others(self):
        self.repository("a/b", {"1.png": (scene(1), {})})
        (self.folder / "mirrors/a+b/2.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
        self.commit("a/b")
        self.source("s", "a/b", "HEAD")
        ended = self.collect()
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn("1 of 2 pictures", ended.stdout)
        self.assertIn("unreadable", ended.stdout)


class Lists(unittest.TestCase):
    """What is committed: the lists themselves."""

    def test_every_source_states_what_it_is_and_none_is_reserved(self):
        collect = importlib.machinery.SourceFileLoader("collect", str(WEIGHTS / "collect")).load_module()
        rows = collect.sources(WEIGHTS / "sources.csv", WEIGHTS / "reserved.txt")
        for row in rows:
            for column in ("source", "group", "kind", "licence", "origin", "revision", "pattern", "cap"):
                self.assertTrue(row[column], f"{row['source']}: {column}")
            self.assertIn(row["part"], ("train", "heldout"))
            self.assertIn(row["class"], ("real", "fake"))
            if not row["origin"].startswith("debian:"):
                self.assertRegex(row["revision"], "^[0-9a-f]{40}$")

    def test_no_repository_gives_pictures_to_both_parts_under_one_pattern(self):
        with open(WEIGHTS / "sources.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        parts = {}
        for row in rows:
            parts.setdefault((row["origin"], row["pattern"]), set()).add(row["part"])
        self.assertEqual([key for key, found in parts.items() if len(found) > 1], [])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main(verbosity=2)
