#!/usr/bin/env python3
"""Every deliberate bug is used in the sources, looked for, and listed; the library has none of them.

usage: teeth.py TREE LIBRARY
"""

import os
import re
import subprocess
import sys

import tree

LIST = "src/base/tooth.h"
WANTED = "test/teeth/teeth.txt"
DECORATORS = "test/crash/tooth.c"
DOCUMENT = "docs/TESTING.md"


def names(root, path, pattern):
    text = tree.read(root, path) if os.path.exists(os.path.join(root, path)) else ""
    return set(re.findall(pattern, text, re.M))


def used(root):
    found = set()
    for path in tree.files(root, ("src",), tree.C_SUFFIXES):
        if path != LIST:
            found.update(re.findall(r"\bVV_TOOTH\((\w+)\)", tree.blank(tree.read(root, path))))
    return found


def in_library(library):
    lines = subprocess.run(["nm", library], capture_output=True, text=True, check=True).stdout.splitlines()
    return any(line.split()[-1:] == ["vv_tooth"] for line in lines)


def check(root, library):
    listed = names(root, LIST, r"^\s*X\((\w+)\)") - {"NONE"}
    decorators = names(root, DECORATORS, r'^\s*\[CRASH_TOOTH_\w+\] = \{"(\w+)"') - {"none"}
    documented = names(root, DOCUMENT, r"^\| (\w+): ")
    problems = []
    for where, there in (("the sources", used(root)), (WANTED, names(root, WANTED, r"^(\w+)\s*\|"))):
        problems += [f"{name}: in {LIST}, and not in {where}" for name in listed - there]
        problems += [f"{name}: in {where}, and not in {LIST}" for name in there - listed]
    problems += [f"{name}: not in {DOCUMENT}" for name in (listed | decorators) - documented]
    problems += [f"{name}: in {DOCUMENT}, and nowhere else" for name in documented - listed - decorators]
    if in_library(library):
        problems.append(f"{library}: was built with deliberate bugs")
    return sorted(problems)


if __name__ == "__main__":
    tree.finish("teeth", check(sys.argv[1], sys.argv[2]))
