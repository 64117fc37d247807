#!/usr/bin/env bash
# varve lost: what skip passed over is listed, exported, appended again once, and dropped; also of a log that
# is encrypted, beside a writer, and after a kill.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

state_of() {
    "$VARVE" lost --all --json "$1" >entries
    python3 -c 'import json, sys
for line in open("entries"):
    entry = json.loads(line)
    if entry["id"] == int(sys.argv[1]):
        print(entry["state"])' "$2"
}

seq -f 'line %.0f' 20000 | "$VARVE" append -q --segment-bytes 1M --batch 100 sound
expect 0 "$VARVE" lost sound
expect_empty out
cp -r sound log
flip log/wal-0000000000000001.seg 8300
flip log/wal-0000000000000001.seg 60000
expect 0 "$VARVE" append --policy skip log </dev/null

# ---- usage ----

expect 2 "$VARVE" lost log nothing
expect_text err 'must be one of list show export requeue drop'
expect 2 "$VARVE" lost log list 1
expect 2 "$VARVE" lost log show
expect_text err 'ID is missing'
expect 2 "$VARVE" lost log drop x
expect 2 "$VARVE" lost log drop 0
expect 2 "$VARVE" lost --all log show
expect 2 "$VARVE" lost --again log drop 1
expect 2 "$VARVE" lost --raw log list
expect 2 "$VARVE" lost --json log requeue 1
expect 2 "$VARVE" lost log show 9
expect_text err 'nothing is set aside under 9'

# ---- list, show, export ----

expect 0 "$VARVE" lost log
expect_equal 2 "$(wc -l <out)"
expect_text out '^1  corrupt: LSN [0-9]+ to [0-9]+, [0-9.]+ KiB$'
cp out listed
expect 0 "$VARVE" lost list log
expect_same listed out
expect 0 "$VARVE" lost log show 1
expect_text out '^    LSN [0-9]+, type 0, [0-9]+ bytes$'
expect 0 "$VARVE" lost log export 1 2
cp out exported
expect_equal 198 "$(wc -l <exported)" 'all but the two records that are damaged'
"$VARVE" cat sound >lines
expect_equal 0 "$(grep -cvxFf lines exported)"
expect 0 "$VARVE" lost --json --limit 1 log export 2
expect_equal 'line' "$(field out data | cut -d ' ' -f 1)"

# ---- requeue and drop, and what a writer at work is told ----

mkfifo in
"$VARVE" append -q log <in 2>err.writer &
writer=$!
exec 5>in
sees_writer() {
    "$VARVE" stat --json log >json 2>/dev/null # ends with 1: it is damaged
    [[ $(field json writer_alive) == true ]]
}
until_true sees_writer
expect 3 "$VARVE" lost log requeue 1
expect_text err "process $writer has the log open"
expect 0 "$VARVE" lost log
expect_same listed out
exec 5>&-
wait "$writer" || fail "the writer: $(cat err.writer)"
expect 0 "$VARVE" lost log requeue 1
expect_text out '^1  appended again as LSN 20001 to 20099$'
expect 2 "$VARVE" lost log requeue 1
expect_text err 'was appended again, as LSN 20001 to 20099'
expect 0 "$VARVE" lost requeue --all log
expect_text out '^2  appended again as LSN 20100 to 20198$'
"$VARVE" cat --from 20001 log 2>/dev/null >again
expect_same exported again
expect 0 "$VARVE" lost log
expect_empty out
expect 0 "$VARVE" lost --all log
expect_text out '; appended again as LSN 20100 to 20198$'
expect 0 "$VARVE" lost --all log drop
expect_equal index "$(ls log/lost)"
expect_equal dropped "$(state_of log 1)"
expect 2 "$VARVE" lost log requeue 1
expect 0 "$VARVE" append log < <(echo 'still accepted')

# ---- killed at any moment: each record is appended once ----

seed=${VARVE_SEED:-$RANDOM}
echo "seed $seed (VARVE_SEED repeats it)"
RANDOM=$seed
for ((round = 0; round < 12; round++)); do
    rm -rf killed
    cp -r sound killed
    flip killed/wal-0000000000000001.seg 8300
    "$VARVE" append -q --policy skip killed </dev/null 2>/dev/null
    "$VARVE" lost killed requeue 1 >/dev/null 2>&1 &
    pid=$!
    sleep "0.0$(printf '%02d' $((RANDOM % 40)))"
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    case $(state_of killed 1) in
    requeued) expect 2 "$VARVE" lost killed requeue 1 ;;
    *) expect 0 "$VARVE" lost killed requeue 1 ;;
    esac
    "$VARVE" cat --from 20001 killed >again 2>/dev/null
    head -n 99 exported >first
    expect_same first again
done

# ---- the index damaged: told, and what it does not name stays ----

cp -r sound log2
flip log2/wal-0000000000000001.seg 8300
expect 0 "$VARVE" append --policy skip log2 </dev/null
flip log2/lost/index 5
expect 1 "$VARVE" lost log2
expect_text err 'lost/index: 1 line does not check'
expect_equal 2 "$(find log2/lost -type f | wc -l)"
expect 1 "$VARVE" append log2 </dev/null
expect_text err 'lost/index: 1 lines do not check'

# ---- encrypted: nothing without the key, nothing in the clear ----

"$VARVE" keygen key 2>err
if seq 1000 | "$VARVE" append -q --codec aes-256-gcm --key-file key --batch 100 secret 2>err; then
    flip secret/wal-0000000000000001.seg 4200
    expect 0 "$VARVE" append --key-file key --policy skip secret </dev/null
    expect 1 "$VARVE" lost --key-file key secret requeue 1
    expect_text err 'no record in it can be read'
else
    expect_text err 'must be one of' # this build has no OpenSSL
fi

finish
