#!/usr/bin/env bash
# varve convert: what goes along, what is refused and told; a conversion that is cut short; codecs and keys.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# The records with the fields that every format has, and those of `varve`.
tell() {
    "$VARVE" cat --json "${@:2}" "$1"
}

seq -f 'a line of the log, number %0400.0f' 3000 >lines
"$VARVE" append -q --segment-bytes 1M --batch 100 native <lines
"$VARVE" append -q --time 2040-01-01 native <lines 2>err
"$VARVE" pin native set keeper --lsn 4000 >out
tell native >records

# To stra, which has times, and back: the same records, pins and UUID.
expect 0 "$VARVE" convert native stra --to stra
expect_text err '^varve convert: stra: 6000 records, LSN 1 to 6000, [0-9]+ bytes; verified$'
expect 0 "$VARVE" verify stra
expect 0 "$VARVE" pin stra
expect_text out keeper
expect 0 "$VARVE" convert -q stra native.back
expect_empty err
tell native.back | expect_same records -
"$VARVE" stat --json native >out && uuid=$(field out uuid)
"$VARVE" stat --json native.back >out
expect_equal "$uuid" "$(field out uuid)"
expect 0 "$VARVE" pin native.back
expect_text out keeper
echo more | "$VARVE" append -q native.back
expect_equal more "$("$VARVE" tail -n 1 native.back)"

# What is not held is told, and nothing is written; with --lossy it goes.
"$VARVE" append -q --type 7 typed <lines
expect 3 "$VARVE" convert typed wlog --to wlog
expect_text err '^varve convert: typed: wlog: 3000 records, from LSN 1 on, have a type that it has no room'
expect_text err '^varve convert: typed: wlog: 3000 records, from LSN 1 on, have a time that it has no room'
expect_text err 'nothing was written$'
expect_text err '^what to do: .*--lossy'
[[ ! -e wlog && ! -e wlog.converting ]] || fail 'something was made'
expect 0 "$VARVE" convert typed wlog --to wlog --lossy --segment-bytes 64K
expect_text err 'have a type'
expect_text err '^varve convert: wlog: 3000 records'
"$VARVE" cat wlog | expect_same lines -
expect 3 "$VARVE" convert typed aero --to aero --lossy
expect_text err 'typed: LSN 1: aero: the payload cannot be one of its own'
expect 3 "$VARVE" convert native small --to wlog --lossy --segment-bytes 1K --codec lz4
[[ ! -e small && ! -e small.converting ]] || fail 'something was made'

# Numbers stay where the log was trimmed, but in formats that begin with 1.
"$VARVE" trim native --before 3500 >out
first=$(tell native | head -n 1 | sed 's/{"lsn":\([0-9]*\),.*/\1/')
[[ $first -gt 1 ]] || fail 'nothing was trimmed'
expect 0 "$VARVE" convert -q native trimmed
tell trimmed >want
tell native | expect_same want -
expect 0 "$VARVE" convert -q native trimmed.stra --to stra
expect 0 "$VARVE" convert -q trimmed.stra trimmed.back
tell trimmed.back | expect_same want -
echo more | "$VARVE" append -q trimmed.stra
expect_equal "$(tail -n 1 want | cut -d, -f1 | tr -dc 0-9)" \
    "$(($(tell trimmed.stra | tail -n 1 | cut -d, -f1 | tr -dc 0-9) - 1))"

# Only into a directory that is not there, or empty.
expect 3 "$VARVE" convert typed wlog
expect_text err 'wlog: is there already'
mkdir empty
expect 0 "$VARVE" convert -q typed empty/
tell empty >out
tell typed | expect_same out -
expect 3 "$VARVE" convert typed nowhere/below
expect 3 "$VARVE" convert nothing new
expect 3 "$VARVE" convert typed lines
expect 2 "$VARVE" convert typed
expect 2 "$VARVE" convert --to nothing typed new
expect 2 "$VARVE" convert --codec none typed new
[[ ! -e new && ! -e nowhere ]] || fail 'something was made'
"$VARVE" append -q none </dev/null
expect 0 "$VARVE" convert none none.stra --to stra
expect_text err 'no records; verified'

# Damage: as the policy says.
cp -r native damaged
segment=$(find damaged -name 'wal-*.seg' | sort | head -n 1)
flip "$segment" $(($(nth damaged frame offset 2) + 100))
expect 1 "$VARVE" convert damaged whole
[[ ! -e whole && ! -e whole.converting ]] || fail 'something was made'
expect 3 "$VARVE" convert damaged whole --policy skip
expect_text err 'have another number there'
expect 1 "$VARVE" convert damaged whole --policy skip --lossy
expect_text err 'passed over as damaged'
expect 0 "$VARVE" verify --strict whole

# Cut short in the middle of a write, by a file that may not grow: an error, or a signal. The target is not
# there, the next conversion says why it does not begin, and the source is as it was.
for format in varve stra dbkv; do
    rm -rf part part.converting
    (
        ulimit -c 0
        ulimit -f 40
        exec "$VARVE" convert -q native part --to $format 2>/dev/null
    )
    code=$?
    [[ $format == dbkv ]] && continue # no line is an operation of its
    [[ $code -eq 3 || $code -eq $((128 + $(kill -l XFSZ))) ]] || fail "exit code $code of such a conversion"
    [[ ! -e part ]] || fail 'a part has the name of the whole'
    expect 3 "$VARVE" convert -q native part --to $format
    expect_text err 'part.converting: a conversion that was not finished; remove it'
    rm -rf part.converting
    expect 0 "$VARVE" convert -q native part --to $format
    "$VARVE" cat part >out
    "$VARVE" cat native | expect_same out -
done

# Beside a writer it would miss what comes.
mkfifo pipe
"$VARVE" append -q typed <pipe &
pid=$!
exec 9>pipe
written() {
    "$VARVE" stat --json typed | grep -q '"writer_alive":true'
}
until_true written
expect 3 "$VARVE" convert typed beside
expect_text err 'typed: process [0-9]+ has it open for writing'
[[ ! -e beside ]] || fail 'something was made'
exec 9>&-
wait $pid

# Codecs and keys, of the source and of the target.
if "$VARVE" append --codec zstd x 2>/dev/null </dev/null; then
    expect 0 "$VARVE" convert -q --codec zstd:9 native packed
    tell packed >out
    tell native | expect_same out -
    "$VARVE" stat --json packed >out
    expect_equal zstd "$(field out codec_name)"
fi
"$VARVE" keygen keys >out 2>err || fail 'keygen'
if ! "$VARVE" append --codec aes-256-gcm --key-file keys y 2>err </dev/null; then
    expect_text err 'in this build'
    finish
fi
expect 3 "$VARVE" convert --codec aes-256-gcm native secret
expect_text err 'no key was given'
rm -rf secret.converting
expect 0 "$VARVE" convert -q --codec aes-256-gcm --key-file keys native secret
expect 3 "$VARVE" convert secret clear
expect_text err 'key'
expect 0 "$VARVE" convert -q --key-file keys secret clear
tell clear >out
tell native | expect_same out -
finish
