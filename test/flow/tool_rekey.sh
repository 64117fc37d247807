#!/usr/bin/env bash
# varve rekey: another codec, another key; what is refused; a copy that is killed.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# The records with all their fields, and where the log ends.
tell() {
    "$VARVE" cat --json "${@:2}" "$1"
}

seq -f 'a line of the log, number %.0f' 5000 >lines
"$VARVE" append -q --segment-bytes 1M --batch 100 --type 7 plain <lines
"$VARVE" pin plain set keeper --lsn 4000 >out
tell plain >records

expect 0 "$VARVE" rekey plain copy
expect_text err '^varve rekey: copy: 5000 records, LSN 1 to 5000, [0-9]+ bytes as [0-9]+; verified$'
tell copy | expect_same records -
expect 0 "$VARVE" verify --strict copy
expect 0 "$VARVE" pin copy
expect_text out 'keeper'

# Only into a new directory.
expect 3 "$VARVE" rekey plain copy
expect_text err '^varve rekey: copy: is there already'
mkdir empty
expect 3 "$VARVE" rekey plain empty
expect 3 "$VARVE" rekey plain nowhere/below
expect 3 "$VARVE" rekey nothing new
expect 2 "$VARVE" rekey plain
expect 2 "$VARVE" rekey --codec none plain new
[[ ! -e new ]] || fail 'something was made'

# It goes on where the old one ended.
echo more | "$VARVE" append -q copy
expect_equal more "$("$VARVE" tail -n 1 copy)"
expect_equal 5001 "$("$VARVE" cat copy | wc -l)"

if "$VARVE" append --codec zstd x 2>/dev/null </dev/null; then
    expect 0 "$VARVE" rekey -q --codec zstd:9 plain small
    expect_equal '' "$(cat err)"
    tell small | expect_same records -
    expect 0 "$VARVE" stat --json small
    expect_equal zstd "$(field out codec_name)"
fi

"$VARVE" keygen keys >out 2>err || fail 'keygen'
if ! "$VARVE" append --codec aes-256-gcm --key-file keys y 2>err </dev/null; then
    expect_text err 'in this build'
    finish
fi

# Encrypted, and under a newer key, which alone is enough then.
expect 3 "$VARVE" rekey --codec aes-256-gcm plain secret
expect_text err 'no key was given'
expect 0 "$VARVE" rekey --codec aes-256-gcm --key-file keys plain secret
tell secret --key-file keys | expect_same records -
cp -p keys old
"$VARVE" keygen --rotate keys >out 2>err || fail 'keygen --rotate'
expect 3 "$VARVE" rekey secret later
expect_text err 'no key was given'
grep '^key 2' keys >newer
chmod 600 newer
expect 3 "$VARVE" rekey --key-file newer secret later
expect_text err '^varve rekey: later: secret: .*key 1'
expect_text err '^what to do: give the key'
"$VARVE" keygen other >out 2>err || fail 'keygen'
expect 3 "$VARVE" rekey --key-file other secret later
expect_text err 'not the one that was used'
[[ ! -e later ]] || fail 'something was made'
expect 0 "$VARVE" rekey --key-file keys secret later
tell later --key-file newer | expect_same records -
expect 3 "$VARVE" cat --key-file old later
expect_text err 'key 2'
expect 0 "$VARVE" verify --strict --key-file newer later
# And back.
expect 0 "$VARVE" rekey --codec identity --key-file newer later clear
tell clear | expect_same records -

# Cut short in the middle of a write, by a file that may not grow: an error, or a signal where that is not
# ignored. Every command refuses what is there then, and the old log is as it was.
seq -f 'a line of a longer log, number %.0f' 100000 >many
"$VARVE" append -q --segment-bytes 8M long <many
for blocks in 4 500 3000; do
    rm -rf part
    (
        ulimit -c 0
        ulimit -f $blocks
        exec "$VARVE" rekey -q --codec aes-256-gcm --key-file keys long part 2>/dev/null
    )
    code=$?
    [[ $code -eq 3 || $code -eq $((128 + $(kill -l XFSZ))) ]] || fail "exit code $code of such a copy"
    for sub in verify stat tail 'append --key-file keys' 'cat --policy skip' trim\ --before\ 5; do
        # shellcheck disable=SC2086
        expect 3 "$VARVE" $sub part </dev/null
        expect_text err 'a copy that was begun here was not finished'
        expect_text err '^what to do: remove the directory'
    done
    expect 3 "$VARVE" rekey -q long part
    expect_text err 'was not finished; remove it'
done
"$VARVE" cat long | expect_same many -
rm -rf part
expect 0 "$VARVE" rekey -q --codec aes-256-gcm --key-file keys long part
"$VARVE" cat --key-file keys part | expect_same many -

# Beside a writer it would miss what comes.
mkfifo pipe
"$VARVE" append -q plain <pipe &
pid=$!
exec 9>pipe
written() {
    "$VARVE" stat --json plain | grep -q '"writer_alive":true'
}
until_true written
expect 3 "$VARVE" rekey plain beside
expect_text err 'has the log open for writing'
[[ ! -e beside ]] || fail 'something was made'
exec 9>&-
wait $pid
finish
