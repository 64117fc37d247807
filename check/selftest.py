#!/usr/bin/env python3
"""Shows for each rule that its check passes a sound tree and fails an unsound one.

usage: selftest.py RULE...
"""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Case(unittest.TestCase):
    """A tree in a temporary directory: `put` files there, then ask for the problems."""

    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.module = importlib.import_module(type(self).__name__.lower())

    def put(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def problems(self, *args):
        return self.module.check(self.root, *args)

    def good(self, path, text, *args):
        written = self.put(path, text)
        self.assertEqual(self.problems(*args), [], f"in {path}: {text}")
        os.remove(written)

    def bad(self, path, text, *args):
        written = self.put(path, text)
        self.assertEqual(len(self.problems(*args)), 1, f"in {path}: {text}")
        os.remove(written)


class Layers(Case):
    def test_layers_of_src(self):
        self.good("src/io/a.c", '#include "base/error.h"\n#include "varve/log.h"\n#include <varve/io.h>\n')
        self.good("src/log/a.c", '#include "codec/codec.h"\n#include <unistd.h>\n// #include "kv/kv.h"\n')
        self.good("src/format/a.c", '#include "codec/codec.h"\n')
        self.bad("src/format/a.c", '#include "codec/lz4.h"\n')
        self.bad("src/base/a.c", '#include "io/io.h"\n')
        self.bad("src/base/a.c", "#  include <io/io.h>\n")
        self.bad("src/io/a.c", '/* why */ \n #include "log/log.h"\n')
        self.bad("src/ship/a.c", '#include "kv/kv.h"\n')
        self.bad("src/server/a.c", '#include "log/log.h"\n')
        self.bad("src/format/a.c", "#include <fcntl.h>\n")
        self.bad("src/io/a.c", '#include "beside.h"\n')
        self.bad("src/io/a.c", '#include "../base/error.h"\n')
        self.bad("src/attic/a.c", "#include <stdio.h>\n")

    def test_libraries(self):
        self.good("src/base/a.c", "#include <isa-l/crc.h>\n")
        self.good("src/codec/a.c", "#include <lz4.h>\n#include <openssl/evp.h>\n")
        self.bad("src/log/a.c", "#include <zstd.h>\n")
        self.bad("src/log/a.c", "#include <isa-l.h>\n")
        self.bad("include/varve/a.h", "#include <openssl/evp.h>\n")

    def test_programs_and_public_headers(self):
        self.good("tools/a.c", '#include <varve/log.h>\n#include "beside.h"\n#include <stdio.h>\n')
        self.bad("tools/a.c", '#include "log/log.h"\n')
        self.bad("bench/a.c", '#include "base/crc.h"\n')
        self.bad("examples/a.c", "#include <io/io.h>\n")
        self.good("include/varve/a.h", '#include "varve/log.h"\n#include <varve/io.h>\n#include <stdint.h>\n')
        self.bad("include/varve/a.h", '#include "base/error.h"\n')


class Size(Case):
    @staticmethod
    def function(lines):
        """A function of that many lines in all."""
        return "int f(void)\n{\n" + "    x();\n" * (lines - 3) + "}\n"

    def test_files(self):
        self.good("src/base/a.c", "\n" * 600)
        self.bad("src/base/a.c", "\n" * 601)
        self.good("test/unit/a.c", "\n" * 900)
        self.bad("test/unit/a.c", "\n" * 901)
        self.bad("check/a.py", "\n" * 601)

    def test_lines(self):
        self.good("include/varve/a.h", "é" * 110 + "\n")
        self.bad("include/varve/a.h", "x" * 111 + "\n")

    def test_functions(self):
        self.good("src/base/a.c", self.function(70) * 2)
        self.good("src/base/a.c", "/* why\n * and how */\n" + self.function(70))
        self.bad("src/base/a.c", self.function(71))
        head = "int g;\n\nstatic int\nf(int a,\n  int b)\n"
        self.bad("src/base/a.c", head + self.function(69).split("\n", 1)[1])
        self.good("test/lib/a.c", self.function(120))
        self.bad("test/lib/a.c", self.function(121))
        self.good("src/base/a.c", "static int t[] = {\n" + "    1,\n" * 100 + "};\n")
        self.bad("check/a.py", "def f():\n" + "    x()\n" * 70)
        self.good("test/golden/data/a.seg", "x" * 200 + "\n")
        self.bad("scripts/a", "#!/usr/bin/env bash\n" + "# " + "x" * 109 + "\n")
        self.bad("check/a.sh", "f() {\n" + "    x\n" * 69 + "}\n")


class Calls(Case):
    def test_everywhere(self):
        for call in ("strcpy(a, b)", "sprintf(a, b)", "atoi (a)", "rand()", "system(a)", "alloca(1)"):
            self.bad("src/base/a.c", f"x = {call};\n")
            self.bad("tools/a.c", f"x = {call};\n")
        self.good("src/base/a.c", 'x("sprintf(a)"); /* rand() */ // system(a)\n')
        self.good("src/base/a.c", "x = vv_rand(); y = snprintf(a, b, c); z = my_atoi(d);\n")

    def test_only_in_some_folders(self):
        self.bad("src/log/a.c", "usleep(1);\n")
        self.good("bench/a.c", "usleep(1);\n")
        self.bad("src/log/a.c", "fd = open(a, b);\n")
        self.bad("src/base/a.c", "return pwrite(a, b, c, d);\n")
        self.bad("src/log/a.c", "p = mmap(a, b, c, d, e, f);\n")
        self.good("src/io/a.c", "p = mmap(open(a, b), write(c));\n")
        self.good("src/log/a.c", "io->open(a); io.read(b); int (*rename)(int); vv_io_open(c);\n")
        self.good("test/lib/a.c", "fd = open(a, b);\n")


class Words(Case):
    def test_words(self):
        self.bad("src/base/a.c", "/* TO" + "DO: later */\n")
        self.bad("include/varve/a.h", "// FIX" + "ME\n")
        self.good("src/base/a.c", "/* TODOLIST is another word, and so is todo. */\n")


class Headers(Case):
    def compilers(self):
        return [[c for c in names if shutil.which(c)] for names in (("gcc", "clang"), ("g++", "clang++"))]

    def test_headers(self):
        c, cxx = self.compilers()
        self.good("include/varve/a.h", "#include <stdint.h>\nuint64_t varve_a(void);\n", c, cxx)
        self.good("include/varve/a.h", "#define VARVE_A 1\n", c, cxx)
        self.bad("include/varve/a.h", "uint64_t varve_a(void);\n", c[:1], [])
        self.bad("include/varve/a.h", "int varve_a();\n", c[:1], [])
        self.bad("include/varve/a.h", "int varve_a(int class);\n", c, cxx[:1])
        self.bad("include/varve/a.h", "static inline char varve_a(int b) { return b; }\n", c[:1], [])


class Symbols(Case):
    def library(self, source):
        text = self.put("a.c", source)
        built = os.path.join(self.root, "liba.so")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", built, text], check=True)
        return built

    def test_symbols(self):
        header = "/* VARVE_API int varve_b(void); */\n#define VARVE_API\n"
        header += "VARVE_API const char *varve_a(int (*f)(void));\n"
        a, b = "int varve_a(void) { return 0; }\n", "int varve_b(void) { return 0; }\n"
        self.good("include/varve/a.h", header, self.library(a))
        self.bad("include/varve/a.h", header, self.library(a + b))
        self.bad("include/varve/a.h", header, self.library(a + "int other(void) { return 0; }\n"))
        self.bad("include/varve/a.h", header + "VARVE_API int varve_c(void);\n", self.library(a))
        self.bad("include/varve/a.h", "", self.library("static int a;\n"))
        self.bad("include/varve/a.h", header, self.library(a), self.library(a))


class Teeth(Case):
    def library(self, source):
        built = os.path.join(self.root, "a.o")
        text = self.put("a.c", source)
        subprocess.run([os.environ.get("CC", "cc"), "-c", "-o", built, text], check=True)
        return built

    def test_teeth(self):
        sound = self.library("int varve_a;\n")
        self.put("src/base/tooth.h", "#define VV_TEETH(X) \\\n    X(NONE) \\\n    X(A) /* one */\n")
        self.put("test/teeth/teeth.txt", "# BUG | PROGRAM\nA      | model | found\n")
        decorators = '[CRASH_TOOTH_NONE] = {"none", "x"},\n[CRASH_TOOTH_B] = {"b", "x"},\n'
        self.put("test/crash/tooth.c", decorators)
        self.put("docs/TESTING.md", "| A: one | model |\n| b: two | crash |\n")
        self.good("src/log/a.c", "int f(void) { return VV_TOOTH(A); }\n", sound)
        self.bad("src/log/a.c", "int f(void) { return 0; } /* VV_TOOTH(A) */\n", sound)
        self.bad("src/log/a.c", "int f(void) { return VV_TOOTH(A) + VV_TOOTH(C); }\n", sound)
        self.put("src/log/b.c", "int f(void) { return VV_TOOTH(A); }\n")
        self.bad("test/teeth/teeth.txt", "# nothing\n", sound)
        self.put("test/teeth/teeth.txt", "A | model | found\n")
        self.bad("docs/TESTING.md", "| A: one | model |\n", sound)
        self.bad("docs/TESTING.md", "| A: one | model |\n| b: two | crash |\n| d: three |\n", sound)
        self.put("docs/TESTING.md", "| A: one | model |\n| b: two | crash |\n")
        self.good("src/log/a.c", "", sound)
        self.bad("src/log/a.c", "", self.library("int vv_tooth;\n"))


class Format(Case):
    def test_format(self):
        if not self.module.formatter():
            self.skipTest("no clang-format of the right version")
        shutil.copy(os.path.join(HERE, "..", ".clang-format"), self.root)
        self.good("src/base/a.c", "int f(int a)\n{\n    return a;\n}\n")
        self.bad("src/base/a.c", "int f(int a)\n{\n  return a;\n}\n")
        path = self.put("src/base/a.c", "int  f(int a)\n{\n  return a;\n}\n")
        self.problems(True)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "int f(int a)\n{\n    return a;\n}\n")


class Shell(Case):
    def test_shell(self):
        self.good("scripts/a", '#!/usr/bin/env bash\necho "$1"\n')
        self.bad("scripts/a", "#!/usr/bin/env bash\necho $1\n")
        self.put("test/a.sh", "if true\n")
        self.assertNotEqual(self.problems(), [])


class Man(Case):
    def test_man(self):
        page = ".Dd $Mdocdate$\n.Dt A 1\n.Os\n.Sh NAME\n.Nm a\n.Nd does a\n.Sh DESCRIPTION\nIt does.\n"
        self.good("docs/man/a.1", page.replace("$Mdocdate$", "January 2, 2024"))
        self.put("docs/man/a.1", ".Dd January 2, 2024\n.Dt A 1\n.Os\n.Sh NAME\n.Xx\n")
        self.assertNotEqual(self.problems(), [])


class Errors(Case):
    def test_errors(self):
        table = '#define T(X) \\\n    X(VARVE_E_A, -1, ERROR, "a failed", \\\n      "see \\"a\\"")\n'
        self.put("include/varve/error.h", table)
        document = self.module.document(table)
        self.assertIn('| -1 | `VARVE_E_A` | ERROR | a failed | see \\"a\\" |', document)
        self.good("docs/ERRORS.md", document)
        self.bad("docs/ERRORS.md", document.replace("a failed", "a succeeded"))
        self.assertEqual(len(self.problems()), 1)
        self.module.fix(self.root)
        self.assertEqual(self.problems(), [])
        self.put("include/varve/error.h", "#define T(X)\n")
        self.assertEqual(len(self.problems()), 1)


if __name__ == "__main__":
    sys.path.insert(0, HERE)
    unittest.main(argv=[sys.argv[0], *(rule.capitalize() for rule in sys.argv[1:])])
