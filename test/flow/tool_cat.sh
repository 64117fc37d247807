#!/usr/bin/env bash
# varve cat: byte for byte what went in, in each form; ranges, types, times; damage; and outputs that fail.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# ---- forms: any bytes survive, at any size ----

python3 - <<'PY'
import random, struct
random.seed(7)
sizes = [0, 1, 2, 7, 8, 9, 15, 16, 17, 255, 4095, 4096, 4097, 65535, 300000, 1048576, 3000001] + \
    [random.randrange(200) for _ in range(3000)]
with open("framed", "wb") as file:
    for size in sizes:
        file.write(struct.pack("<I", size) + random.randbytes(size))
PY
expect 0 "$VARVE" append --framed any.log <framed
"$VARVE" cat --framed any.log >got
expect_same framed got
"$VARVE" cat any.log >lines
"$VARVE" cat -0 any.log >nul
"$VARVE" cat --raw any.log >raw
"$VARVE" cat --json any.log >json
python3 - <<'PY' || fail 'forms differ'
import base64, json, struct
framed, records, at = open("framed", "rb").read(), [], 0
while at < len(framed):
    size = struct.unpack_from("<I", framed, at)[0]
    records.append(framed[at + 4:at + 4 + size])
    at += 4 + size
assert open("lines", "rb").read() == b"".join(r + b"\n" for r in records)
assert open("nul", "rb").read() == b"".join(r + b"\0" for r in records)
assert open("raw", "rb").read() == b"".join(records)
last_us = 0
for lsn, (line, record) in enumerate(zip(open("json"), records, strict=True), 1):
    got = json.loads(line)
    data = got["data"].encode()
    if got["encoding"] == "base64":
        data = base64.b64decode(data, validate=True)
    assert data == record and got["lsn"] == lsn and got["bytes"] == len(record) and got["type"] == 0, lsn
    try:
        record.decode()
        assert got["encoding"] == "utf-8", lsn
    except UnicodeDecodeError:
        assert got["encoding"] == "base64", lsn
    assert got["time_us"] >= last_us and got["time"].endswith("Z"), lsn
    last_us = got["time_us"]
PY

# JSON of text that needs escapes, and of bytes that are nearly UTF-8.
python3 - <<'PY'
texts = [b'"\\/\b\f\n\r\t\x01\x7f', "äöü €  \U0001f600".encode(), b"\xc0\xaf",
         b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"nul\0nul", b"\xf0\x80\x80\x80",
         b"\xff"]
open("texts", "wb").write(b"\0\0".join(t.replace(b"\0", b"") for t in texts))
PY
"$VARVE" append -q -0 text.log <texts
"$VARVE" cat --json text.log | python3 -c 'import base64, json, sys
got = b"\0".join(base64.b64decode(r["data"]) if r["encoding"] == "base64" else r["data"].encode()
                 for r in map(json.loads, sys.stdin))
sys.exit(got != open("texts", "rb").read())' || fail 'JSON of texts'

# ---- ranges and types ----

for type in 0 1 2; do
    seq $((type * 100 + 1)) $((type * 100 + 100)) | "$VARVE" append -q --type "$type" range.log
done
range() {
    local want=$1
    shift
    expect 0 "$VARVE" cat range.log "$@"
    expect_equal "$want" "$(tr '\n' ' ' <out)" "cat $*"
}
range '298 299 300 ' --from 298
range '1 2 3 ' --to 3
range '150 151 ' --from 150 --to 151
range '150 ' --from 150 --to 150
range '' --from 151 --to 150
range '' --from 301
range '' --from 18446744073709551615
range '1 2 ' --limit 2
range '1 2 ' --from 0 --limit 2
range '' --limit 0
range '101 102 ' --type 1 --limit 2
range '100 201 ' --type 0 --type 2 --from 100 --limit 2
range '' --type 9
range '300 ' --type 2 --from 300 --limit 5

# Times: those that the log gives, in each way of writing them.
time_of() {
    "$VARVE" cat --json --from "$1" --limit 1 range.log >json
    field json "$2"
}
at=$(time_of 101 time)
at_us=$(time_of 101 time_us)
"$VARVE" cat --from "$at" --limit 1 range.log >got
"$VARVE" cat --from "@${at_us:0:-6}.${at_us: -6}" --limit 1 range.log >got.epoch
expect_same got got.epoch
[[ $(cat got) -le 101 ]] || fail "--from the time of LSN 101 began at LSN $(cat got)"
"$VARVE" cat --to "$at" range.log | tail -n 1 >got
[[ $(cat got) -ge 101 ]] || fail "--to the time of LSN 101 ended at LSN $(cat got)"
expect_equal 300 "$("$VARVE" cat --from -1h --to now range.log | wc -l)"
expect_equal 300 "$("$VARVE" cat --from 1999-12-31 range.log | wc -l)"
expect_equal 0 "$("$VARVE" cat --to '2001-02-03 04:05:06+01:00' range.log | wc -l)"
expect_equal 0 "$("$VARVE" cat --from 9999-12-31T23:59Z range.log | wc -l)"

wrong() {
    expect 2 "$VARVE" cat range.log "$@"
    expect_text err "^see 'varve cat --help'"
    expect_empty out
}
for text in x 1x -1 1.5 '' ' 1' 2026-02-30 2026-13-01 2026-1-1 2026-01-01T25:00 2026-01-01T12:60 2026-01-01X \
    2026-01-01T12:00:00.Z 2026-01-01T12:00+1:00 @ @x @1.5x -5 -5w - --5m 99999999999999999999; do
    wrong --from "$text"
    wrong "--to=$text"
done
wrong --limit x
wrong --type 256
wrong --policy ignore
wrong -0 --json
wrong --framed --raw

# ---- damage: the sound part, then the error ----

seq -f 'record number %.0f, which is intact' 2000 >lines
"$VARVE" append -q --batch 10 --segment-bytes 1M sound.log <lines
damaged() {
    rm -rf damaged.log
    cp -r sound.log damaged.log
}
damaged
flip "$(segment_file damaged.log 1)" "$(($(nth sound.log record offset 1000) + 20))"
for policy in truncate halt; do
    expect 1 "$VARVE" cat --policy "$policy" damaged.log
    expect_text err '^varve cat: damaged.log: '
    expect_text err '^what to do: '
    count=$(wc -l <out)
    [[ $count -ge 900 && $count -lt 1000 ]] || fail "$policy: $count records before the damage at 1000"
    head -n "$count" lines >want
    expect_same want out
done
# Whoever goes on after it loses the one record and no other, and never sees a changed byte.
expect 1 "$VARVE" cat --policy skip damaged.log
expect_text err '1 record is gone'
sed 1000d lines >want
expect_same want out

# Without MANIFEST nobody knows where the log begins and ends: what is there is given, and then that is said.
for what in rm 'flip 30'; do
    damaged
    if [[ $what == rm ]]; then rm damaged.log/MANIFEST; else flip damaged.log/MANIFEST 30; fi
    expect 1 "$VARVE" cat damaged.log
    expect_text err '^varve cat: damaged.log: .*MANIFEST.*cannot be told$'
    expect_same lines out
    expect 1 "$VARVE" tail damaged.log
    expect 0 "$VARVE" cat --policy skip damaged.log
    expect_same lines out
done

# ---- outputs that end or fail ----

code=0
"$VARVE" cat sound.log >/dev/full 2>err || code=$?
expect_equal 3 "$code" 'cat to a full device'
expect_text err '^varve cat: standard output: No space left on device$'
for form in -0 --framed --json --raw; do
    code=0
    "$VARVE" cat "$form" any.log >/dev/full 2>err || code=$?
    expect_equal 3 "$code" "cat $form to a full device"
done
# The reader goes away: no message, and the end by SIGPIPE, even where whoever started it ignores that.
"$VARVE" cat any.log 2>err | head -c 1 >/dev/null
expect_equal 141 "${PIPESTATUS[0]}" 'the end by SIGPIPE'
expect_empty err
(
    trap '' PIPE
    "$VARVE" cat any.log 2>err | head -c 1 >/dev/null
    exit "${PIPESTATUS[0]}"
)
expect_equal 141 $? 'the end by SIGPIPE where it was ignored'
expect_empty err
code=0
"$VARVE" cat any.log >&- 2>err || code=$?
expect_equal 3 "$code" 'cat with standard output closed'
"$VARVE" verify -q any.log || fail 'a closed standard output did something to the log'

finish
