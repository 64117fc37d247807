#!/usr/bin/env bash
# varve append: what becomes a record, what is refused, what is said, and what a killed writer leaves.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# ---- input forms ----

printf 'one\n\nthree \\ \t\r\nlast without newline' >lines
expect 0 "$VARVE" append log <lines
expect_empty out
expect_text err '^varve append: log: 4 records, 33 bytes, LSN 1 to 4, durable; '
"$VARVE" cat log >got
(cat lines && echo) >want
expect_same want got

expect 0 "$VARVE" append -q log </dev/null
expect_empty err
expect 0 "$VARVE" append log </dev/null
expect_text err 'log: no records$'

printf 'a\nb\0\0c' >nul
expect 0 "$VARVE" append -0 nul.log <nul
expect_text err '3 records, 4 bytes'
"$VARVE" cat -0 nul.log >got
printf 'a\nb\0\0c\0' >want
expect_same want got

printf '\3\0\0\0a\nb\0\0\0\0\1\0\0\0\0' >framed
expect 0 "$VARVE" append --framed framed.log <framed
expect_text err '3 records, 4 bytes'
"$VARVE" cat --framed framed.log >got
expect_same framed got

head -c 300000 "$VARVE" >binary
printf '' >empty
expect 0 "$VARVE" append files.log binary empty - --type 7 <lines
expect_text err '3 records'
"$VARVE" cat --raw files.log >got
cat binary lines >want
expect_same want got
"$VARVE" cat --json files.log >json
expect_equal 3 "$(grep -c '"type":7' json)"

expect 0 "$VARVE" append timed.log --time 2020-02-29T12:00:00Z <lines
expect 3 "$VARVE" append timed.log --time 2020-02-29T11:59:59.999999Z <lines
expect_text err '^varve append: line 1: '
expect 0 "$VARVE" append timed.log --time @1582977600 <lines
"$VARVE" cat --json timed.log >json
expect_equal $((2 * $(grep -c "" lines))) "$(grep -c '"time":"2020-02-29T12:00:00.000000Z"' json)"
expect 3 "$VARVE" append --format wlog --time now untimed.log <lines

# ---- durability modes, backends, sizes ----

seq -f 'line %.0f' 3000 >many
for mode in buffered interval group strict; do
    for backend in auto direct buffered; do
        rm -rf mode.log
        expect 0 "$VARVE" append mode.log --durability "$mode" --backend "$backend" --batch 50 \
            --segment-bytes 1M <many
        "$VARVE" cat mode.log >got
        expect_same many got
    done
done
expect 0 "$VARVE" append memory.log --durability memory <many
expect_text err '3000 records, .* not kept'
expect 0 "$VARVE" append small.log --slot-bytes 4096 --segment-bytes 1M --record-max 64K --sync-bytes 8K \
    --durability buffered <many
"$VARVE" cat small.log >got
expect_same many got

# ---- acknowledgements ----

rm -rf ack.log
expect 0 "$VARVE" append --ack ack.log <many
seq 3000 >want
expect_same want out
expect 0 "$VARVE" append --ack=lsn --durability buffered ack.log <many
seq 3001 6000 >want
expect_same want out

# A line that comes alone is acknowledged at once, not when the input ends.
mkfifo in acks
"$VARVE" append -q --ack quick.log <in >acks &
exec 5>in 6<acks
for n in 1 2 3; do
    echo "line $n" >&5
    read -r -t 20 -u 6 lsn || fail "no acknowledgement of line $n while the input is open"
    expect_equal "$n" "$lsn"
done
exec 5>&-
wait $! || fail "append of a pipe: exit code $?"
exec 6<&-

# ---- what is refused ----

head -c 2000 /dev/zero | tr '\0' x >long
for n in 1 2 3; do
    { seq $((n - 1)); cat long; echo; echo behind; } >lines.long
    rm -rf long.log
    expect 3 "$VARVE" append --record-max 1999 long.log <lines.long
    expect_text err "^varve append: line $n: longer than the largest record, 1999 bytes"
    expect_text err '^what to do: '
    expect_equal $((n - 1)) "$("$VARVE" cat long.log | wc -l)" "records before the long line"
done
rm -rf long.log
expect 3 "$VARVE" append --record-max 1999 long.log <long
expect 0 "$VARVE" append --record-max 2000 long.log <long
expect 3 "$VARVE" append --record-max 1999 long.log empty long
expect_text err '^varve append: long: longer'

for cut in 1 3 4 6; do
    rm -rf cut.log
    { cat framed && printf '\5\0\0\0hello' | head -c "$cut"; } >framed.cut
    expect 3 "$VARVE" append --framed cut.log <framed.cut
    expect_text err "^varve append: byte 16 of the input: .* cut off after $cut bytes"
    expect_text err '3 records'
    "$VARVE" cat --framed cut.log >got
    expect_same framed got
done
# A length that nothing stands behind, and that must not be believed either.
printf '\377\377\377\377x' >framed.huge
expect 3 "$VARVE" append --framed cut.log <framed.huge
expect_text err 'byte 0 of the input: a length of 4294967295, more than the largest record'

expect 3 "$VARVE" append files.log binary not-there empty
expect_text err '^varve append: not-there: No such file'
expect_text err '1 record, 300000 bytes'
expect 3 "$VARVE" append files.log .
expect_text err 'Is a directory'
expect 3 "$VARVE" append lines/below <lines
expect 3 "$VARVE" append lines <many
expect_text err '^varve append: lines: '

usage() {
    expect 2 "$VARVE" append "$@" </dev/null
    expect_text err "^see 'varve append --help'"
}
usage log --type 256
usage log --type -1
usage log --type ''
usage log --type 1x
usage log --time yesterday
usage log --time @0
usage log --type ' 1'
usage log --threads 0
usage log --threads 99999999999999999999
usage log --batch 0
usage log --segment-bytes 1000
usage log --segment-bytes 99999999999T
usage log --segment-bytes 64X
usage log --durability durable
usage log --backend fast
usage log --policy none
usage log --ack=some
usage log --ack --durability memory
usage log -0 --framed
usage log -0 lines
expect 2 "$VARVE" append new.log --segment-bytes 1048577 </dev/null
[[ ! -e new.log/wal-0000000000000001.seg ]] || fail 'a wrong size made a log'

# ---- acknowledgements that nobody can take ----

rm -rf full.log
code=0
"$VARVE" append --ack full.log <many >/dev/full 2>err || code=$?
expect_equal 3 "$code" 'acknowledgements to a full device'
expect_text err 'standard output: No space left'
rm -rf full.log
code=0
{ "$VARVE" append --batch 1 --ack full.log <many 2>err || code=$?; echo "$code" >code; } | head -n 1 >first
expect_equal 3 "$(cat code)" 'acknowledgements that nobody reads'
expect_text err 'standard output: Broken pipe'
expect_equal 'true' "$("$VARVE" stat --json full.log >json && field json clean_shutdown)"

# ---- signals: what was read is appended, the log is closed, the signal ends the process ----

for signal in INT TERM HUP; do
    rm -rf signal.log
    # A shell without job control starts what runs behind with SIGINT ignored, and that is respected.
    python3 -c 'import os, signal, subprocess, sys, time
name, program = sys.argv[1:]
process = subprocess.Popen([program, "append", "--durability", "buffered", "--ack", "signal.log"],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open("err", "w"))
process.stdin.write(b"whole\nhalf")
process.stdin.flush()
line = process.stdout.readline()
process.send_signal(getattr(signal, "SIG" + name))
code = process.wait(20)
sys.exit(0 if line == b"1\n" and code == -getattr(signal, "SIG" + name) else f"{line} {code}")' \
        "$signal" "$VARVE" || fail "SIG$signal"
    expect_text err '1 record'
    echo whole >want
    "$VARVE" cat signal.log >got
    expect_same want got
    expect_equal 'true' "$("$VARVE" stat --json signal.log >json && field json clean_shutdown)"
done

# ---- a second writer is told who is there ----

mkfifo hold
"$VARVE" append -q held.log <hold &
writer=$!
exec 5>hold
until_true "$VARVE" cat held.log >/dev/null 2>&1
expect 3 "$VARVE" append held.log <lines
expect_text err "^varve append: held.log: .*$writer"
expect_text err '^what to do: '
exec 5>&-
wait "$writer"

finish
