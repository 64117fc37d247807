#!/usr/bin/env bash
# varve verify: each verdict by its name and exit code, and never a byte changed.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# ---- the logs ----

seq -f 'line %.0f' 200000 >lines
"$VARVE" append -q --segment-bytes 1M --batch 500 log <lines
[[ $(nth log segment segment -1) -gt 3 ]] || fail 'too few segments to take one away'

# A log as a power cut leaves it: its last frame is there in part, and nothing vouches for it.
mkfifo in
"$VARVE" append -q --ack open <in >acks &
writer=$!
exec 5>in
echo 'first, and sound' >&5
until_true test -s acks
echo 'second, to be torn' >&5
until_true grep -q 2 acks
cp -r open torn
exec 5>&-
wait "$writer"
python3 - "$(nth torn frame offset -1)" "$(segment_file torn 1)" <<'PY'
import sys
at, path = int(sys.argv[1]), sys.argv[2]
size = len(open(path, "rb").read())
with open(path, "r+b") as file:
    file.seek(at + 80)
    file.write(bytes(size - at - 80))
PY

copy_of() {
    rm -rf "$2"
    cp -r "$1" "$2"
}
copy_of log corrupt
flip "$(segment_file corrupt 2)" 40000
copy_of log missing
rm "$(segment_file missing 2)"
copy_of log beheaded
rm "$(segment_file beheaded 1)"
copy_of log curtailed
for state in sound empty; do
    rm -f "$("$VARVE" dump --json --no-records log | python3 -c 'import json, sys
found = [o for o in map(json.loads, sys.stdin) if o["kind"] == "segment"]
names = [o["name"] for o in found if o["state"] == sys.argv[1]]
print("curtailed/" + names[-1] if names else "/nowhere")' "$state")"
done
copy_of log foreign
"$VARVE" append -q --segment-bytes 1M --batch 500 other <lines
cp "$(segment_file other 2)" "$(segment_file foreign 2)"

# verdict DIR CODE STRICT_CODE VERDICT
verdict() {
    local sum
    sum=$(cd "$1" && find . -type f -exec cksum {} + | sort)
    expect "$2" "$VARVE" verify "$1"
    expect_text out "^$1: $4\$"
    expect_text out '^  what to do '
    expect "$2" "$VARVE" verify --json "$1"
    expect_equal 1 "$(wc -l <out)" 'lines of JSON'
    expect_equal "$4" "$(field out verdict)" "verdict of $1"
    expect_equal "$([[ $2 -eq 0 ]] && echo true || echo false)" "$(field out fine)" "fine: $1"
    expect "$3" "$VARVE" verify --strict --quiet "$1"
    [[ $3 -ne 0 ]] || expect_empty out
    expect_equal "$sum" "$(cd "$1" && find . -type f -exec cksum {} + | sort)" "verify changed $1"
}
verdict log 0 0 'clean end'
verdict open 0 0 'clean end'
verdict torn 0 1 'torn'
verdict corrupt 1 1 'corrupt'
verdict missing 1 1 'missing segment'
verdict beheaded 1 1 'missing segment'
verdict curtailed 1 1 'missing segment'
verdict foreign 1 1 'foreign'

expect 0 "$VARVE" verify --json log
expect_equal 200000 "$(field out records)"
expect_equal 1 "$(field out first_lsn)"
expect_equal 200000 "$(field out last_lsn)"
expect_equal '[]' "$(field out damages)"
expect_equal true "$(field out clean_shutdown)"
expect_equal false "$(field out writer_alive)"
expect 0 "$VARVE" verify log
expect_text out '^  records    200000, LSN 1 to 200000$'
expect_text out '^  read  .* segments, .* bytes .* in .* s, .*/s$'

# A place that is damaged is named, with the LSNs that are gone.
expect 1 "$VARVE" verify corrupt
expect_text out '^corrupt: corrupt: wal-0000000000000002.seg, byte [0-9]+: .*LSN [0-9]+ to [0-9]+ '
expect_text out "varve cat --policy skip"
expect 1 "$VARVE" verify --json corrupt
python3 - <<'PY' || fail 'damages of a corrupt log'
import json
found = json.load(open("out"))
assert len(found["damages"]) >= 1 and found["lost_records"] >= 1, found
damage = found["damages"][0]
assert damage["segment"] == 2 and damage["offset"] <= 40000 and damage["verdict"] == "corrupt", damage
assert 1 <= damage["first_lsn"] <= damage["last_lsn"] <= 200000 and damage["message"], damage
assert found["records"] + found["lost_records"] == 200000, found
PY

# The torn log goes on: what was acknowledged before stays, and the tear is no damage afterwards either.
echo 'third, after the tear' | "$VARVE" append -q torn
"$VARVE" cat torn >got
printf 'first, and sound\nthird, after the tear\n' >want
expect_same want got
expect 0 "$VARVE" verify --strict torn

# Beside a writer.
"$VARVE" append -q log <in &
writer=$!
exec 5>in
sees_writer() {
    "$VARVE" verify --json log >json && [[ $(field json writer_alive) == true ]]
}
until_true sees_writer
exec 5>&-
wait "$writer"

# ---- several, and what cannot be read ----

expect 0 "$VARVE" verify log open
expect_equal 2 "$(grep -c ': clean end$' out)"
expect 1 "$VARVE" verify log corrupt open
expect_text out '^open: clean end$'
expect 3 "$VARVE" verify corrupt nowhere log
expect_text err '^varve verify: nowhere: '
expect_text out '^log: clean end$'
expect 3 "$VARVE" verify --json nowhere
expect_equal VARVE_E_NOT_FOUND "$(field out error)"
expect 3 "$VARVE" verify lines
code=0
"$VARVE" verify log >/dev/full 2>err || code=$?
expect_equal 3 "$code" 'verify to a full device'

finish
