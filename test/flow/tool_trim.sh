#!/usr/bin/env bash
# varve trim by rules, what --dry-run says of them, and the same rules while appending.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

lines() {
    seq -f 'this is the line with number %07.0f' "$1" "$2"
}
segments() {
    "$VARVE" stat --json "$1" >json && field json segments
}

lines 1 200000 | "$VARVE" append -q --segment-bytes 1M --batch 100 log
count=$(segments log)
[[ $count -ge 8 ]] || fail "only $count segments"

expect 2 "$VARVE" trim --keep-segments 0 log
expect 2 "$VARVE" trim --keep-bytes x log
expect 2 "$VARVE" trim --keep-time 5 log
expect_text err 'not a duration'
expect 2 "$VARVE" trim --dry-run log
expect 2 "$VARVE" trim --dry-run --before 200002 log

# ---- what would go is what goes ----

expect 0 "$VARVE" trim --dry-run --json --keep-segments $((count - 2)) log
cp out dry
expect_equal 2 "$(field dry segments_removed)"
expect_equal 2097152 "$(field dry bytes_removed)"
expect_equal true "$(field dry dry_run)"
expect_equal "$count" "$(segments log)" 'segments after a dry run'
expect 0 "$VARVE" trim --dry-run --keep-segments $((count - 2)) log
expect_text out '^log: would remove 2 segments, 2.0 MiB, LSN 1 to '
expect 0 "$VARVE" trim --json --keep-segments $((count - 2)) log
expect_equal "$(field dry first_lsn)" "$(field out first_lsn)"
expect_equal "$(field dry records_removed)" "$(field out records_removed)"
expect_equal $((count - 2)) "$(segments log)" 'segments after trimming'
expect 0 "$VARVE" verify --strict log

expect 0 "$VARVE" trim --keep-time 1h log
expect_text out 'nothing removed'
"$VARVE" stat --json log >json
expect 0 "$VARVE" pin --lsn "$(field json first_lsn)" log set replica
expect 0 "$VARVE" trim --dry-run --json --keep-bytes 3M log
expect_equal 0 "$(field out segments_removed)"
expect_equal $((count - 5)) "$(field out segments_held)"
expect_equal replica "$(field out held_by)"
expect 0 "$VARVE" trim --keep-bytes 3M log
expect_text out "pin replica at LSN [0-9]+ holds $((count - 5)) segments"
expect 0 "$VARVE" pin log drop replica

# ---- beside a writer ----

mkfifo in
"$VARVE" append -q log <in &
writer=$!
exec 5>in
sees_writer() {
    "$VARVE" stat --json log >json && [[ $(field json writer_alive) == true ]]
}
until_true sees_writer
expect 0 "$VARVE" trim --dry-run --keep-bytes 3M log
expect_text out "^log: would remove $((count - 5)) segments"
expect 3 "$VARVE" trim --keep-bytes 3M log
exec 5>&-
wait "$writer"
expect 0 "$VARVE" trim --keep-bytes 3M log
expect_equal 3 "$(segments log)"

# ---- rules while appending ----

lines 1 300000 | "$VARVE" append -q --segment-bytes 1M --batch 100 --keep-segments 4 ring
[[ $(segments ring) -le 6 ]] || fail "$(segments ring) segments"
expect 0 "$VARVE" verify --strict ring
expect_equal "$(lines 300000 300000)" "$("$VARVE" tail -n 1 ring)"

# ---- the cap ----

lines 1 300000 >many
expect 3 "$VARVE" append -q --segment-bytes 1M --batch 100 --max-log-bytes 5M full <many
expect_text err 'nearly full: there is room for [0-9]+ more bytes'
expect_text err 'max_log_bytes'
expect_text err '^what to do: '
[[ $(du -b --apparent-size full | cut -f1) -le 5300000 ]] || fail "$(du -b full) bytes"
expect 0 "$VARVE" verify --strict full
"$VARVE" cat full >got
head -n "$(wc -l <got)" many >want
expect_same want got
expect 0 "$VARVE" append -q --segment-bytes 1M --batch 100 --max-log-bytes 5M --keep-segments 2 full <many
expect 0 "$VARVE" verify --strict full
expect 2 "$VARVE" append -q --segment-bytes 1M --max-log-bytes 2M tiny </dev/null

finish
