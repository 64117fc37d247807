#!/usr/bin/env python3
"""Files, functions and lines stay short enough to be read whole.

usage: size.py TREE
"""

import ast
import re
import sys

import tree

FOLDERS = ("src", "include", "tools", "bench", "examples", "check", "test", "scripts", ".ci")
LINE_CHARS = 110

# folder: (lines in a file, lines in a function)
LIMITS = {"test": (900, 120)}
LIMITS_ELSE = (600, 70)


# A line between the end of what stands before a function and its opening brace.
HEAD = re.compile(r"[\w \t].*[^;}\s]$")


def c_functions(lines):
    """Yields (first line, lines, name).

    The braces of a function stand alone in the first column, as .clang-format lays them out, and those of
    nothing else do.
    """
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            first = start
            while first > 0 and HEAD.match(lines[first - 1]):
                first -= 1
            name = re.search(r"(\w+)\(", " ".join(lines[first:start]))
            yield first + 1, number - first + 1, name[1] if name else "?"
            start = None


def shell_functions(lines):
    start = None
    for number, line in enumerate(lines):
        if re.match(r"[\w-]+\(\) \{$", line):
            start = number
        elif line == "}" and start is not None:
            yield start + 1, number - start + 1, lines[start].split("(")[0]
            start = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            yield node.lineno, node.end_lineno - node.lineno + 1, node.name


def functions(path, text):
    if path.endswith(".py"):
        return python_functions(text)
    if path.endswith(tree.C_SUFFIXES):
        return c_functions(tree.blank(text).split("\n"))
    return shell_functions(text.split("\n"))


def check(root):
    problems = []
    for path in tree.files(root, FOLDERS):
        if not path.endswith(tree.C_SUFFIXES + (".py",)) and not tree.is_shell(root, path):
            continue
        text = tree.read(root, path)
        lines = text.splitlines()
        file_lines, function_lines = LIMITS.get(path.split("/")[0], LIMITS_ELSE)
        if len(lines) > file_lines:
            problems.append(f"{path}: {len(lines)} lines, more than {file_lines}")
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_CHARS:
                problems.append(f"{path}:{number}: {len(line)} characters, more than {LINE_CHARS}")
        for number, length, name in functions(path, text):
            if length > function_lines:
                problems.append(f"{path}:{number}: {name} has {length} lines, more than {function_lines}")
    return problems


if __name__ == "__main__":
    tree.finish("size", check(sys.argv[1]))
