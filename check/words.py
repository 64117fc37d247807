#!/usr/bin/env python3
"""What is unfinished is an issue or a test, not a word in the source.

usage: words.py TREE
"""

import re
import sys

import tree

FOLDERS = ("src", "include", "tools", "bench", "examples", "scripts", "packaging")
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def check(root):
    problems = []
    for path in tree.files(root, FOLDERS):
        for number, line in enumerate(tree.read(root, path).split("\n"), 1):
            match = WORDS.search(line)
            if match:
                problems.append(f"{path}:{number}: {match[0]}")
    return problems


if __name__ == "__main__":
    tree.finish("words", check(sys.argv[1]))
