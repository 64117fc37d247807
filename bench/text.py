#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes data to measure codecs with, out of text that is on every Debian system:  bench/text.py DIR [MIB]

packages.txt  the lists of files of all installed packages, a path a line
log.jsonl     a log in JSON, a record a line: the lines of change logs and licences of the packages, each with
              the fields that a service would add; at least MIB (64) mebibytes, and all the text again where
              that is not enough
Both are the same for the same packages.
"""
import glob
import gzip
import json
import pathlib
import sys
import zlib


def packages(out):
    with open(out, "wb") as file:
        for name in sorted(glob.glob("/var/lib/dpkg/info/*.list")):
            file.write(pathlib.Path(name).read_bytes())


def texts():
    """(package, file, line number, line) of all text there is."""
    names = ("changelog", "copyright", "NEWS", "README", "AUTHORS")
    for name in sorted(glob.glob("/usr/share/doc/*/*")):
        path = pathlib.Path(name)
        if not path.is_file() or not path.name.startswith(names):
            continue
        raw = path.read_bytes()
        if name.endswith(".gz"):
            raw = gzip.decompress(raw)
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
            line = line.strip()
            if line:
                yield path.parent.name, path.name, number, line[:2000]


def log(out, want_bytes):
    at_us = 1764000000 * 1000000
    levels = ("info", "info", "info", "debug", "info", "warning", "info", "error")
    done = 0
    with open(out, "w", encoding="utf-8") as file:
        while done < want_bytes:
            began = done
            for package, name, number, line in texts():
                chance = zlib.crc32(f"{package} {name} {number} {done}".encode())
                at_us += chance % 40000
                seconds, us = divmod(at_us, 1000000)
                text = json.dumps({
                    "time": f"{seconds}.{us:06d}",
                    "level": levels[chance >> 8 & 7],
                    "service": package,
                    "pid": 1000 + zlib.crc32(package.encode()) % 30000,
                    "request": f"{chance:08x}{zlib.crc32(line.encode()):08x}",
                    "source": f"{name}:{number}",
                    "message": line,
                }, ensure_ascii=False)
                done += file.write(text + "\n")
                if done >= want_bytes:
                    break
            if done == began:
                sys.exit("bench/text.py: there is no text in /usr/share/doc")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    packages(folder / "packages.txt")
    log(folder / "log.jsonl", int(sys.argv[2] if len(sys.argv) > 2 else 64) << 20)


if __name__ == "__main__":
    main()
