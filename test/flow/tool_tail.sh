#!/usr/bin/env bash
# varve tail: the last records; following a writer that comes, goes, and comes again; ending when nobody
# reads.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

seq 25 | "$VARVE" append -q log
tail_is() {
    local want=$1
    shift
    expect 0 "$VARVE" tail log "$@"
    expect_equal "$want" "$(tr '\n' ' ' <out)" "tail $*"
}
tail_is '16 17 18 19 20 21 22 23 24 25 '
tail_is '24 25 ' -n 2
tail_is '24 25 ' --lines=2
tail_is '' -n 0
tail_is '1 2 3 ' -n 100 --limit 3
expect_equal 25 "$("$VARVE" tail -n 18446744073709551615 log | wc -l)"
expect 0 "$VARVE" tail --json -n 1 log
expect_equal 25 "$(field out lsn)"
expect 2 "$VARVE" tail -n -1 log
expect 2 "$VARVE" tail -n x log
expect 0 "$VARVE" append -q empty.log </dev/null
expect 0 "$VARVE" tail empty.log
expect_empty out

# ---- following ----

# Whatever is appended, by one writer after another, comes once, in order, and soon.
"$VARVE" tail -f -n 5 log >followed 2>err &
follower=$!
until_true test -s followed
for part in '26 3000' '3001 3010'; do
    # shellcheck disable=SC2086 # two numbers
    seq $part | "$VARVE" append -q --segment-bytes 1M --batch 7 log
    until_true grep -qx "${part#* }" followed
done
seq 21 3010 >want
expect_same want followed
kill "$follower"
wait "$follower" 2>/dev/null
expect_equal 143 $? 'the end of a follower'
expect_empty err

# One record, as soon as it is durable, while its writer goes on.
mkfifo in
"$VARVE" append -q log <in &
writer=$!
exec 5>in
"$VARVE" tail -f -n 0 --limit 2 log >followed &
follower=$!
# It may begin only after the first of these, so they come until it is content.
is_content() {
    echo more >&5
    ! kill -0 "$follower" 2>/dev/null
}
until_true is_content
wait "$follower" || fail "tail --limit: exit code $?"
printf 'more\nmore\n' >want
expect_same want followed
exec 5>&-
wait "$writer"

# Types are chosen while following too.
"$VARVE" tail -f -n 0 --type 3 --limit 1 log >followed &
follower=$!
is_content() {
    "$VARVE" append -q --type 2 log <<<two
    "$VARVE" append -q --type 3 log <<<three
    ! kill -0 "$follower" 2>/dev/null
}
until_true is_content
expect_equal three "$(cat followed)"

# Nobody reads any more, and nothing comes that would show it by a write: it ends all the same, without a
# word.
code=0
timeout 20 "$VARVE" tail -f log 2>err | head -n 1 >/dev/null
code=${PIPESTATUS[0]}
[[ $code -eq 0 || $code -eq 141 ]] || fail "tail -f without a reader: exit code $code"
expect_empty err

finish
