#!/usr/bin/env python3
"""Includes only point downwards: the table of docs/ARCHITECTURE.md, as a check.

usage: layers.py TREE
"""

import re
import sys

import tree

# What a folder of src may include besides itself and the public headers.
LAYERS = {
    "base": set(),
    "io": {"base"},
    "format": {"base"},
    "codec": {"base"},
    "resp": {"base"},
    "log": {"base", "io", "format", "codec"},
    "txn": {"base", "io", "format", "codec", "log"},
    "kv": {"base", "io", "format", "codec", "log", "txn"},
    "ship": {"base", "io", "format", "codec", "log"},
    "server": {"base", "io", "resp", "kv", "ship"},
}

# Single headers that are open to a folder although their folder is not.
ALSO = {"format": {"codec/codec.h"}}

# Libraries other than libc, by how their headers are named, and the folders that may know them.
LIBRARIES = {
    r"isa-l": {"base", "format", "codec"},
    r"(lz4|zstd|zdict)": {"codec"},
    r"openssl/": {"codec", "kv"},
    r"lmdb": {"kv"},
    r"(uv|microhttpd|xxhash|jansson|cmocka|sqlite|rocksdb|leveldb)": set(),
}

# Folders that turn bytes into structs and back, and what they therefore have no use for.
PURE = {"format", "resp"}
IO_HEADERS = {"fcntl.h", "unistd.h", "dirent.h", "sys/stat.h", "sys/uio.h", "sys/mman.h", "sys/file.h"}

PUBLIC_ONLY = ("tools", "examples", "bench")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def layer_problem(layer, quote, name):
    """Says what is wrong with a file of src/`layer` including `name`, or None."""
    folder = name.split("/")[0] if "/" in name else ""
    if folder == "varve":
        return None
    if folder in LAYERS:
        if folder == layer or folder in LAYERS[layer] or name in ALSO.get(layer, ()):
            return None
        return f"{layer} may not know {folder}"
    for library, users in LIBRARIES.items():
        if re.match(library, name) and layer not in users:
            return f"{layer} may not use that library"
    if quote == '"':
        return "name it by its path from src or include"
    if layer in PURE and name in IO_HEADERS:
        return f"{layer} does no I/O"
    return None


def public_problem(quote, name):
    """The same for a program, which has the public headers, libc, libraries and the headers beside it."""
    folder = name.split("/")[0] if "/" in name else ""
    if folder in LAYERS:
        return "a program knows only include/varve"
    if quote == '"' and folder not in ("", "varve"):
        return "a program includes the headers beside it by their bare names"
    return None


def header_problem(quote, name):
    """The same for a public header."""
    if name.startswith("varve/"):
        return None
    if quote == '"' or name.split("/")[0] in LAYERS or any(re.match(library, name) for library in LIBRARIES):
        return "a public header knows only public headers and libc"
    return None


def problem(path, quote, name):
    if ".." in name.split("/"):
        return "no .. in an include"
    parts = path.split("/")
    if parts[0] == "src":
        if parts[1] not in LAYERS:
            return "not a known folder of src: add it to check/layers.py"
        return layer_problem(parts[1], quote, name)
    if parts[0] == "include":
        return header_problem(quote, name)
    return public_problem(quote, name)


def check(root):
    problems = []
    for path in tree.files(root, ("src", "include") + PUBLIC_ONLY, tree.C_SUFFIXES):
        text = tree.blank(tree.read(root, path), strings=False)
        for match in INCLUDE.finditer(text):
            found = problem(path, match[1], match[2])
            if found:
                line = text.count("\n", 0, match.start(1)) + 1
                problems.append(f"{path}:{line}: includes {match[2]}: {found}")
    return problems


if __name__ == "__main__":
    tree.finish("layers", check(sys.argv[1]))
