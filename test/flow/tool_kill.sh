#!/usr/bin/env bash
# varve append --ack, killed at random moments: what it has printed is in the log, in every mode; and verify
# takes what it leaves for what it is.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

seed=${VARVE_SEED:-$RANDOM}
echo "seed $seed (VARVE_SEED repeats it)"
RANDOM=$seed
rounds=4
[[ -z ${VARVE_SOAK:-} ]] || rounds=20

find /usr -xdev 2>/dev/null | head -n 40000 >lines

# kill_once MODE THREADS: a writer of lines, killed after 10 to 300 ms.
kill_once() {
    local pid wait_ms=$((RANDOM % 290 + 10))
    "$VARVE" append -q --ack=full --durability "$1" --threads "$2" --batch $((RANDOM % 20 + 1)) \
        --segment-bytes 1M log <lines >acks 2>err &
    pid=$!
    sleep "$(printf '0.%03d' "$wait_ms")"
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    expect_empty err
    # A cut line would say something else than what is true.
    [[ ! -s acks || $(tail -c 1 acks | od -An -c) == *'\n'* ]] ||
        fail "$1: a line of an acknowledgement is cut"
}

for mode in buffered interval group strict; do
    rm -rf log
    total=0
    # On a machine with much else to do a writer may be killed each time before it gets anywhere.
    for ((round = 0; round < rounds || (total == 0 && round < 40); round++)); do
        kill_once "$mode" $((RANDOM % 4 + 1))
        if [[ ! -e log/MANIFEST ]]; then
            expect_empty acks # there was no log yet
            continue
        fi
        expect 0 "$VARVE" verify log
        # LSN and line of each acknowledgement, beside those of the log.
        awk 'FNR == NR { text[FNR] = $0; next } { print $1 "\t" text[$2] }' lines acks | sort >acked
        "$VARVE" cat --json log | python3 -c 'import json, sys
for line in sys.stdin:
    record = json.loads(line)
    print(record["lsn"], record["data"], sep="\t")' | sort >logged
        comm -23 acked logged >lost
        [[ ! -s lost ]] ||
            fail "$mode, round $round: $(wc -l <lost) acknowledged and not there: $(head -n 3 lost)"
        expect_equal 0 "$(cut -f 1 logged | sort -n | awk '$1 != NR' | wc -l)" "$mode: LSNs have gaps"
        total=$((total + $(wc -l <acked)))
    done
    echo "$mode: $total acknowledged in $round rounds"
    [[ $total -gt 0 ]] || fail "$mode: nothing was ever acknowledged"
done

finish
