#!/usr/bin/env bash
# The worked example of docs/FORMAT.md is a log: built from what stands there it is sound, holds its two
# records, and every byte that is shown matters to a reader.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

cat >example.py <<'PY'
import os, re, subprocess, sys

text = open(sys.argv[1], encoding="utf-8").read()
text = text.split("<!-- example -->")[1].split("<!-- /example -->")[0].strip().strip("`").strip()
manifest, segment = re.split(r"^file wal-0000000000000001.seg\n", text, flags=re.M)
manifest = manifest.removeprefix("file MANIFEST\n").rstrip("\n") + "\n"
shown = []
content = bytearray(1048576)
for line in segment.split("\n"):
    match = re.match(r"([0-9a-f]{8})  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?: |$)", line)
    if match:
        offset, data = int(match[1], 16), bytes.fromhex(match[2])
        content[offset : offset + len(data)] = data
        shown += range(offset, offset + len(data))
    elif line.strip() and not line.strip().startswith("-- "):
        sys.exit(f"not a line of the example: {line}")
os.mkdir("log")
open("log/MANIFEST", "w").write(manifest)
path = "log/wal-0000000000000001.seg"
open(path, "wb").write(content)
if len(sys.argv) > 2:  # each byte that is shown, changed, must be noticed
    varve = sys.argv[2]
    for offset in shown:
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(bytes([content[offset] ^ 1 << offset % 8]))
            file.flush()
            done = subprocess.run([varve, "verify", "-q", "--strict", "log"], capture_output=True)
            if done.returncode == 0:
                print(f"byte {offset:#x} can be changed and verify says nothing")
            file.seek(offset)
            file.write(bytes([content[offset]]))
PY
format=$VARVE_SOURCE/docs/FORMAT.md
expect 0 python3 example.py "$format"
expect 0 "$VARVE" verify --strict log
expect_text out '^log: clean end$'
expect_text out ' 1 segments, 2 frames, 1 marks;'
expect 0 "$VARVE" cat log
printf 'first light\nsecond\n' >want
expect_same want out
expect 0 "$VARVE" dump --hex log
expect_text out 'frame @4096  LSN 1 to 1 .* durable 0  2026-11-21T04:59:58.467672Z  sound'
expect_text out 'frame @4608  mark before LSN 2  durable 1 '
expect_text out 'frame @5120  LSN 2 to 2 .* durable 1 '

rm -r log
expect 0 python3 example.py "$format" "$VARVE"
expect_empty out

# The same again, written now, has the same layout: what differs is random or a time.
(echo first light && sleep 0.3 && echo second) | "$VARVE" append -q --segment-bytes 1M now
layout() {
    "$VARVE" dump --json "$1" | python3 -c 'import json, sys
differs = ("crc", "header_crc", "body_crc", "time", "salt", "uuid", "created")
for o in map(json.loads, sys.stdin):
    if o["segment"] == 1:
        print({k: v for k, v in o.items() if not k.startswith(differs)})'
}
layout log >want
layout now >got
expect_same want got
finish
