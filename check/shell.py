#!/usr/bin/env python3
"""Shell scripts parse, and ShellCheck has nothing to say about them.

usage: shell.py TREE
"""

import subprocess
import sys

import tree

FOLDERS = ("scripts", "test", "check", "packaging", "bench", "examples", "docs", ".ci")


def check(root):
    problems = []
    for path in tree.files(root, FOLDERS):
        if not tree.is_shell(root, path):
            continue
        for command in (["bash", "-n"], ["shellcheck", "--shell=bash", "--format=gcc"]):
            done = subprocess.run([*command, path], cwd=root, capture_output=True, text=True, check=False)
            if done.returncode:
                problems += (done.stdout + done.stderr).strip().split("\n")
                break
    return problems


if __name__ == "__main__":
    tree.finish("shell", check(sys.argv[1]))
