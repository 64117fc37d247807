#!/usr/bin/env bash
# varve-bench-peers, as little of it as shows that everything works: whoever is there is measured in all
# sections, what makes bytes durable is counted, nothing is left behind; and the report tells it.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

bench=${VARVE_BUILD:?}/varve-bench-peers
report=(python3 "$VARVE_SOURCE/bench/report/main.py")

# ---- usage ----

expect 0 "$bench" --help
expect_text out '^usage: varve-bench-peers'
expect 2 "$bench" nothing
expect 2 "$bench" smoke --only nothing
expect 2 "$bench" smoke --peer nothing
expect 2 "$bench" smoke --threads 0
expect 2 "$bench" smoke left-over
expect 3 "$bench" smoke --dir nowhere
expect 0 "$bench" --list
expect_text out '^varve  *Varve'

# ---- a run ----

mkdir disk
"$bench" --list | grep -v missing | cut -d' ' -f1 | sort >there
cat >look.py <<'PY'
import json
import sys
lines = [json.loads(line) for line in open("results.jsonl")]
there = set(open("there").read().split())
run, done = lines[0], lines[-1]
assert run["line"] == "run" and run["profile"] == "smoke" and run["sector_bytes"] >= 512, run
assert done["line"] == "done" and done["failures"] == 0, done
peers = {line["peer"]: line for line in lines if line["line"] == "peer" and "missing" not in line}
assert set(peers) == there, (set(peers) ^ there)
missing = [line for line in lines if line["line"] == "peer" and "missing" in line]
assert all(line["missing"] for line in missing), missing
figures = {}
for line in lines:
    if line["line"] == "figures":
        assert line["operations"] > 0 and line["rate"] > 0, line
        figures.setdefault((line["section"], line["what"], line["peer"]), []).append(line)
engines = [name for name, peer in peers.items() if peer["kind"] == "engine"]
assert "varve" in engines
for name in engines:
    for what in (("commit", "durable"), ("inflight", "durable"), ("stream", "taken"), ("recover", "fill"),
                 ("recover", "open"), ("recover", "read"), ("cost", "calls"), ("cost", "fill")):
        assert what + (name,) in figures, (what, name)
    for line in figures["commit", "durable", name]:
        assert line["syncs"] > 0 and 0 < line["p50_us"] <= line["p99_us"] <= line["max_us"], line
    assert figures["recover", "read", name][0]["operations"] == run["recover_records"], name
    assert figures["cost", "fill", name][0]["disk_bytes"] >= 128 * run["recover_records"], name
# One thread, one sync for each record, whatever call makes it: a file that grows, and direct writes. Syncs
# and records are counted at the edges of a time, not at one moment: where somebody else took the processor
# in between, they differ by what was done meanwhile. Then it is measured once more.
wrong = []
for name in ("raw-append", "raw-zeroed", "raw-direct", "varve"):
    line = next(line for line in figures["commit", "durable", name] if line["threads"] == 1)
    if abs(line["syncs"] - 1) * line["operations"] > 2:
        wrong.append(line)
for name, each in (("lmdb", 2), ("redis", 1), ("sqlite", 1), ("bdb-log", 1), ("wiredtiger", 1)):
    for line in figures.get(("commit", "durable", name), []):
        if line["threads"] == 1 and (line["syncs"] - each) * line["operations"] < -2:
            wrong.append(line)
if wrong:
    print(wrong[0])
    sys.exit(75)
for what in ("open", "open-tail", "append", "trim", "threads", "stream", "durable"):
    assert len(figures["scaling", what, "varve"]) == 2, what
# In flight: one write carries many.
for line in figures["inflight", "durable", "varve"]:
    assert line.get("syncs", 0) * line["operations"] < line["operations"] / 2 + 2, line
PY
code=75
for ((i = 0; i < 4 && code == 75; i++)); do
    code=0
    "$bench" smoke --dir disk >results.jsonl 2>err || fail "smoke: exit code $?: $(cat err)"
    expect_equal "" "$(ls disk)" "what is left behind"
    python3 look.py || code=$?
done
[[ $code -eq 0 ]] || fail 'results'

# ---- the report ----

"${report[@]}" results.jsonl --page page.html --document document.md --plots plots >table || fail 'report'
expect_text table '^Durable commits, 128 B, commits/s$'
expect_text table '^Varve  *[0-9]'
expect_text table '^1 thread, durable: beside the limit at depth 1 .* at least 0.97  (yes|NO)$'
expect_text document.md '^# Benchmarks$'
expect_text document.md '^\| \*\*Varve\*\* \|'
python3 - <<'PY' || fail 'page'
import glob, html.parser, re, shutil, xml.etree.ElementTree as tree
page = open("page.html").read()
class Balance(html.parser.HTMLParser):
    open_tags = []
    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "br"):
            self.open_tags.append(tag)
    def handle_startendtag(self, tag, attributes):
        pass
    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag, tag
balance = Balance()
balance.feed(page)
assert not balance.open_tags, balance.open_tags
assert not re.search(r'(src|href)="(?!#)', page), "the page needs something beside itself"
ids = re.findall(r"""\bid=['"]([^'"]+)""", page)
assert len(ids) == len(set(ids)), "an id is given twice"
if shutil.which("gnuplot"):
    files = glob.glob("plots/*.svg")
    assert page.count("<svg") == len(files) > 5, files
    for file in files:
        assert tree.parse(file).getroot().tag.endswith("svg"), file
PY

# What it says follows the figures: a Varve that is slow misses its goals, a mode that does not sync is named.
slower() {
    python3 - "$1" "$2" "$3" <<'PY'
import json, sys
field, factor, peer = sys.argv[1], float(sys.argv[2]), sys.argv[3]
for line in open("results.jsonl"):
    entry = json.loads(line)
    if entry["line"] == "figures" and entry["peer"] == peer and field in entry:
        entry[field] *= factor
    print(json.dumps(entry))
PY
}
slower rate 1000000 varve >fast.jsonl
slower rate 0.001 varve >slow.jsonl
"${report[@]}" fast.jsonl >fast || fail 'report of a fast one'
"${report[@]}" slow.jsonl >slow || fail 'report of a slow one'
expect_text fast '^1 thread, durable: beside the limit at depth 1 .* yes$'
expect_text slow '^1 thread, durable: beside the limit at depth 1 .* NO$'
slower syncs 100 varve >syncing.jsonl
"${report[@]}" syncing.jsonl >syncing || fail 'report of one that syncs'
expect_no_text syncing '^NOT DURABLE.*Varve'
expect 1 "${report[@]}" slow.jsonl --quiet --check
slower syncs 0.01 varve >lying.jsonl
expect 1 "${report[@]}" lying.jsonl --check
expect_text out '^NOT DURABLE, .*: .*Varve \(0\.'
head -n -1 results.jsonl >broken.jsonl
expect 1 "${report[@]}" broken.jsonl --check
expect_text out '^The run broke off'

# ---- ended in the middle, its files go all the same ----

"$bench" smoke --dir disk --rounds 15 >/dev/null 2>&1 &
measuring=$!
has_begun() {
    compgen -G 'disk/varve-bench-*/raw-*' >/dev/null
}
until_true has_begun
kill -TERM "$measuring"
wait "$measuring" && fail 'ended by a signal, and says 0'
expect_equal "" "$(ls disk)" "what is left behind after a signal"

finish
