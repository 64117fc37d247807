#!/usr/bin/env bash
# varve kv and varve snapshot: a store is changed, read, looked at in the past, and damaged.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

"$VARVE" help kv >/dev/null 2>&1 || {
    echo 'skipped: a build without the key-value engine (VARVE_OPENSSL=OFF)'
    exit 77
}

# ---- usage ----

expect 2 "$VARVE" kv store
expect 2 "$VARVE" kv store nothing
expect_text err 'must be one of get set'
expect 2 "$VARVE" kv store get
expect_text err 'KEY is missing'
expect 2 "$VARVE" kv store set a
expect 2 "$VARVE" kv store get a b
expect_text err "unexpected argument 'b'"
expect 2 "$VARVE" kv store get ''
expect 2 "$VARVE" kv --raw store scan
expect 2 "$VARVE" kv --at 1 store set a b
expect 2 "$VARVE" kv --at 0 store get a
expect 2 "$VARVE" kv --at yesterday store get a
expect_text err 'neither an LSN nor a time'
expect 2 "$VARVE" snapshot --json store create
expect 3 "$VARVE" kv store get a
expect_text err '^what to do: '
[[ ! -e store ]] || fail "reading made a directory"

# ---- set, get, del ----

expect 0 "$VARVE" kv store set greeting hello
expect_empty out
expect 0 "$VARVE" kv store get greeting
expect_equal hello "$(cat out)"
expect 0 "$VARVE" kv --raw store get greeting
expect_equal 5 "$(wc -c <out)"
expect 0 "$VARVE" kv store set greeting 'good morning'
expect 0 "$VARVE" kv --expire 1h store set guest 'for an hour'
expect 0 "$VARVE" kv --expire 1ms store set gone 'for a moment'
expect 3 "$VARVE" kv store get nobody
expect_text err "there is no key 'nobody'"
until_true bash -c "! '$VARVE' kv store get gone 2>/dev/null"
expect 0 "$VARVE" kv store count
expect_equal 2 "$(cat out)"
expect 0 "$VARVE" kv --json store get guest
python3 -c 'import json
entry = json.load(open("out"))
assert entry["value"] == {"encoding": "utf-8", "data": "for an hour"}, entry
assert entry["expires"] and entry["lock"] is False' || fail "json of get"
expect 0 "$VARVE" kv store scan
expect_equal "greeting good morning guest for an hour" "$(sort out | xargs)"
expect 0 "$VARVE" kv --limit 1 --json store scan
expect_equal 1 "$(wc -l <out)"
expect 0 "$VARVE" kv store stat
expect_text out '^entries +[23], [12] that expire$'
expect 0 "$VARVE" kv --json store stat
expect_equal 0 "$(field out snapshot_lsn)"
expect 3 "$VARVE" kv store del nobody

# ---- the past ----

expect 0 "$VARVE" kv store del greeting
expect 0 "$VARVE" kv store history greeting
expect_equal "set set delete" "$(cut -f 4 out | xargs)"
first=$(head -n 1 out | cut -f 1)
second=$(sed -n 2p out | cut -f 1)
expect 3 "$VARVE" kv store history nobody
expect 0 "$VARVE" kv --json store history greeting
expect_equal 3 "$(wc -l <out)"
expect 0 "$VARVE" kv --at "$first" store get greeting
expect_equal hello "$(cat out)"
expect 0 "$VARVE" kv --at "$second" store get greeting
expect_equal 'good morning' "$(cat out)"
expect 3 "$VARVE" kv store get greeting
expect 0 "$VARVE" kv --at now store count
expect 0 "$VARVE" kv --at 2020-01-01 store count
expect_equal 0 "$(cat out)"

# ---- streams ----

expect 2 "$VARVE" kv streams append orders
expect_text err 'KEY and EVENT are needed'
expect 2 "$VARVE" kv streams range orders 0
expect 2 "$VARVE" kv streams range orders 3 2
expect_text err 'a position is a number from 1 on'
expect 2 "$VARVE" kv streams range orders 1 2 3
expect 2 "$VARVE" kv streams trim orders
for event in placed paid sent; do
    expect 0 "$VARVE" kv streams append orders "$event"
done
expect_equal 3 "$(cat out)"
expect 0 "$VARVE" kv streams range orders
expect_equal "1 placed 2 paid 3 sent" "$(xargs <out)"
expect 0 "$VARVE" kv --limit 1 streams range orders 2 3
expect_equal "2 paid" "$(xargs <out)"
expect 0 "$VARVE" kv --json streams range orders 3
expect_equal 3 "$(field out position)"
expect 3 "$VARVE" kv streams get orders
expect_text err 'VARVE_E_TYPE|something of another kind'
expect 3 "$VARVE" kv streams set orders x
expect 3 "$VARVE" kv streams trim orders 5
expect_text err 'has no position 5 yet'
expect 0 "$VARVE" kv streams trim orders 2
expect 0 "$VARVE" kv streams scan
expect_text out '^orders.\(2 events from 2 on\)$'
expect 0 "$VARVE" kv --json streams scan
expect_equal 4 "$(field out next)"
expect 0 "$VARVE" kv streams stat
expect_text out '^streams +1 of them, with 2 events$'
expect 0 "$VARVE" kv streams history orders
expect_equal "event event event trim" "$(cut -f 4 out | xargs)"
expect_equal "1 2 3 2" "$(cut -f 6 out | xargs)"
expect 0 "$VARVE" kv --at 3 streams range orders
expect_equal 3 "$(wc -l <out)"
expect 0 "$VARVE" snapshot streams create
expect 0 "$VARVE" kv streams range orders
expect_equal "2 paid 3 sent" "$(xargs <out)"

# ---- logs in the formats of others ----

samples=$VARVE_SOURCE/test/golden/data/samples
expect 2 "$VARVE" kv --preset nothing bridge set a b
expect 0 "$VARVE" kv --preset dbkv bridge set a b
[[ -f bridge/wal-current.log ]] || fail "no log of the format dbkv"
expect 0 "$VARVE" kv bridge set a c
expect 0 "$VARVE" kv bridge get a
expect_equal c "$(cat out)"
expect 3 "$VARVE" kv bridge append events x
expect_text err 'UNSUPPORTED|cannot do that'
expect 3 "$VARVE" kv bridge history a
expect_text err 'format dbkv'
expect 0 "$VARVE" kv --preset stra strata set a b
expect 0 "$VARVE" kv strata count
expect_equal 1 "$(cat out)"
expect 0 "$VARVE" kv "$samples/dbkv/a-snapshot/db" count
expect_equal 11 "$(cat out)"
expect 0 "$VARVE" kv "$samples/dbkv/a-snapshot/db" get key3
expect_equal 103 "$(cat out)"
expect 0 "$VARVE" kv "$samples/dbkv/a-snapshot/db" get key9
expect_equal 9 "$(cat out)"
expect 0 "$VARVE" kv --raw "$samples/dbkv/a-snapshot/db" get blob
expect_equal 100 "$(wc -c <out)"
expect 3 "$VARVE" kv --at 1 "$samples/dbkv/a-snapshot/db" count
cp -r "$samples/dbkv/a-snapshot/db" copied
chmod -R u+w copied
expect 3 "$VARVE" kv copied set a b
expect_text err '\.snap'
flip copied/snapshot-1795178702.snap 100
expect 3 "$VARVE" kv copied count
expect_text err 'none of them is sound'
expect 3 "$VARVE" kv "$samples/stra/a-snapshot/db" count
expect_text err '\.chk'
expect 0 "$VARVE" kv "$samples/dbkv/a-small/db" get n
expect_equal 16 "$(cat out)"
expect 0 "$VARVE" kv --raw "$samples/dbkv/a-small/db" get k4
expect_equal 4096 "$(wc -c <out)"
expect 3 "$VARVE" kv "$samples/dbkv/a-small/db" get k1
expect 3 "$VARVE" kv "$samples/dbkv/a-small/db" get m1
expect 0 "$VARVE" kv "$samples/dbkv/a-decimal/db" get d1
expect_equal -123.4567 "$(cat out)"
expect 0 "$VARVE" kv --raw "$samples/stra/a-small/db" get k17
expect_equal 2 "$(wc -c <out)"
expect 3 "$VARVE" kv "$samples/stra/a-small/db" get key-2

# ---- snapshots ----

expect 0 "$VARVE" snapshot store
expect_empty out
expect 0 "$VARVE" kv store digest
cp out before
expect 0 "$VARVE" snapshot store create
expect 0 "$VARVE" kv store set more 1
expect 0 "$VARVE" snapshot store create
expect 0 "$VARVE" snapshot store verify
expect_equal 2 "$(grep -c 'sound$' out)"
newest=$(head -n 1 out | cut -f 1)
expect 0 "$VARVE" snapshot store load
expect_text out "^snapshot $newest "
expect 0 "$VARVE" kv store digest
cp out after
! cmp -s before after || fail "the digest is that of another state"

# Damage is seen, and the one before is taken.
flip "store/snapshots/snap-$(printf %016x "$newest").kvs" 100
expect 0 "$VARVE" snapshot store list
expect 1 "$VARVE" snapshot store verify
expect_text out 'checksum'
expect 1 "$VARVE" snapshot --json store load
expect_equal 1 "$(field out snapshots_bad)"
expect 0 "$VARVE" kv store digest
expect_same after out
expect_text err 'a snapshot is passed over'

# What its records say.
expect 0 "$VARVE" kv told set key 'a "value"' --expire 7d
expect 0 "$VARVE" kv told append events one
expect 0 "$VARVE" kv told trim events 2
expect 0 "$VARVE" kv told del key
expect 0 "$VARVE" dump --operations told
expect_text out '^      set  key "key"  value "a \\"value\\""  expires 20[0-9-]*T'
expect_text out '^      event  key "events"  position 1  value "one"$'
expect_text out '^      trim  key "events"  position 2$'
expect_text out '^      delete  key "key"$'
expect 0 "$VARVE" dump --operations --json told
expect_text out '"operations":\[\{"what":"delete","key":\{"encoding":"utf-8","data":"key"\}\}\]'

# ---- the store lmdb ----

expect 2 "$VARVE" kv --store other large set a b
expect 2 "$VARVE" kv --store lmdb large get a
if ! "$VARVE" kv --store lmdb large set greeting hello 2>err; then
    # A build without liblmdb says so, and makes none.
    expect_text err 'VARVE_LMDB=ON'
    [[ ! -e large/lmdb ]] || fail "an environment in a build without LMDB"
else
    expect 0 "$VARVE" kv large get greeting
    expect_equal hello "$(cat out)"
    expect 0 "$VARVE" snapshot large create
    lsn=$(cat out)
    expect 0 "$VARVE" kv large set more 1
    expect 0 "$VARVE" kv large del greeting
    expect 3 "$VARVE" kv large get greeting
    expect 0 "$VARVE" kv large set last one
    expect 0 "$VARVE" kv large stat
    expect_text out '^store +lmdb'
    expect 0 "$VARVE" kv --json large stat
    expect_equal "$lsn" "$(field out snapshot_lsn)"
    expect_equal 2 "$(field out entries)"
    expect 0 "$VARVE" kv --json large scan
    expect_equal 2 "$(wc -l <out)"
    expect 0 "$VARVE" kv --at "$lsn" large get greeting
    expect 0 "$VARVE" kv large digest
    cp out before
    expect 0 "$VARVE" snapshot large load
    expect_text out "^snapshot $lsn \\(1 entries"
    expect 0 "$VARVE" snapshot large create
    expect 0 "$VARVE" snapshot large verify
    expect_text out '2 entries.*sound$'
    expect 0 "$VARVE" kv large digest
    expect_same before out
    expect 0 "$VARVE" kv large history greeting
    expect_equal "set delete" "$(cut -f 4 out | xargs)"
    expect 2 "$VARVE" kv --store memory large set a b
    expect_text err 'has the store lmdb'
    expect 3 "$VARVE" kv large append orders new
    expect_text err 'cannot do that'
    # An entry that is damaged is no entry.
    python3 - <<'PYTHON'
data = bytearray(open("large/lmdb/data.mdb", "rb").read())
at = data.rindex(b"lastone")
while at >= 0:
    data[at + 5] ^= 1
    at = data.rfind(b"lastone", 0, at)
open("large/lmdb/data.mdb", "wb").write(data)
PYTHON
    expect 1 "$VARVE" snapshot large verify
    expect_text out 'is no entry of it'
    expect 1 "$VARVE" kv large get last
    expect 0 "$VARVE" kv large get more
    # And one that is gone is not made up for.
    rm -r large/lmdb
    expect 0 "$VARVE" kv large get last
fi

# A log that is none of the engine's.
echo line | "$VARVE" append -q plain
expect 1 "$VARVE" kv plain count
expect_text err 'is no record of the key-value engine'

finish
