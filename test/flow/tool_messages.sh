#!/usr/bin/env bash
# Messages of `varve append`: levels, forms, places, and a file that is renamed while it is written.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# Without being asked for anything, warnings are told as the program's own.
expect 0 "$VARVE" append -q log <<<one
expect_empty err
truncate -s -1M log/wal-0000000000000001.seg
printf x >>log/MANIFEST
expect 1 "$VARVE" append -q log <<<two
rm -r log

expect 0 "$VARVE" append -q --message-level info log <<<one
expect_text err '^varve append: info: log: a new log'
expect_text err '^varve append: info: log: closed; durable up to LSN 1$'
expect 0 "$VARVE" append -q --message-format json --message-level debug log <<<two
python3 - <<'PY' || fail 'not the objects that were expected'
import json
lines = [json.loads(line) for line in open("err")]
events = {line["event"]: line for line in lines}
assert {"opened", "closed"} <= set(events), events
assert events["opened"]["level"] == "info" and events["opened"]["log"] == "log"
assert events["opened"]["lsn"] == 1 and "clean end" in events["opened"]["msg"]
assert events["closed"]["lsn"] == 2
PY
expect 0 "$VARVE" append -q --messages - --message-level off log <<<three
expect_empty err
expect 2 "$VARVE" append --message-level loud log </dev/null
expect 2 "$VARVE" append --message-format xml log </dev/null
expect 3 "$VARVE" append --messages no/such/file log </dev/null
expect_text err 'no/such/file cannot be opened'

# A file that is full, for a limit on the size of files: the log goes on, and the exit code tells.
head -c 4096 /dev/zero >small
(
    trap '' XFSZ
    ulimit -f 1
    "$VARVE" append -q --durability memory --message-level info --messages small log2 <<<one 2>&1
    echo "exit code $?"
) | cat >said
expect_text said 'messages? could not be written'
expect_text said '^exit code 3$'

# Renamed under way: the next line goes into a new file.
mkfifo feed
"$VARVE" append -q --segment-bytes 1M --slot-bytes 16K --message-level info --message-format logfmt \
    --messages told log3 <feed &
writer=$!
exec 7>feed
wait_for() {
    for ((i = 0; i < 400; i++)); do
        grep -q -- "$2" "$1" 2>/dev/null && return
        sleep 0.05
    done
    fail "never in $1: $2"
}
head -c 1500000 /dev/zero | tr '\0' x | fold -w 1000 >&7
wait_for told 'event=segment_begun .*segment=2'
mv told told.1
kill -USR1 "$writer"
head -c 1500000 /dev/zero | tr '\0' x | fold -w 1000 >&7
wait_for told 'event=segment_begun'
expect_no_text told 'event=created'
exec 7>&-
wait "$writer" || fail "exit code $?"
expect_text told 'event=closed log="log3"'
expect_text told.1 '^time=[0-9TZ:.-]+ level=info event=created log="log3"'

finish
