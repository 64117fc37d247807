#!/usr/bin/env python3
"""mandoc finds nothing to warn of in the manual pages.

usage: man.py TREE
"""

import subprocess
import sys

import tree


def check(root):
    problems = []
    for path in tree.files(root, ("docs/man",), tuple(f".{section}" for section in range(1, 9))):
        command = ["mandoc", "-T", "lint", "-W", "warning", path]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            problems += (done.stdout + done.stderr).strip().split("\n")
    return problems


if __name__ == "__main__":
    tree.finish("man", check(sys.argv[1]))
