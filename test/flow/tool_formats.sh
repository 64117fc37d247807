#!/usr/bin/env bash
# Logs in the formats of other programs, by the program: cat, tail, dump, verify and stat tell the format, or
# are told, and meet damage as the format is used to, or as they are told.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

samples=$VARVE_SOURCE/test/golden/data/samples

# What `cat --framed` gives is what the manifest says of each payload.
framed() {
    python3 - "$1" <<'END'
import json, struct, sys, zlib
data, at = open("out", "rb").read(), 0
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()[1:]
for line in lines:
    want = json.loads(line)
    (length,) = struct.unpack_from("<I", data, at)
    payload = data[at + 4 : at + 4 + length]
    at += 4 + length
    assert length == want["payload_len"], (want, length)
    assert "%08x" % zlib.crc32(payload) == want["payload_crc32"], want
assert at == len(data), (at, len(data))
END
}

for manifest in "$samples"/*/a-*/manifest.jsonl; do
    db=${manifest%/*}/db
    format=${db#"$samples"/}
    format=${format%%/*}
    records=$(($(wc -l <"$manifest") - 1))
    expect 0 "$VARVE" cat --framed "$db"
    expect_empty err
    framed "$manifest" || fail "$db: other payloads than its manifest says"
    expect 0 "$VARVE" cat --json --format "$format" "$db"
    expect_equal "$records" "$(wc -l <out)" "records of $db"
    expect 0 "$VARVE" tail -n 2 --json "$db"
    expect_equal 2 "$(wc -l <out)" "last records of $db"
    expect_text out "^{\"lsn\": *$records,|\"lsn\":$records,"
    expect 0 "$VARVE" verify "$db"
    expect_text out "records    $records, LSN 1 to $records"
    expect_text out "format     $format"
    expect 0 "$VARVE" stat --json "$db"
    expect_text out "\"format\": *\"$format\""
    expect 0 "$VARVE" stat "$db"
    expect_text out "format        $format"
    expect 0 "$VARVE" dump --json "$db"
    expect_equal "$records" "$(grep -c '"kind": *"record"' out)" "records that dump shows of $db"
done
# One file alone.
expect 0 "$VARVE" dump "$samples/wlog/a-txn/db/wal/wal_000001.log"
expect_text out 'wlog, first LSN 1'

# What a record does not have is left out.
expect 0 "$VARVE" cat --json --limit 1 "$samples/wlog/a-small/db"
expect_no_text out '"(time|type|txn_id)"'
expect 0 "$VARVE" cat --json --limit 1 "$samples/stra/a-small/db"
expect_text out '"txn_id":1,"origin":'

# A torn tail and damage: what each does about it by itself, and when it is told.
cp -r "$samples" logs
chmod -R u+w logs
for file in stra/a-small/db/WAL/wal-000003.seg aero/a-small/db/wal/wal.log dbkv/a-small/db/wal-current.log \
    lfwal/a-small/db/wal.log; do
    truncate -s -1 "logs/$file"
done
for format in stra aero dbkv lfwal; do
    db=logs/$format/a-small/db
    torn=0
    [[ $format != aero ]] || torn=1
    expect "$torn" "$VARVE" cat --json "$db"
    expect_equal 19 "$(wc -l <out)" "records before the torn tail of $format"
    expect_text err 'torn'
    expect "$torn" "$VARVE" verify "$db"
    expect_text out 'torn tail of .* the last good record is LSN 19'
    expect 0 "$VARVE" cat --policy truncate "$db"
    expect 0 "$VARVE" verify --policy truncate "$db"
    expect 1 "$VARVE" cat --policy halt "$db"
    expect_text err 'torn tail'
    expect 1 "$VARVE" verify --policy halt "$db"
    expect 1 "$VARVE" verify --strict "$db"
    expect 0 "$VARVE" stat --policy truncate "$db"
    expect_text out 'torn'
    expect 1 "$VARVE" dump "$db"
    expect_text out 'gap @[0-9]+ .* torn'
done

cp -r "$samples" damaged
chmod -R u+w damaged
flip damaged/stra/a-small/db/WAL/wal-000001.seg 150
flip damaged/wlog/a-small/db/wal/wal_000001.log 120
flip damaged/aero/a-small/db/wal/wal.log 75
flip damaged/dbkv/a-small/db/wal-1795178697.log 60
flip damaged/lfwal/a-small/db/wal.log 70
for format in stra wlog aero dbkv lfwal; do
    db=damaged/$format/a-small/db
    expect 1 "$VARVE" cat --json "$db"
    if [[ $format == dbkv ]]; then
        expect_equal 19 "$(wc -l <out)" "records around the damage of $format"
        expect_text err 'byte 32: .*; passed over'
        expect_text err '1 record is gone'
    else
        [[ $(wc -l <out) -lt 3 ]] || fail "$format: records from behind the damage"
        expect_text err ', byte [0-9]+: the checksum does not match'
        expect_text err '^what to do: '
    fi
    expect 1 "$VARVE" cat --json --policy skip "$db"
    expect_equal 19 "$(wc -l <out)" "records around the damage of $format"
    expect 1 "$VARVE" cat --json --policy truncate "$db"
    [[ $(wc -l <out) -lt 3 ]] || fail "$format: records from behind the damage"
    expect 1 "$VARVE" tail -n 100 --policy truncate "$db"
    expect 1 "$VARVE" verify "$db"
    expect_text out 'gone       1 records'
    expect 1 "$VARVE" stat "$db"
    expect 1 "$VARVE" dump "$db"
    expect_text out 'the checksum does not match.* damaged'
    expect_equal 20 "$(grep -c '^    record' out)" "records that dump shows of $format"
    expect 1 "$VARVE" dump --policy truncate "$db"
    [[ $(grep -c '^    record' out) -le 3 ]] || fail "$format: dump went on behind the damage"
done

# Formats that are asked for.
expect 3 "$VARVE" cat --format stra "$samples/wlog/a-small/db"
expect_text err 'the log is in the format wlog, not in stra'
expect 2 "$VARVE" cat --format wlag "$samples/wlog/a-small/db"
expect_text err "not one of 'varve formats'"
expect 1 "$VARVE" verify --format lfwal damaged/lfwal/a-small/db
expect 3 "$VARVE" dump --format aero "$samples/lfwal/a-small/db"
mkdir empty
expect 3 "$VARVE" cat empty
expect_text err 'there is no log'
expect 3 "$VARVE" verify empty

# Behind a writer that appends.
cp -r "$samples/lfwal/a-small/db" growing
chmod -R u+w growing
"$VARVE" tail -f -n 1000 --json growing >followed &
tail=$!
for ((i = 0; i < 3; i++)); do
    head -c 51 "$samples/lfwal/a-small/db/wal.log" >>growing/wal.log
done
all() { [[ $(wc -l <followed) -ge 23 ]]; }
until_true all
kill "$tail"
wait "$tail" || true
expect_text followed '"lsn":23,'

# What native logs alone can do says so, and changes nothing.
seq 50 | "$VARVE" append -q --preset stra other
expect 3 "$VARVE" repair other
expect_text err 'other: the log is in the format stra, which is repaired by opening it'
expect 3 "$VARVE" rekey other copy
expect_text err 'other: the log is in the format stra, which has no codecs of ours'
[[ ! -e copy ]] || fail 'a copy that was refused left a directory'
expect 0 "$VARVE" train other -o dictionary
expect_no_text err 'info:'
expect 0 "$VARVE" verify other

# The list.
expect 0 "$VARVE" formats
for format in varve stra wlog aero dbkv lfwal; do
    expect_text out "^$format "
done
expect 0 "$VARVE" formats --json
expect_equal 6 "$(wc -l <out)" "formats"
python3 -c 'import json, sys; [json.loads(line) for line in open("out")]' || fail "formats --json"
finish
