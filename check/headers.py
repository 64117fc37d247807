#!/usr/bin/env python3
"""Each public header compiles alone and without a warning, as strict C11 and as C++17.

usage: headers.py TREE C_COMPILER... -- CXX_COMPILER...
"""

import os
import subprocess
import sys
import tempfile

import tree

WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Wcast-align -Wformat=2"
C_FLAGS = ["-std=c11", "-Wstrict-prototypes"]
CXX_FLAGS = ["-std=c++17"]


def compile_one(compiler, flags, suffix, include, header):
    """Returns what the compiler says of a source that includes only `header`, "" when it is content."""
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "alone" + suffix)
        with open(source, "w", encoding="utf-8") as file:
            file.write(f"#include <{header}>\nextern int not_empty;\n")
        command = [compiler, *flags, *WARNINGS.split(), "-Werror", "-fsyntax-only", "-I", include, source]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else ""


def check(root, c_compilers, cxx_compilers):
    include = os.path.join(root, "include")
    problems = []
    for path in tree.files(include, ("varve",), (".h",)):
        for compilers, flags, suffix in ((c_compilers, C_FLAGS, ".c"), (cxx_compilers, CXX_FLAGS, ".cc")):
            for compiler in compilers:
                said = compile_one(compiler, flags, suffix, include, path)
                if said:
                    problems.append(f"{path}: {compiler} {flags[0]}:\n{said}")
    return problems


def main():
    split = sys.argv.index("--")
    c_compilers, cxx_compilers = sys.argv[2:split], sys.argv[split + 1 :]
    if not c_compilers or not cxx_compilers:
        sys.exit("headers: needs compilers for both languages")
    tree.finish("headers", check(sys.argv[1], c_compilers, cxx_compilers))


if __name__ == "__main__":
    main()
