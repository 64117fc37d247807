#!/usr/bin/env bash
# varve stat --health: what a writer exports, as a state and an exit code.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

expect 3 "$VARVE" stat --health nowhere
expect_text err 'nobody exports metrics there'
expect 2 "$VARVE" stat --health --json log
expect 2 "$VARVE" stat --health --watch log

mkfifo in
"$VARVE" append -q --segment-bytes 1M --metrics-file log/METRICS log <in &
writer=$!
exec 5>in
# health_becomes CODE PATTERN FILE: within ten seconds.
health_becomes() {
    for ((i = 0; i < 200; i++)); do
        code=0
        "$VARVE" stat --health "$3" >out 2>err || code=$?
        [[ $code -eq $1 ]] && grep -Eq -- "$2" out && return
        sleep 0.05
    done
    fail "never $1 with '$2': $code" $'\n'"$(cat out err)"
}
seq 100 >&5
health_becomes 0 '^health        ok$' log
health_becomes 0 '^last sync     20[0-9-]+T.*, took [0-9.]+ ms$' log/METRICS
expect_text out "^exported      by process $writer, 20"
expect_text out '^threads       prepare (idle|busy), flush (idle|busy)$'
expect_text out '^slots         [01] of 16 in use, 0 appends wait$'
health_becomes 0 '^disk          [0-9.]+ [KMGT]iB free$' log
expect_text out '^pins          0, 0 over their limits$'

# Killed: what it exported last says nothing of now.
kill -KILL "$writer"
wait "$writer" 2>/dev/null
exec 5>&-
expect 1 "$VARVE" stat --health log
expect_text out ', which is gone, '
expect_text err "process $writer ended without closing the log"

# Closed in order: as it was then.
expect 0 "$VARVE" append -q --metrics-file log/METRICS log <<<one
expect 0 "$VARVE" stat --health log
expect_text out ', which has closed the log, '

# A log at its cap is degraded while its writer waits for space, and that is what it says.
seq 200000 >many
expect 3 "$VARVE" append -q --segment-bytes 1M --max-log-bytes 3M --metrics-file full.metrics full <many
expect 1 "$VARVE" stat --health full.metrics
expect_text out '^health        degraded: .*space_full'
expect_text out '^              space_full: the next segment cannot be made$'

# A file that is cut off under its writer costs a moment of metrics, and not the process.
"$VARVE" append -q --segment-bytes 1M --metrics-file cut.metrics cut <in &
writer=$!
exec 5>in
seq 100 >&5
health_becomes 0 '^health        ok$' cut.metrics
truncate -s 0 cut.metrics
health_becomes 0 '^health        ok$' cut.metrics
exec 5>&-
wait "$writer" || fail "the writer ended with $?"

finish
