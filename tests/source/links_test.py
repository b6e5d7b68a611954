#!/usr/bin/env python3
"""Holds what the documents point to: links between them and their headings, and the paths of this repository that documents and comments
name. No address of the network is asked.
    links_test.py ROOT
"""
import pathlib
import re
import sys

LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```", re.S)
TICKED = re.compile(r"`([^`\n]+)`")
# What begins like a path of this repository: in documents between backticks, in sources a document or a header.
PATH = re.compile(r"^(?:\.ci|bench|cmake|docs|fuzz|include|kernels|packaging|samples|src|tests|tools|weights)/[\w./-]*$")
DOCUMENT = re.compile(r"\b((?:docs|bench|weights|kernels|samples)/[A-Z][\w-]*\.md)\b")
SOURCES = (".h", ".cpp", ".cu", ".cuh", ".py", ".sh", ".cmake")
MADE = ("weights/", "docs/", "bench/")  # where tools write what is no part of the repository


def anchor(heading):
    """As code hosts make them of headings."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(text):
    return {anchor(h) for h in re.findall(r"^#+ (.*)$", CODE.sub("", text), re.M)}


def wrong_links(root, path, text):
    for target in LINK.findall(CODE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, fragment = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists():
            yield f"links to {target}, which is not there"
        elif root not in there.parents:
            yield f"links to {target}, which is outside of the repository"
        elif fragment and fragment not in anchors(there.read_text()):
            yield f"links to {target}, whose document has no such heading"


def wrong_paths(root, text):
    for ticked in TICKED.findall(CODE.sub("", text)):
        first = ticked.split(" ")[0]
        if PATH.match(first) and not re.search(r"(^|/)[A-Z]{4,}(/|$|\.cpp|_)", first) and not exists(root, first):
            yield f"names {first}, which is not there"


def exists(root, path):
    return (root / path).exists() or any(root.glob(path.rstrip("/") + ".*"))


def wrong_documents(root, text):
    for document in DOCUMENT.findall(text):
        if not (root / document).exists():
            yield f"names {document}, a document that is not there"
    if re.search(r"\bSPEC(\.md)?\b", text):
        yield "names SPEC, a document that is not part of this repository: docs/METHOD.md tells the mathematics"


def check_itself(root):
    readme = root / "README.md"
    assert anchor("What to expect") == "what-to-expect" and anchor("`bench` and [tools](x)") == "bench-and-tools"
    assert len(list(wrong_links(root, readme, "[a](README.md) [b](gone.md) [c](#no-such) [d](https://example.org/gone)"))) == 2
    assert len(list(wrong_paths(root, "`src/gone/file.h` and `src/model/`, `tools/fuzz all 60`"))) == 1
    assert len(list(wrong_documents(root, "// docs/GONE.md; as README.md tells, SPEC section 3"))) == 2


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    check_itself(root)
    wrong, documents, sources = [], 0, 0
    folders = [p for p in root.iterdir() if p.is_dir() and p.name in {q.split("/")[0] for q in (
        "bench", "cmake", "docs", "fuzz", "include", "kernels", "packaging", "samples", "src", "tests", "tools", "weights")}]
    for path in sorted([*root.glob("*.md"), *(p for f in folders for p in f.rglob("*"))]):
        if not path.is_file() or path == pathlib.Path(__file__).resolve():
            continue
        name = path.relative_to(root)
        if path.suffix == ".md":
            documents += 1
            text = path.read_text()
            found = [*wrong_links(root, path, text), *wrong_paths(root, text)]
        elif path.suffix in SOURCES:
            sources += 1
            found = wrong_documents(root, path.read_text())
        else:
            continue
        wrong += [f"{name} {what}" for what in found]
    print("\n".join(wrong + [f"{documents} documents, {sources} sources, {len(wrong)} wrong references"]))
    return bool(wrong) or documents < 5


if __name__ == "__main__":
    sys.exit(main())
