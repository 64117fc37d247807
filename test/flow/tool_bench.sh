#!/usr/bin/env bash
# varve bench: figures that hang together, a recommendation that follows from them, and nothing left behind.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

mkdir disk

# ---- usage ----

expect 2 "$VARVE" bench --time 1 disk
expect 2 "$VARVE" bench --time 601 disk
expect 2 "$VARVE" bench disk disk
expect 3 "$VARVE" bench nowhere
expect_text err '^varve bench: nowhere: '
: >file
expect 3 "$VARVE" bench file

# ---- for programs ----

expect 0 "$VARVE" bench --time 2 --json disk
cp out json
expect_equal 1 "$(wc -l <json)" 'lines of JSON'
expect_equal "" "$(ls disk)" 'what is left behind'
python3 - <<'PY' || fail 'JSON'
import json
result = json.load(open("json"))
assert result["path"] == "disk" and result["seconds"] > 0, result
assert result["memory"] in (True, False)
ways = {"append_fdatasync", "overwrite_fdatasync"}
if result["direct_sector_bytes"]:
    ways.add("direct_sector")
    if result["direct_sector_bytes"] < 4096:
        ways.add("direct_4096")
assert set(result["syncs"]) == ways, result["syncs"]
assert [commits["threads"] for commits in result["commits"]] == [1, 8, 32, 128], result["commits"]
for figure in [*result["syncs"].values(), *result["commits"]]:
    assert figure["per_second"] > 0 and 0 < figure["p50_us"] <= figure["p99_us"], figure
settings = result["settings"]
assert set(settings) == {"backend", "sector_bytes", "writes_in_flight", "slot_bytes"}, settings
for name, setting in settings.items():
    tried = {entry["value"]: entry["figure"] for entry in setting["tried"]}
    default = setting["tried"][0]["value"]
    assert len(tried) == len(setting["tried"]) and all(figure > 0 for figure in tried.values()), setting
    assert setting["is_default"] == (setting["recommended"] == default), setting
    assert setting["is_default"] or tried[setting["recommended"]] > 1.05 * tried[default], setting
assert settings["backend"]["tried"][0]["value"] == ("direct" if result["direct_sector_bytes"] else "buffered")
PY

# ---- for people ----

expect 0 "$VARVE" bench --time 2 disk
expect_text out '^disk: '
expect_text out '^  append, fdatasync  *[0-9]+ us  *[0-9]+ us  *[0-9]+$'
expect_text out '^  128 threads .* times one thread$'
expect_text out '^  writes_in_flight  .* \(commits, 32 threads\)$'
expect_text out '^what to set  '
expect_empty err
expect_equal "" "$(ls disk)" 'what is left behind'

# ---- ended by a signal: its files go, and it ends by it ----

for signal in INT TERM HUP; do
    # A job of a script ignores SIGINT; this one shall not.
    python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$VARVE" bench --time 600 disk >out 2>err &
    measuring=$!
    has_begun() {
        compgen -G 'disk/varve-bench-*/*' >/dev/null
    }
    until_true has_begun
    kill -"$signal" "$measuring"
    got=0
    wait "$measuring" || got=$?
    expect_equal $((128 + $(kill -l "$signal"))) "$got" "exit code after SIG$signal"
    expect_equal "" "$(ls disk)" "what is left behind after SIG$signal"
done

finish
