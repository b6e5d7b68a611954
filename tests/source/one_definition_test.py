#!/usr/bin/env python3
"""Holds C++'s one-definition rule where compilers and linkers do not look: no two files define a type, a constant or an inline
function of one name in one namespace. Such a pair links, and the program that comes of it is undefined.

Reads the text alone, in a second. Names in an unnamed namespace, static ones and those of specialisations don't count; nor do two
programs' own files (tests, benchmarks, fuzz targets), which are never linked together.
    one_definition_test.py ROOT
"""
import collections
import pathlib
import re
import sys

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])+\'|//[^\n]*|/\*.*?\*/|[A-Za-z_]\w*|::|\[\[.*?\]\]|\S', re.S)
RAW_STRING = re.compile(r'\bR"(\w*)\(.*?\)\1"', re.S)


def tokens(text):
    """Of a file as its widest build sees it: directives are left out, every branch is taken."""
    text = RAW_STRING.sub('""', text)
    text = re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", "", text, flags=re.M)
    for match in TOKEN.finditer(text):
        token = match.group()
        if not token.startswith(("//", "/*", "[[")):
            yield token


def declared_name(statement):
    """What a statement at namespace scope defines, before its '{' or '=': (kind, name), or None."""
    words = [t for t in statement if t not in ("constexpr", "constinit", "const", "export", "alignas")]
    if not words or words[0] in ("using", "typedef", "extern", "static", "friend", "static_assert", "namespace"):
        return None
    if words[:3] == ["template", "<", ">"]:
        return None  # a specialisation has the name of what it specialises
    while words[:2] == ["template", "<"]:
        depth, i = 0, 1
        while True:
            depth += {"<": 1, ">": -1}.get(words[i], 0)
            i += 1
            if depth == 0:
                break
        words = words[i:]
    if words and words[0] in ("struct", "class", "union", "enum"):
        words = words[2:] if words[1] in ("class", "struct") else words[1:]
        if not words or not re.match(r"[A-Za-z_]", words[0]):
            return None
        name = words[0]
        rest = words[1:]
        return ("type", name) if not rest or rest[0] in (":", "final") else None
    if "=" in words:
        words = words[:words.index("=")]
    if "operator" in words or not words:
        return None
    if "(" in words:
        return None if "inline" not in words else overload(words)
    if "inline" in statement and len(words) >= 2 and re.match(r"[A-Za-z_]\w*$", words[-1]):
        return ("constant", words[-1])
    return None


def overload(words):
    """An inline function with the types of its parameters: overloads are different functions."""
    i = words.index("(")
    if not re.match(r"[A-Za-z_]\w*$", words[i - 1]):
        return None
    types = re.sub(r"([\w>&*]) [A-Za-z_]\w*(?= [,)=])", r"\1", " ".join(words[i:]))
    return ("function", words[i - 1] + types)


def definitions(text):
    scopes = []  # (name or None where it is no namespace, whether unnamed)
    statement = []
    depth = 0  # of what is skipped: bodies, initialisers
    for token in tokens(text):
        if depth:
            depth += {"{": 1, "}": -1}.get(token, 0)
            continue
        if token == ";":
            statement = []
        elif token == "{":
            if "namespace" in statement:
                named = [t for t in statement[statement.index("namespace") + 1:] if t not in ("inline", "::")]
                scopes.append("::".join(named) if named else None)
            elif statement[:2] == ["extern", '"C"']:
                scopes.append("")
            else:
                found = declared_name(statement)
                if found and None not in scopes:
                    yield ("::".join(s for s in scopes if s), *found)
                depth = 1
                continue
            statement = []
        elif token == "}":
            if scopes:
                scopes.pop()
            statement = []
        elif token == "=" and "(" not in statement and statement.count("<") == statement.count(">"):
            found = declared_name(statement)
            if found and None not in scopes:
                yield ("::".join(s for s in scopes if s), *found)
            statement = ["static"]  # the value that follows defines nothing
        else:
            statement.append(token)


FOLDERS = ("include", "src", "kernels", "tests", "bench", "fuzz")


def is_of_one_program(path):
    """Whether it is linked into one program alone."""
    return path.split("/")[0] in ("tests", "bench", "fuzz") and path.endswith(".cpp")


def clashes(texts):
    """texts: by path. The definitions that more than one file has, at least one of them in every program, and where; and how many there are."""
    found = collections.defaultdict(set)
    for path, text in texts.items():
        for definition in definitions(text):
            found[definition].add(path)
    wrong = {name: sorted(paths) for name, paths in found.items()
             if len(paths) > 1 and not all(is_of_one_program(path) for path in paths)}
    return wrong, len(found)


def check_itself():
    one = "namespace lfm { struct A { int b; }; template <typename T = int> class B {}; inline constexpr int kC = 1;" \
          " inline int d(int x) { return x; } namespace { struct E {}; } enum class F : int { g }; }"
    other = "namespace lfm { enum class A { x }; struct B final {}; inline const long kC{2}; inline int d(int other) { return 2; }" \
            " inline int d(long x) { return 3; } namespace { struct E {}; } namespace inner { struct F {}; } struct A; static int kG = 1; }"
    wrong, _ = clashes({"src/one.h": one, "src/other.h": other})
    assert sorted(name for _, _, name in wrong) == ["A", "B", "d( int )", "kC"], wrong
    assert not clashes({"tests/one.cpp": one, "tests/other.cpp": other})[0]


def main():
    check_itself()
    root = pathlib.Path(sys.argv[1])
    texts = {str(path.relative_to(root)): path.read_text() for folder in FOLDERS for path in (root / folder).rglob("*")
             if path.suffix in (".h", ".cpp", ".cu", ".cuh")}
    wrong, count = clashes(texts)
    for (namespace, kind, name), paths in sorted(wrong.items()):
        print(f"{namespace}::{name}: a {kind} that {' and '.join(paths)} define: give one of them another name")
    print(f"{count} definitions in {len(texts)} files, {len(wrong)} of them more than once")
    return bool(wrong) or count < 100


if __name__ == "__main__":
    sys.exit(main())
