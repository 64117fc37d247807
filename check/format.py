#!/usr/bin/env python3
"""Every C file is laid out as clang-format does it with the .clang-format of the tree.

usage: format.py [--fix] TREE
"""

import os
import re
import shutil
import subprocess
import sys

import tree

FOLDERS = ("src", "include", "tools", "bench", "examples", "check", "test")
MAJOR = "14"
SKIPPED = 77


def formatter():
    """The clang-format to ask: others than version 14 lay out the same settings differently."""
    for name in ("clang-format-" + MAJOR, "clang-format"):
        path = shutil.which(name)
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            if re.search(rf"version {MAJOR}\.", version):
                return path
    return None


def check(root, fix=False):
    paths = tree.files(root, FOLDERS, tree.C_SUFFIXES)
    if not paths:
        return []
    mode = ["-i"] if fix else ["--dry-run", "-Werror"]
    command = [formatter(), "--style=file", *mode, *paths]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    places = re.findall(r"^(\S+?:\d+):\d+: error:", done.stderr, re.M)
    return sorted(set(places), key=lambda p: (p.split(":")[0], int(p.split(":")[1]))) or [done.stderr]


def main():
    fix = "--fix" in sys.argv
    if not formatter():
        print(f"format: needs clang-format {MAJOR}, which this machine has not")
        sys.exit(1 if fix else SKIPPED)
    problems = check(os.path.abspath(sys.argv[-1]), fix)
    if problems and not fix:
        print("run `make format`")
    tree.finish("format", problems)


if __name__ == "__main__":
    main()
