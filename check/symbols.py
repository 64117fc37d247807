#!/usr/bin/env python3
"""The shared libraries export what the public headers declare with VARVE_API: all of it, once, no more.

usage: symbols.py TREE LIBRARY...
"""

import re
import subprocess
import sys

import tree

DECLARED = re.compile(r"\bVARVE_API\b[^;{(]*?\b(\w+)\s*\(")


def declared(root):
    names = set()
    for path in tree.files(root, ("include/varve",), (".h",)):
        text = re.sub(r"^[ \t]*#.*$", "", tree.blank(tree.read(root, path)), flags=re.M)
        names.update(DECLARED.findall(text))
    return names


def exported(library):
    """The dynamic symbols of `library` without their version; the version nodes themselves are absolute."""
    command = ["nm", "-D", "--defined-only", library]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    symbols = [line.split()[-2:] for line in lines]
    return {name.split("@")[0] for kind, name in symbols if kind != "A"}


def check(root, *libraries):
    wanted, there, problems = declared(root), set(), []
    for library in libraries:
        found = exported(library)
        if not found:
            problems.append(f"{library}: exports nothing")
        problems += [f"{name}: exported by two libraries" for name in found & there]
        there |= found
    strange = {name for name in there if not name.startswith("varve_")}
    problems += [f"{name}: exported, and does not begin with varve_" for name in strange]
    problems += [f"{name}: exported, and in no public header" for name in there - wanted - strange]
    problems += [f"{name}: declared in a public header and not exported" for name in wanted - there]
    return sorted(problems)


if __name__ == "__main__":
    tree.finish("symbols", check(*sys.argv[1:]))
