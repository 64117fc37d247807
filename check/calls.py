#!/usr/bin/env python3
"""Calls that have no place in Varve, or not in that part of it.

usage: calls.py TREE
"""

import re
import sys

import tree

ALL = ("src", "tools", "bench", "examples", "test")

FILE_CALLS = (
    "open openat open64 creat fopen fdopen read write pread pwrite preadv pwritev preadv2 pwritev2"
    " readv writev fsync fdatasync syncfs sync_file_range rename renameat renameat2 unlink unlinkat"
    " rmdir mkdir mkdirat truncate ftruncate fallocate posix_fallocate opendir fdopendir readdir"
    " stat fstat lstat fstatat statx fcntl flock msync"
)

# (functions, folders where they are banned, folders among these where they are allowed, why)
RULES = [
    ("strcpy strcat stpcpy sprintf vsprintf gets", ALL, (), "knows no bound: use snprintf, memcpy"),
    ("strtok", ALL, (), "keeps hidden state: use strtok_r or strcspn"),
    ("atoi atol atoll atof", ALL, (), "hides errors: use strtol and its end pointer"),
    ("system popen alloca", ALL, (), "a shell, or an unbounded stack, is never needed"),
    ("signal", ALL, (), "its meaning varies: use sigaction"),
    ("tmpnam tempnam mktemp", ALL, (), "races with others: use mkstemp or O_EXCL"),
    ("rand srand random srandom drand48 lrand48", ALL, (), "use struct varve_io, or a seed"),
    ("sleep usleep nanosleep", ("src",), (), "waits blindly: use the waiting of src/base"),
    ("exit _exit abort", ("src",), (), "a library ends no process: return an error, or assert"),
    ("printf puts putchar perror", ("src",), (), "a library prints nothing: use the message callback"),
    (FILE_CALLS, ("src",), ("src/io",), "only src/io touches files: go through struct varve_io"),
    # A mapping can keep pages that a direct write has replaced, so segments are read and not mapped.
    ("mmap munmap", ("src",), ("src/io",), "map nothing: read through struct varve_io"),
]


def patterns():
    """Yields (pattern, banned in, allowed in, why).

    A member called `open`, and a declaration of one, is not the function of that name.
    """
    for names, banned, allowed, why in RULES:
        yield re.compile(r"(?<![\w.>])(" + "|".join(names.split()) + r")\s*\("), banned, allowed, why


def below(path, folders):
    return any(path.startswith(folder + "/") for folder in folders)


def check(root):
    problems = []
    rules = list(patterns())
    for path in tree.files(root, ALL, tree.C_SUFFIXES):
        text = tree.blank(tree.read(root, path))
        for pattern, banned, allowed, why in rules:
            if not below(path, banned) or below(path, allowed):
                continue
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{path}:{line}: {match[1]}: {why}")
    return problems


if __name__ == "__main__":
    tree.finish("calls", check(sys.argv[1]))
