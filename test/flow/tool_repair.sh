#!/usr/bin/env bash
# varve repair: in place and to a copy, killed at any moment, refused beside a writer and without the key.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

seed=${VARVE_SEED:-$RANDOM}
echo "seed $seed (VARVE_SEED repeats it)"
RANDOM=$seed

sum_of() {
    (cd "$1" && find . -type f ! -name LOCK -print0 | sort -z | xargs -0 sha256sum | sha256sum)
}

seq -f 'this is the line with number %07.0f' 60000 | "$VARVE" append -q --segment-bytes 1M --batch 100 sound
expect 0 "$VARVE" repair sound
expect_text out '^sound: nothing to repair$'
cp -r sound harmed
for frame in 3 -30; do
    file=$(segment_file harmed "$(nth sound frame segment $frame)")
    flip "$file" $(($(nth sound frame offset $frame) + 100))
done
flip harmed/MANIFEST 30
"$VARVE" cat --policy skip harmed >readable 2>/dev/null

# check DIR: it opens, verify is content, and nothing that could be read is gone.
check() {
    expect 0 "$VARVE" append --policy halt -q "$1" </dev/null
    expect 0 "$VARVE" verify --strict "$1"
    expect_text out '^  repaired   2 places, at which [0-9]+ records are gone: see varve lost$'
    "$VARVE" cat --policy skip "$1" >again 2>/dev/null
    expect_same readable again
}

# ---- usage ----

expect 2 "$VARVE" repair --to '' harmed
expect 2 "$VARVE" repair harmed more
expect 3 "$VARVE" repair --to sound harmed
expect_text err 'sound: is there already'
expect 3 "$VARVE" repair --to nowhere/new harmed

# ---- dry run, copy, in place ----

before=$(sum_of harmed)
expect 1 "$VARVE" repair --dry-run harmed
expect_text out 'harmed: MANIFEST: would be kept as MANIFEST.before-repair'
expect_text out '^harmed: would be repaired$'
expect_text out '^  lost       [0-9]+ records, of LSN '
expect 0 "$VARVE" repair --to new harmed
expect_text out '^new: repaired$'
expect_equal "$before" "$(sum_of harmed)" 'what was repaired elsewhere has changed'
[[ ! -e new/COPYING && ! -e new.repairing ]] || fail 'a part of a copy is left'
check new
cp -r harmed log
expect 0 "$VARVE" repair --json log
expect_equal 1 "$(field out files_kept)"
expect_equal True "$(field out manifest_made | sed 's/true/True/')"
expect_equal 0 "$(field out left)"
cmp log/MANIFEST.before-repair harmed/MANIFEST || fail 'the old MANIFEST was not kept'
check log
expect 0 "$VARVE" lost --all requeue log
expect 0 "$VARVE" verify log

# ---- killed at any moment ----

for ((round = 0; round < 10; round++)); do
    rm -rf killed killed.new killed.new.repairing
    cp -r harmed killed
    to=()
    where=killed
    if ((round % 2)); then
        to=(--to killed.new)
        where=killed.new
    fi
    "$VARVE" repair "${to[@]}" killed >/dev/null 2>&1 &
    pid=$!
    sleep "0.$(printf '%03d' $((RANDOM % 60)))"
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    if [[ $where == killed.new ]]; then
        expect_equal "$before" "$(sum_of killed)" 'what was repaired elsewhere has changed'
        [[ -e killed.new ]] || expect 0 "$VARVE" repair --to killed.new killed
    else
        expect 0 "$VARVE" repair killed
    fi
    check "$where"
done
mkdir theirs.repairing
touch theirs.repairing/file
expect 3 "$VARVE" repair --to theirs harmed
expect_text err 'theirs.repairing: is there already, and no copy that was cut off'
expect_equal file "$(ls theirs.repairing)"

# ---- beside a writer ----

mkfifo in
cp -r sound live
"$VARVE" append -q live <in &
writer=$!
exec 5>in
sees_writer() {
    "$VARVE" stat --json live >json && [[ $(field json writer_alive) == true ]]
}
until_true sees_writer
expect 3 "$VARVE" repair live
expect_text err "process $writer has the log open"
expect 3 "$VARVE" repair --to copy live
[[ ! -e copy && ! -e copy.repairing ]] || fail 'a log in use was copied'
exec 5>&-
wait "$writer"

# ---- encrypted ----

"$VARVE" keygen key 2>err
if seq 5000 | "$VARVE" append -q --codec aes-256-gcm --key-file key --batch 100 secret 2>err; then
    flip secret/wal-0000000000000001.seg 9000
    before=$(sum_of secret)
    expect 3 "$VARVE" repair secret
    expect_text err 'records cannot be read here: .*key 1 was not given'
    expect_equal "$before" "$(sum_of secret)" 'changed without the key'
    expect 0 "$VARVE" repair --key-file key secret
    expect 0 "$VARVE" verify secret
else
    expect_text err 'must be one of' # this build has no OpenSSL
fi

finish
