"""tools/test-selection, on a project of two libraries and three test programs."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools/test-selection"
FILES = {
    "src/a/low.h": "",
    "src/a/low.cpp": '#include "src/a/low.h"\n',
    "src/b/high.h": "",
    "src/b/high.cpp": '#include "src/b/high.h"\n#include "src/a/low.h"\n',
    "docs/manual": "",
    "tests/low_test.cpp": '#include "src/a/low.h"\nTEST_CASE("Low.Works") {}\n'
    'TEST_CASE_FOR_EACH(int i, all(), "Low.Each") {}\n',
    "tests/high_test.cpp": '#include "src/b/high.h"\nTEMPLATE_TEST_CASE_METHOD(T, "High.Typed",\n "", A, B) {}\n',
    "tests/command_test.cpp": 'TEST_CASE_METHOD(Command, "Command.Runs") { run(kProgram); }\n',
}


class Selection(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        for name, text in FILES.items():
            self.write(name, text)
        (self.root / "tools").mkdir()
        shutil.copy(TOOL, self.root / "tools")
        programs = ("low", "high", "command")
        self.write("build/test-programs.txt", "".join(f"{p}_test\t{self.root}/tests/{p}_test.cpp\n" for p in programs))
        manual, program = self.root / "docs/manual", self.root / "build/bin/program"
        self.write("build/CTestTestfile.cmake", f'add_test(manual "{sys.executable}" "{manual}" "{program}")\n')
        self.write(".gitignore", "/build/\n")
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "all")

    def write(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def git(self, *arguments):
        subprocess.run(["git", "-C", self.root, *arguments], check=True)

    def select(self, *arguments):
        command = [sys.executable, "-B", self.root / "tools/test-selection", self.root / "build", *arguments]
        run = subprocess.run(command, capture_output=True, text=True)
        return run.returncode, *run.stdout.splitlines()

    def test_by_a_name(self):
        self.assertEqual(self.select("names", "Low"), (0, "low_test", "Low"))
        self.assertEqual(self.select("names", "Low.Each/portable"), (0, "low_test", "Low.Each/portable"))
        self.assertEqual(self.select("names", "Typed - A"), (0, "high_test", "Typed - A"))
        self.assertEqual(self.select("names", "high_test:", "^man"), (0, "high_test program", "high_test:|^man"))
        self.assertEqual(self.select("names", "Nothing")[0], 3)

    def test_by_what_changed(self):
        self.assertEqual(self.select("changed")[0], 3)
        self.write("docs/manual", "new")
        self.assertEqual(self.select("changed"), (0, "program", "^manual$"))
        self.write("src/b/high.cpp", FILES["src/b/high.cpp"] + "//")
        self.assertEqual(self.select("changed")[1], "command_test high_test program")
        self.write("src/a/low.cpp", FILES["src/a/low.cpp"] + "//")
        self.assertEqual(
            self.select("changed"),
            (
                0,
                "command_test high_test low_test program",
                "^command_test(:|$)|^high_test(:|$)|^low_test(:|$)|^manual$",
            ),
        )

    def test_a_new_file_of_the_build_concerns_everything(self):
        self.write("cmake/New.cmake", "")
        self.assertEqual(self.select("changed")[1], "command_test high_test low_test program")


if __name__ == "__main__":
    unittest.main()
