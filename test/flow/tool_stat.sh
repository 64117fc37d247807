#!/usr/bin/env bash
# varve stat and varve trim: numbers that are true, before, during and after.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# stat_is DIR FIELD WANTED
stat_is() {
    "$VARVE" stat --json "$1" >json || fail "stat $1: exit code $?"
    expect_equal "$3" "$(field json "$2")" "$2 of $1"
}

# ---- an empty log ----

"$VARVE" append -q empty </dev/null
stat_is empty records 0
stat_is empty last_lsn 0
stat_is empty first_time null
stat_is empty pins '[]'
expect 0 "$VARVE" stat empty
expect_text out '^records       none$'
expect_text out '^pins          none$'
expect_text out '^segment size  64.0 MiB$'
expect_no_text out '^last segment'
stat_is empty segment_bytes 67108864

# ---- a log of many segments ----

seq -f 'this is the line with number %07.0f' 100000 >lines
"$VARVE" append -q --segment-bytes 1M --batch 100 log <lines
stat_is log records 100000
stat_is log first_lsn 1
stat_is log last_lsn 100000
stat_is log durable_lsn 100000
stat_is log segment_bytes 1048576
stat_is log verdict 'clean end'
stat_is log clean_shutdown true
stat_is log writer_alive false
stat_is log writer_pid null
# 36 bytes and a header of 16, padded to 8.
stat_is log record_bytes_average 56.0
python3 - <<'PY' || fail 'numbers of stat'
import json, os
stat = json.load(open("json"))
files = [os.path.getsize("log/" + name) for name in os.listdir("log") if os.path.isfile("log/" + name)]
assert stat["disk_bytes"] == sum(files), (stat["disk_bytes"], sum(files))
assert stat["body_bytes"] == 56 * 100000, stat
assert 56 * 100000 <= stat["used_bytes"] <= stat["disk_bytes"], stat
assert stat["segments"] == stat["last_segment"] - stat["first_segment"] + 1 > 5, stat
assert stat["first_time"] <= stat["last_time"], stat
assert 0 <= stat["tail_free_bytes"] < stat["segment_bytes"], stat
PY
expect 0 "$VARVE" stat log
expect_text out '^records       100000, LSN 1 to 100000, durable to 100000$'
expect_text out '^writer        none; the log was closed in order$'

# ---- who has it open ----

mkfifo in
"$VARVE" append -q log <in &
writer=$!
exec 5>in
sees_writer() {
    "$VARVE" stat --json log >json && [[ $(field json writer_alive) == true ]]
}
until_true sees_writer
stat_is log writer_pid "$writer"
expect 0 "$VARVE" stat log
expect_text out "^writer        process $writer has it open\$"
expect 3 "$VARVE" trim --before 50000 log
expect_text err "^varve trim: log: .*$writer"
kill -KILL "$writer"
wait "$writer" 2>/dev/null
exec 5>&-
stat_is log writer_alive false
stat_is log clean_shutdown false

# ---- a damaged one ----

cp -r log damaged
flip "$(segment_file damaged 2)" 30000
"$VARVE" stat damaged >out 2>err
case $? in
0) ;; # stat looks at frame headers and need not see it
1) expect_text err "verify" ;;
*) fail "stat of a damaged log: exit code $?" ;;
esac
rm "$(segment_file damaged 2)"
expect 1 "$VARVE" stat damaged
expect_text out '^end           missing segment$'

# ---- trim ----

expect 2 "$VARVE" trim log
expect_text err '^varve trim: --before LSN is missing, or one of'
expect 2 "$VARVE" trim --before 0 log
expect 2 "$VARVE" trim --before x log
expect 2 "$VARVE" trim --before 100002 log
stat_is log first_lsn 1

expect 0 "$VARVE" trim --before 1 log
expect_text out 'nothing removed'
base=$(nth log segment base_lsn 4)
expect 0 "$VARVE" trim --json --before "$base" log
expect_equal 3 "$(field out segments_removed)"
expect_equal "$base" "$(field out first_lsn)"
expect_equal $((base - 1)) "$(field out records_removed)"
stat_is log first_lsn "$base"
stat_is log records $((100001 - base))
expect 0 "$VARVE" verify --strict log
"$VARVE" cat log >got
tail -n +"$base" lines >want
expect_same want got
expect 3 "$VARVE" cat --from 5 log
expect_text err '^what to do: '

# In the middle of a segment: that segment stays.
next=$(nth log segment base_lsn 2)
expect 0 "$VARVE" trim --before $((next - 1)) log
expect_text out 'nothing removed'
stat_is log first_lsn "$base"
# Everything: what the last segment holds stays.
expect 0 "$VARVE" trim --before 100001 log
expect_text out '^log: removed [0-9]+ segments, [0-9.]+ MiB, LSN '
expect 0 "$VARVE" verify --strict log
expect_equal "$(tail -n 1 lines)" "$("$VARVE" tail -n 1 log)"
# LSNs go on, never again from 1.
echo more | "$VARVE" append --ack log >out 2>err
expect_equal 100001 "$(cat out)"

finish
