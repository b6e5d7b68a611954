#!/usr/bin/env python3
"""Holds the order of the folders: a file includes headers of its own folder and of those above it in README.md's table, never of one below.

Two more rules, for the same reason: of the engines' folders only src/engine/cuda uses kernels/, and no engine uses another's folder.
    layers_test.py ROOT [--graph]     --graph: prints the arrows between folders, with how many includes each stands for
"""
import collections
import pathlib
import re
import sys

ROW = re.compile(r"^\| `([a-z/]+)/` \|", re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
ENGINES = ("src/engine/reference", "src/engine/cpu", "src/engine/cuda")


def order_of(readme):
    """Folders of the table, the lowest first: those that are built into the program."""
    return [folder for folder in ROW.findall(readme) if folder.startswith(("include/", "src/")) or folder == "kernels"]


def folder_of(path, order):
    return next((folder for folder in order if path.startswith(folder + "/")), None)


def includes(text):
    """Paths from the project's root."""
    return ["include/" + path if path.startswith("lfm/") else path for path in INCLUDE.findall(text)]


def broken(path, included, order):
    """Why `path` may not include `included`, or None."""
    own, other = folder_of(path, order), folder_of(included, order)
    if own is None or (other is None and included.startswith(("src/", "kernels/"))):
        return f"is in no folder of README.md's table: add a row for it, below all that it uses"
    if other is not None and order.index(other) > order.index(own):
        return f"points back up: {own} comes before {other}"
    if other == "kernels" and own != "kernels" and not path.startswith("src/engine/cuda/"):
        return "uses kernels/, which src/engine/cuda alone does"
    engine = next((e for e in ENGINES if included.startswith(e + "/") and included.count("/") > 2), None)
    if engine and any(path.startswith(e + "/") for e in ENGINES if e != engine):
        return "uses another engine's folder"
    return None


def check_itself():
    order = order_of("| `include/lfm/` | a |\n| `src/io/` | b |\n| `kernels/` | c |\n| `src/engine/` | d |\n| `tests/` | e |\n")
    assert order == ["include/lfm", "src/io", "kernels", "src/engine"], order
    assert broken("src/io/a.h", "include/lfm/error.h", order) is None
    assert broken("kernels/a.cu", "src/io/a.h", order) is None
    assert broken("src/engine/cuda/a.h", "kernels/a.h", order) is None
    for path, included in [("src/io/a.h", "kernels/a.h"), ("include/lfm/a.h", "src/io/a.h"), ("src/new/a.h", "src/io/a.h"),
                           ("src/engine/a.h", "kernels/a.h"), ("src/engine/cpu/a.cpp", "src/engine/cuda/plan.h")]:
        assert broken(path, included, order), (path, included)


def main():
    check_itself()
    root = pathlib.Path(sys.argv[1])
    order = order_of((root / "README.md").read_text())
    arrows, wrong, files = collections.Counter(), [], 0
    for top in ("include", "src", "kernels"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in (".h", ".cpp", ".cu", ".cuh"):
                continue
            files += 1
            path = str(file.relative_to(root))
            for included in includes(file.read_text()):
                if why := broken(path, included, order):
                    wrong.append(f"{path}: #include \"{included}\" {why}")
                own, other = folder_of(path, order), folder_of(included, order)
                if other and own != other:
                    arrows[own, other] += 1
    if "--graph" in sys.argv:
        for (own, other), count in sorted(arrows.items(), key=lambda arrow: (order.index(arrow[0][0]), order.index(arrow[0][1]))):
            print(f"{own} -> {other} ({count})")
    print("\n".join(wrong + [f"{len(order)} folders, {files} files, {len(arrows)} arrows between folders, {len(wrong)} includes against the order"]))
    return bool(wrong) or files < 100


if __name__ == "__main__":
    sys.exit(main())
