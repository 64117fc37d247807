#!/usr/bin/env bash
# Metrics that a process exports: watched live, and read strictly as the exposition format of Prometheus.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

expect 3 "$VARVE" stat --watch nowhere
expect_text err 'nobody exports metrics there'
expect_text err "^what to do: have the writer export them: 'varve append --metrics-file "
expect 2 "$VARVE" stat --interval 1s .
expect 2 "$VARVE" stat --watch --json .
echo 'not metrics' >other
expect 3 "$VARVE" stat --watch other
expect_text err 'not a file of metrics'
mkfifo pipe
expect 3 "$VARVE" stat --watch pipe

mkfifo in
mkdir log
"$VARVE" append -q --segment-bytes 1M --metrics-file log/METRICS log <in &
writer=$!
exec 5>in
until_true test -s log/METRICS
"$VARVE" stat --watch --interval 100ms log >watched 2>&1 5>&- &
watcher=$!
# One exporter at a time.
expect 3 "$VARVE" append -q --metrics-file log/METRICS log2 </dev/null
expect_text err 'another log exports to log/METRICS'
for ((i = 0; i < 50; i++)); do
    seq 20 >&5
    sleep 0.02
done
exec 5>&-
wait "$writer" || fail "the writer: exit code $?"
wait "$watcher" || fail "the watcher: exit code $?"
expect_text watched '^ records/s '
expect_text watched ' 1000$'
awk '$1 > 0 && $4 > 0 && $5 > 0 { found = 1 } END { exit !found }' watched || fail "$(cat watched)"
# Once more, of what is closed: it ends at once.
expect 0 "$VARVE" stat --watch log/METRICS
expect_text out ' 1000$'

python3 - <<'PY' || fail 'the exposition format'
import math, re, struct
raw = open("log/METRICS", "rb").read()
assert raw[:8] == b"VARVEMET"
closed, length = struct.unpack_from("<II", raw, 32)
assert closed == 1
open("text", "wb").write(raw[64 : 64 + length])
text = raw[64 : 64 + length].decode("ascii")
assert text.endswith("\n")

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\+Inf|-?[0-9.]+(?:e[-+][0-9]+)?)$")
families, seen, samples, current = {}, set(), {}, None
lines = text.split("\n")[:-1]
at = 0
while at < len(lines):
    help_line = re.fullmatch(rf"# HELP ({NAME}) (\S.*)", lines[at])
    assert help_line, lines[at]
    current = help_line[1]
    assert current not in families, current
    kind = re.fullmatch(rf"# TYPE {current} (counter|gauge|histogram)", lines[at + 1])
    assert kind, lines[at + 1]
    families[current] = kind[1]
    at += 2
    begin = at
    while at < len(lines) and not lines[at].startswith("#"):
        match = SAMPLE.fullmatch(lines[at])
        assert match, lines[at]
        suffix = match[1][len(current):]
        assert match[1].startswith(current), lines[at]
        assert suffix in (("_bucket", "_sum", "_count") if kind[1] == "histogram" else ("",)), lines[at]
        key = (match[1], match[2])
        assert key not in samples, key
        samples[key] = float(match[3])
        at += 1
    assert at > begin, current
    assert kind[1] != "counter" or current.endswith("_total"), current

for name, kind in families.items():
    if kind != "histogram":
        continue
    buckets = [(re.fullmatch('le="(.*)"', l)[1], v) for (n, l), v in samples.items() if n == name + "_bucket"]
    bounds = [math.inf if b == "+Inf" else float(b) for b, _ in buckets]
    assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, bounds
    counts = [v for _, v in buckets]
    assert counts == sorted(counts) and counts[-1] == samples[(name + "_count", None)], counts
    if name.endswith("_seconds"):
        assert bounds[0] == 1e-5 and bounds[-2] == 10, bounds
for name in """wal_appends_total wal_flushes_total wal_queue_depth wal_bytes_written_total
        wal_durable_lag_records wal_segments wal_segments_spare wal_segments_recycled_total wal_retries_total
        wal_recovery_duration_seconds wal_backpressure_total wal_record_bytes_total""".split():
    assert (name, None) in samples, name
for name in "wal_flush_duration_seconds wal_commit_duration_seconds transaction_duration_seconds".split():
    assert families[name] == "histogram", name
assert samples[("wal_appends_total", None)] == 1000
assert samples[("wal_records_total", None)] == 1000
assert samples[("wal_durable_lsn", None)] == 1000
assert samples[("wal_frame_records_sum", None)] == 1000
assert samples[("wal_frame_records_count", None)] == samples[("wal_frames_total", None)]
assert samples[("wal_commit_duration_seconds_count", None)] == samples[("wal_frames_total", None)]
assert samples[("wal_flush_duration_seconds_sum", None)] > 0
assert samples[("wal_errors_total", 'type="log_full"')] == 0
PY
if command -v promtool >/dev/null; then
    promtool check metrics <text >said 2>&1 || fail "promtool: $(cat said)"
fi

# A full log counts what it refuses.
seq 200000 >many
expect 3 "$VARVE" append -q --segment-bytes 1M --max-log-bytes 3M --metrics-file full.metrics full <many
grep -aq '^wal_errors_total{type="log_full"} 1$' full.metrics || fail "$(grep -a log_full full.metrics)"
grep -aq '^wal_space_error 1$' full.metrics || fail 'no space error'

finish
