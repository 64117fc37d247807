#!/usr/bin/env bash
# varve append with several threads: each record once, under the LSN that is acknowledged, in the order of
# its thread.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

seq -f 'line %.0f' 3000 >many

# Four numbers; the records of a thread in the order of the input; each record of the input once, under the
# LSN that is said.
check_full() {
    awk 'NF != 4 || $3 < 1 || $3 > 4 || ($2 + 0) <= last[$3] { print "wrong: " $0; exit 1 }
        { last[$3] = $2 }' out ||
        fail "acknowledgements of $1"
    sort -n out | awk 'FNR == NR { text[FNR] = $0; next } { print text[$2] }' many - >want
    expect_equal "$(wc -l <many)" "$(awk '{ print $2 }' out | sort -u | wc -l)" "records of $1"
    "$VARVE" cat full.log >got
    expect_same want got
}
for mode in buffered interval group strict; do
    rm -rf full.log
    expect 0 "$VARVE" append --ack=full --threads 4 --batch 3 --durability "$mode" full.log <many
    check_full "$mode"
done
rm -rf full.log
expect 0 "$VARVE" append -q -t 4 full.log <many
"$VARVE" cat full.log | sort >got
sort many >want
expect_same want got

# One of them fails: the others end, and what was acknowledged is there.
head -c 5000 /dev/zero | tr '\0' x >long
{ head -n 2000 many && cat long && echo && tail -n 1000 many; } >input
rm -rf full.log
expect 3 "$VARVE" append --ack=full --threads 4 --batch 3 --record-max 4096 full.log <input
expect_text err '^varve append: line 2001: longer than the largest record'
expect_text err '2000 records'
sort -n out | awk 'FNR == NR { text[FNR] = $0; next } { print text[$2] }' many - >want
expect_equal 2000 "$(wc -l <want)" 'acknowledged before the long line'
"$VARVE" cat full.log >got
expect_same want got

# More threads than there is work for, and files.
rm -rf full.log
expect 0 "$VARVE" append -q -t 64 full.log many many many
cat many many many >want
"$VARVE" cat --raw full.log >got
expect_same want got

finish
