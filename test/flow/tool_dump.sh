#!/usr/bin/env bash
# varve dump: what it says of places is true of the bytes there; of damaged logs and of single files too.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

printf 'alpha\n\nbeta \001\377gamma\n' >lines
"$VARVE" append -q --type 5 log <lines
seq 100 | "$VARVE" append -q --batch 10 --segment-bytes 1M log

# ---- every offset, length and checksum against the file ----

expect 0 "$VARVE" dump --json --hex log
expect_empty err
cat >compare.py <<'PY'
import json, struct, sys

def crc32c(data, crc=0):
    crc ^= 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 & -(crc & 1))
    return crc ^ 0xffffffff

assert crc32c(b"123456789") == 0xe3069283
lsn, records, kinds = 1, [], set()
for line in open("out"):
    o = json.loads(line)
    kinds.add(o["kind"])
    if o["kind"] == "segment":
        file = open("log/" + o["name"], "rb").read()
        assert len(file) == o["file_bytes"] and o["state"] in ("sound", "empty"), o
        if o["state"] == "empty":
            continue
        assert file[:8] == b"VARVESEG" and struct.unpack_from("<Q", file, 32)[0] == o["segment"], o
        salt = file[40:48]
        assert int(o["salt"], 16) == struct.unpack("<Q", salt)[0], o
        assert int(o["crc_stored"], 16) == int(o["crc_computed"], 16) == crc32c(file[:124]), o
        assert o["uuid"] == file[16:32].hex() and o["base_lsn"] == struct.unpack_from("<Q", file, 64)[0], o
    elif o["kind"] == "frame":
        at = o["offset"]
        assert file[at:at + 4] == b"VFRM" and at % o["frame_bytes"] % 512 == 0, o
        header, body, stored, raw, count, first, durable = struct.unpack_from("<IIIIIQQ", file, at + 4)
        assert int(o["header_crc_stored"], 16) == header == crc32c(salt + file[at + 8:at + 64]), o
        assert int(o["body_crc_stored"], 16) == body == crc32c(salt + file[at + 64:at + 64 + stored]), o
        assert (o["stored_bytes"], o["raw_bytes"], o["records"]) == (stored, raw, count), o
        assert (o["first_lsn"], o["durable_lsn"], o["state"]) == (first, durable, "sound"), o
        frame = at
    elif o["kind"] == "record":
        at = o["offset"]
        crc, length, type_ = struct.unpack_from("<IIB", file, at)
        assert o["lsn"] == lsn and o["frame_offset"] == frame and o["state"] == "sound", o
        assert int(o["crc_stored"], 16) == int(o["crc_computed"], 16) == crc, o
        assert (o["bytes"], o["type"]) == (length, type_), o
        assert bytes.fromhex(o["hex"]) == file[at + 16:at + 16 + length], o
        records.append(bytes.fromhex(o["hex"]))
        lsn += 1
    else:
        assert o["kind"] == "gap" and o["verdict"] == "clean end", o
assert b"".join(r + b"\n" for r in records) == open("want", "rb").read()
assert {"segment", "frame", "record"} <= kinds
PY
(cat lines && seq 100) >want
python3 compare.py || fail 'dump --json does not say what is in the files'

# ---- the text form ----

expect 0 "$VARVE" dump log
expect_text out '^segment 1  wal-0000000000000001.seg  [0-9]+ bytes  sound$'
expect_text out '^  frame @4096  LSN 1 to 3  3 records  durable 0 '
expect_text out '^    record 2 @[0-9]+  type 5  0 bytes  20.*Z  crc 0x[0-9a-f]{8}  sound$'
expect_no_text out '\|alpha\|'
expect 0 "$VARVE" dump --hex log
expect_text out '^ +00000000  61 6c 70 68 61 .* \|alpha\|$'
expect_text out '\|beta \.\.gamma\|$'
expect 0 "$VARVE" dump --no-records log
expect_no_text out '^ +record'
expect_text out '^ +frame'
expect 2 "$VARVE" dump --no-records --hex log

# One file alone.
file=$(segment_file log 1)
expect 0 "$VARVE" dump "$file"
expect_text out '^    record 1 @'
cp "$file" elsewhere
expect 0 "$VARVE" dump elsewhere
expect_text out '^segment 1  elsewhere  .* sound$'
expect_text out '^    record 103 @'

# ---- damage: what is sound is shown all the same ----

cp -r log damaged
at=$(nth log record offset 50)
flip "$(segment_file damaged 1)" $((at + 16))
sum=$(cat damaged/* | cksum)
expect 1 "$VARVE" dump damaged
expect_text out '^    record 50 @.* should be 0x[0-9a-f]{8}  damaged$'
expect_text out '^  frame @.*  damaged body$'
expect_text out '^    record 51 @.*  sound$'
expect_text out '^    record 103 @.*  sound$'
expect 1 "$VARVE" dump --json damaged
expect_equal 1 "$(grep -c '"state":"damaged"' out)" 'damaged records'
expect_equal "$sum" "$(cat damaged/* | cksum)" 'dump changed the log'

rm -rf damaged
cp -r log damaged
flip "$(segment_file damaged 1)" 50
for where in damaged "$(segment_file damaged 1)"; do
    expect 1 "$VARVE" dump "$where"
    expect_text out '^segment 1 .*  damaged header$'
    expect_text out '^  frame @4096  LSN 1 to 3 .*  sound$'
    expect_text out '^    record 103 @.*  sound$'
    "$VARVE" dump --json "$where" >out
    expect_equal 103 "$(grep -c '"kind":"record".*"state":"sound"' out)" 'records behind a damaged header'
done
# Without the right salt no frame checks; its records do.
flip "$(segment_file damaged 1)" 50
flip "$(segment_file damaged 1)" 44
for where in damaged "$(segment_file damaged 1)"; do
    expect 1 "$VARVE" dump "$where"
    expect_text out '^  frame @4096  LSN 1 to 3 .*  damaged header$'
    expect_text out '^    record 103 @.*  sound$'
done
cp "$(segment_file damaged 1)" elsewhere
expect 1 "$VARVE" dump elsewhere
expect_text out '^    record 103 @.*  sound$'
rm -rf damaged
cp -r log damaged
flip "$(segment_file damaged 1)" $(($(nth log frame offset 5) + 24))
expect 1 "$VARVE" dump damaged
expect_text out '^    record 103 @.*  sound$'

# ---- what the records of other formats say ----

samples=$VARVE_SOURCE/test/golden/data/samples
says() {
    expect 0 "$VARVE" dump --operations "$samples/$1/db"
    expect_text out "$2"
}
says aero/a-small '^      delete  collection "users"  document "u0"  schema "user_schema"  schema_version'
says aero/a-small '^      insert  .*  body "\\x1d"$'
says dbkv/a-small '^      set  key "k1"  kind bytes  value "\\x1d"$'
says lfwal/a-small '^      insert  tx 1  key "k0"  value ""$'
says lfwal/a-small '^      commit  tx 1$'
says stra/a-small '^      put  entity kv  run 12[0-9a-f]{30}  name "key-2"  version 30  value '
says stra/a-small '^      no operation: not a writeset$'
says wlog/a-txn '^      add-posting  transaction [0-9a-f]{32}  document .*  start 0  length 100  floats 3$'
says wlog/a-small '^      no operation: not a transaction$'
expect 0 "$VARVE" dump --operations --json "$samples/lfwal/a-small/db"
expect_text out '"operations":\[\{"what":"insert","tx":1,"key":\{"encoding":"utf-8","data":"k0"\}'
expect 0 "$VARVE" dump --operations log
expect_text out '^      no operation: '
expect 2 "$VARVE" dump --operations --no-records log

# ---- what is no log ----

expect 3 "$VARVE" dump lines
expect_text err '^varve dump: lines: '
mkdir none
expect 3 "$VARVE" dump none
mkfifo fifo
expect 3 timeout 20 "$VARVE" dump fifo
expect 3 "$VARVE" dump /dev/null
: >nothing
expect 0 "$VARVE" dump nothing
expect_text out '^segment 0  nothing  0 bytes  empty$'
head -c 5000 /dev/urandom >noise
code=0
"$VARVE" dump noise >out 2>err || code=$?
[[ $code -eq 1 || $code -eq 3 ]] || fail "dump of noise: exit code $code"
code=0
"$VARVE" dump --hex log >/dev/full 2>err || code=$?
expect_equal 3 "$code" 'dump to a full device'

finish
