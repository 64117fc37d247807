"""What the checks share: which files there are, C without its comments, and how problems are told."""

import os
import sys

C_SUFFIXES = (".c", ".h")


def files(root, folders, suffixes=None):
    """The paths, relative to `root`, of the files below `folders` whose names end in `suffixes`, sorted.

    The tree is walked rather than asked of git, so that the checks work on an unpacked archive and judge a
    file before it is committed.
    """
    found = []
    for folder in folders:
        for where, names, entries in os.walk(os.path.join(root, folder)):
            names[:] = [n for n in names if n != "__pycache__"]
            for entry in entries:
                if suffixes is None or entry.endswith(suffixes):
                    found.append(os.path.relpath(os.path.join(where, entry), root))
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def is_shell(root, path):
    if path.endswith((".sh", ".bash")):
        return True
    with open(os.path.join(root, path), "rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and first.rstrip().endswith((b"bash", b"/sh"))


def blank(text, strings=True):
    """Returns C source with comments, and string and character literals if asked, turned into spaces.

    Line breaks stay, so a line number in the result is one in the source.
    """
    out = []
    at = 0
    while at < len(text):
        end = skip(text, at)
        piece = text[at:end]
        if piece[:2] in ("/*", "//") or (strings and piece[0] in "\"'" and len(piece) > 1):
            piece = "".join(c if c == "\n" else " " for c in piece)
        out.append(piece)
        at = end
    return "".join(out)


def skip(text, at):
    """Returns where the comment, literal or single character that starts at `at` ends."""
    if text.startswith("/*", at):
        end = text.find("*/", at + 2)
        return len(text) if end < 0 else end + 2
    if text.startswith("//", at):
        end = text.find("\n", at)
        return len(text) if end < 0 else end
    if text[at] in "\"'":
        end = at + 1
        while end < len(text) and text[end] not in (text[at], "\n"):
            end += 2 if text[end] == "\\" else 1
        return min(end + 1, len(text))
    return at + 1


def finish(name, problems):
    """Prints the problems, one a line, and exits with 1 when there are any."""
    for problem in problems:
        print(problem)
    if problems:
        print(f"{name}: {len(problems)} problem{'s' if len(problems) > 1 else ''}")
    sys.exit(1 if problems else 0)
