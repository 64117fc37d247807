#!/usr/bin/env bash
# varve pin: what it sets holds, through closing, killing and a live writer.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# pin_field NAME FIELD: of the pin in ./pins.
pin_field() {
    python3 -c 'import json, sys
for pin in json.load(open("pins"))["pins"]:
    if pin["name"] == sys.argv[1]:
        print(pin[sys.argv[2]])' "$1" "$2"
}
list() {
    "$VARVE" pin --json log list >pins || fail "pin list: exit code $?"
}

seq -f 'this is the line with number %07.0f' 100000 | "$VARVE" append -q --segment-bytes 1M --batch 100 log
expect 0 "$VARVE" pin log
expect_empty out

# ---- usage ----

expect 2 "$VARVE" pin log nothing
expect 2 "$VARVE" pin log set
expect_text err 'NAME is missing'
expect 2 "$VARVE" pin log list x
expect 2 "$VARVE" pin log move x
expect_text err '--lsn LSN is missing'
expect 2 "$VARVE" pin --owner me log drop x
expect 2 "$VARVE" pin --json log set x
expect 2 "$VARVE" pin --max-age 7 log set x
expect_text err 'not a duration'
expect 2 "$VARVE" pin log set 'a b'
expect 2 "$VARVE" pin log set "$(printf 'n%.0s' {1..64})"
expect 3 "$VARVE" pin log drop x
expect_text err 'there is no pin x'
expect_text err '^what to do: '
expect 2 "$VARVE" pin --lsn 100002 log set x

# ---- set, move, drop ----

expect 0 "$VARVE" pin --owner 'nightly job' --max-records 200000 --max-bytes 1G --max-age 7d log set backup
expect 0 "$VARVE" pin --lsn 50000 log set replica
list
expect_equal 1 "$(pin_field backup lsn)"
expect_equal 'nightly job' "$(pin_field backup owner)"
expect_equal 604800000 "$(pin_field backup max_age_ms)"
expect_equal 1073741824 "$(pin_field backup max_bytes)"
expect_equal 100000 "$(pin_field backup lag_records)"
expect_equal 50001 "$(pin_field replica lag_records)"
expect 0 "$VARVE" pin log
expect_text out '^backup at LSN 1: 100000 records, [0-9.]+ MiB, .* behind, at most 200000 records, '
expect_text out ' records, at most 1.0 GiB, at most 7 d; nightly job$'
expect 0 "$VARVE" stat log
expect_text out '^pins          no record at or past these is removed:$'
expect_text out '^              replica at LSN 50000: 50001 records'
"$VARVE" stat --json log >stat
expect_equal "$(python3 -c 'import json
print([p["name"] for p in json.load(open("stat"))["pins"]])')" "['backup', 'replica']"

expect 0 "$VARVE" trim --before 100001 log
expect_text out 'nothing removed'
expect_text out '^log: pin backup at LSN 1 holds [0-9]+ segments, '
expect 0 "$VARVE" pin --lsn 30000 log move backup
expect 2 "$VARVE" pin --lsn 29999 log move backup
expect_text err 'does not move back'
expect 0 "$VARVE" trim --before 100001 log
first=$("$VARVE" stat --json log >stat && field stat first_lsn)
[[ $first -gt 1 && $first -le 30000 ]] || fail "first LSN $first"
expect 3 "$VARVE" pin --lsn 1 log set new
expect_text err 'is gone'
expect 0 "$VARVE" pin log drop backup
expect 0 "$VARVE" trim --before 100001 log
first=$("$VARVE" stat --json log >stat && field stat first_lsn)
[[ $first -gt 30000 && $first -le 50000 ]] || fail "first LSN $first"

# ---- beside a writer, and after it was killed ----

mkfifo in
"$VARVE" append -q log <in &
writer=$!
exec 5>in
sees_writer() {
    "$VARVE" stat --json log >json && [[ $(field json writer_alive) == true ]]
}
until_true sees_writer
list
expect_equal 50000 "$(pin_field replica lsn)"
expect 3 "$VARVE" pin --lsn 60000 log move replica
expect_text err "process $writer has the log open"
expect 3 "$VARVE" pin log set another
expect 3 "$VARVE" pin log drop replica
kill -KILL "$writer"
wait "$writer" 2>/dev/null
exec 5>&-
list
expect_equal 50000 "$(pin_field replica lsn)"
expect 0 "$VARVE" pin --lsn 60000 log move replica

# ---- a damaged list ----

flip log/PINS 20
expect 1 "$VARVE" pin log
expect_text err 'PINS: '
expect 1 "$VARVE" stat log
expect_text out '^records       '
expect 1 "$VARVE" trim --before 100001 log
expect_text err 'PINS: its checksum does not match'
expect 0 "$VARVE" append -q --policy skip log </dev/null
expect_text err 'kept as PINS.bad'
expect 0 "$VARVE" pin log
expect_empty out
[[ -f log/PINS.bad ]] || fail 'no PINS.bad'

finish
