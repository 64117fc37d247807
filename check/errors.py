#!/usr/bin/env python3
"""docs/ERRORS.md is what the table of errors in include/varve/error.h says.

usage: errors.py [--fix] TREE       --fix writes the document anew
"""

import os
import re
import sys

import tree

HEADER = "include/varve/error.h"
DOCUMENT = "docs/ERRORS.md"

STRING = r'"((?:[^"\\]|\\.)*)"'
ENTRY = re.compile(r"\bX\((\w+),\s*(-?\d+),\s*(\w+),\s*" + STRING + r",\s*" + STRING + r"\s*\)")

HEAD = """\
# Errors

Every function that can fail returns 0, `VARVE_END` (1: nothing more to read at this moment, no error), or
one of these. The message in `struct varve_error` says where: file, segment, offset, LSN, and the system's
error behind it.

**ERROR**: this call failed and the log goes on. **FATAL**: the log accepts no writes any more, or was not
opened, until it is opened again. `varve_error_first` has the first error that made a log read-only; a later
success never clears it.

The program `varve` ends with 1 for damage (`CORRUPT`, `TORN`, `HOLE`, `MISSING_SEGMENT`, `FOREIGN`), with 2
for `INVALID`, with 3 for the rest. What to do about damage, step by step: [RECOVERY.md](RECOVERY.md).

This page is generated from the table in [include/varve/error.h](../include/varve/error.h) by
`python3 check/errors.py --fix .`; a test sees that it is up to date.

| code | name | severity | what it means | what to do |
| --- | --- | --- | --- | --- |
"""


def document(text):
    """The document for the text of the header, or None where there is no table."""
    text = tree.blank(text, strings=False).replace("\\\n", " \n")
    entries = ENTRY.findall(text)
    if not entries:
        return None
    rows = []
    for name, code, severity, meaning, remedy in entries:
        rows.append(f"| {code} | `{name}` | {severity} | {meaning} | {remedy} |\n")
    return HEAD + "".join(rows)


def check(root):
    wanted = document(tree.read(root, HEADER))
    if wanted is None:
        return [f"{HEADER}: no table of errors was found"]
    path = os.path.join(root, DOCUMENT)
    if not os.path.exists(path) or tree.read(root, DOCUMENT) != wanted:
        return [f"{DOCUMENT}: not what {HEADER} says: run python3 check/errors.py --fix ."]
    return []


def fix(root):
    wanted = document(tree.read(root, HEADER))
    if wanted is not None:
        with open(os.path.join(root, DOCUMENT), "w", encoding="utf-8") as file:
            file.write(wanted)


if __name__ == "__main__":
    if sys.argv[1] == "--fix":
        fix(sys.argv[2])
    tree.finish("errors", check(sys.argv[-1]))
