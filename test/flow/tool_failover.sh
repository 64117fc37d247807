#!/usr/bin/env bash
# A second directory, from the command line: made, found again, missed, moved, given up.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

expect 2 "$VARVE" append --failover-dir
seq 1 1000 | expect 0 "$VARVE" append -q --segment-bytes 1M --failover-dir away mylog
expect_text mylog/MANIFEST '^failover /.*/away$'
expect_text away/FAILOVER '^uuid [0-9a-f]{32}$'
[[ $(stat -c %a away away/FAILOVER away/LOCK | xargs) == '700 600 600' ]] || fail "modes: $(ls -la away)"

# Every command finds it by itself; whoever takes it for a log is told.
for command in verify stat cat 'tail -n 3' 'dump --no-records' 'trim --before 1' 'repair --dry-run'; do
    # shellcheck disable=SC2086 # two words
    "$VARVE" $command mylog >/dev/null || fail "$command"
done
expect 2 "$VARVE" append away </dev/null
expect_text err 'second directory of a log'

# Not there: nothing goes on without it.
mv away moved
for command in verify cat stat; do
    expect 3 "$VARVE" "$command" mylog
    expect_text err 'failover_dir .*/away: cannot be opened, and may hold records of the log'
done
echo more | expect 3 "$VARVE" append -q mylog
mkdir away
echo more | expect 3 "$VARVE" append -q mylog
expect_text err 'has no file FAILOVER.*is its device mounted'
rmdir away

# Its new place holds from then on.
echo 1001 | expect 0 "$VARVE" append -q --failover-dir moved mylog
expect_text mylog/MANIFEST '^failover /.*/moved$'
expect 0 "$VARVE" cat mylog
seq 1 1001 >wanted
expect_same wanted out

# Another log's, and the log's device that is not mounted.
expect 2 "$VARVE" append --failover-dir moved other </dev/null
expect_text err 'belongs to a log, and there is none here'
seq 1 3 | expect 0 "$VARVE" append -q other
expect 2 "$VARVE" append --failover-dir moved other </dev/null
expect_text err 'belongs to another log'

# None any more.
expect 0 "$VARVE" append -q --failover-dir '' mylog </dev/null
expect_no_text mylog/MANIFEST failover
rm -r moved
expect 0 "$VARVE" verify mylog

finish
