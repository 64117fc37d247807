#!/usr/bin/env bash
# varve train, and append --dictionary.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

seq -f '{"time":"2026-11-21T05:00:00Z","level":"info","message":"request %.0f was served"}' 3000 >lines
"$VARVE" append -q --segment-bytes 4M plain <lines
expect 2 "$VARVE" train plain
expect_text err '^varve train: --output FILE is missing'
expect 2 "$VARVE" train --size 1 -o d plain
"$VARVE" train --size 4K -o d plain >out 2>err
case $? in
0) ;;
*)
    expect_text err 'zstd is not in this build'
    [[ ! -e d ]] || fail 'a file was left'
    finish
    ;;
esac
expect_text err '^varve train: d: [0-9]+ bytes; '
expect_equal 600 "$(stat -c %a d)"
expect_equal yes "$([[ $(stat -c %s d) -le 4096 ]] && echo yes)" 'size of the dictionary'
cp d kept
expect 3 "$VARVE" train --size 4K -o d plain
expect_text err 'd: File exists'
expect_same kept d
echo only >few
"$VARVE" append -q --segment-bytes 1M small <few
expect 2 "$VARVE" train -o e small
[[ ! -e e ]] || fail 'a file was left'

# It makes small frames smaller, and is the log's from then on.
for log in with without; do
    options=()
    [[ $log == without ]] || options=(--dictionary d)
    "$VARVE" append -q --segment-bytes 2M --codec zstd --batch 10 "${options[@]}" $log <lines
    expect 0 "$VARVE" stat --json $log
    field out stored_bytes >stored.$log
done
expect_equal yes "$([[ $(cat stored.with) -lt $(($(cat stored.without) * 9 / 10)) ]] && echo yes)" \
    "$(cat stored.with) beside $(cat stored.without) bytes"
expect 0 "$VARVE" stat with
expect_text out '^codec         zstd, dictionary [0-9a-f]{8}; '
id=$(sed -nE 's/^codec .* dictionary ([0-9a-f]{8});.*/\1/p' out)
[[ -f with/dictionary-$id ]] || fail "with/dictionary-$id is not there"
echo more | "$VARVE" append -q with
expect 0 "$VARVE" stat --json with
expect_equal "0x$id" "$(field out dictionary)"
"$VARVE" cat with >got
(cat lines && echo more) | expect_same - got
expect 0 "$VARVE" verify --strict with

# Given up, and still there to be read with.
echo last | "$VARVE" append -q --codec zstd --dictionary - with
expect 0 "$VARVE" stat --json with
expect_equal 0x00000000 "$(field out dictionary)"
expect_equal last "$("$VARVE" tail -n 1 with)"
expect_equal "$(head -n 1 lines)" "$("$VARVE" cat --limit 1 with)"
mv "with/dictionary-$id" aside
expect 3 "$VARVE" cat with
expect_text err "dictionary-$id: not in the log's directory"
expect_text err '^what to do: put the file back'

expect 3 "$VARVE" append --codec zstd --dictionary nothing new
expect 2 "$VARVE" append --codec zstd --dictionary lines new
expect_text err 'not a dictionary'
expect 2 "$VARVE" append --codec identity --dictionary d new
expect_text err 'takes none'
[[ ! -e new ]] || fail 'a log was made'
finish
