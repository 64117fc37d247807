#!/usr/bin/env bash
# Codecs and keys in the program: every codec in and out, files of keys, what is said without them.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# From files: what a pipe has ready, and so what makes a frame, is a matter of chance.
seq -f 'this is the line with number %07.0f' 20000 >lines
head -n 10000 lines >first
tail -n 10000 lines >second

# Whether this build has a codec.
has() {
    "$VARVE" append -q --segment-bytes 2M --codec "$1" --key-file key probe </dev/null 2>probe.err
    local got=$?
    rm -rf probe
    [[ $got -eq 0 ]] || grep -q 'must be one of' probe.err || fail "codec $1: $(cat probe.err)"
    return $got
}

# ---- keygen ----

expect 0 "$VARVE" keygen key
expect_text err '^varve keygen: key: key 1; '
expect_empty out
expect_equal 600 "$(stat -c %a key)"
expect_text key '^key 1 [0-9a-f]{64}$'
cp key before
expect 3 "$VARVE" keygen key
expect_text err 'File exists'
expect_same before key
expect 0 "$VARVE" keygen --rotate key
expect_text err 'key 2; '
expect_text key '^key 2 [0-9a-f]{64}$'
head -n 2 key >kept
expect_same before kept
expect 0 "$VARVE" keygen -r key
expect_equal 3 "$(grep -c '^key' key)"
expect_equal 3 "$(cut -d ' ' -f 3 key | grep -E '^[0-9a-f]{64}$' | sort -u | wc -l)" 'different keys'
[[ ! -e key.new ]] || fail 'a temporary file was left'
expect 3 "$VARVE" keygen --rotate nokey
expect_text err 'there is no such file'
chmod 644 key
expect 2 "$VARVE" keygen --rotate key
expect_text err 'mode 0600'
chmod 600 key
echo 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f >bare
chmod 600 bare
cp bare bare.before
expect 2 "$VARVE" keygen --rotate bare
expect_same bare.before bare

# ---- every codec ----

tried=0
for codec in lz4 zstd:9 aes-256-gcm zstd+aes-256-gcm; do
    has "$codec" || continue
    tried=$((tried + 1))
    rm -rf log
    name=${codec%:*}
    pattern=${name//+/[+]}
    "$VARVE" append -q --segment-bytes 2M --codec "$codec" --key-file key log <first ||
        fail "append with $codec"
    # The log knows its codec.
    "$VARVE" append -q --key-file key log <second || fail "append again with $codec"
    "$VARVE" cat --key-file key log >got || fail "cat of $codec"
    expect_same lines got
    expect 0 "$VARVE" tail -n 1 --key-file key log
    expect_equal "$(tail -n 1 lines)" "$(cat out)"
    expect 0 "$VARVE" verify --strict --key-file key log
    expect_no_text out 'not read'
    expect 0 "$VARVE" stat --json log
    expect_equal "$name" "$(field out codec_name)"
    expect_equal "$(field out encoded_frames)" "$(field out frames)"
    if [[ $codec == aes-256-gcm ]]; then
        expect_equal $(($(field out body_bytes) + 40 * $(field out frames))) "$(field out stored_bytes)"
    else
        expect_equal yes "$(python3 -c 'import json
print("yes" if json.load(open("out"))["stored_ratio"] > 2.5 else "no")')" "ratio of $codec"
    fi
    expect 0 "$VARVE" stat log
    expect_text out "^codec         $pattern; .* stored as .* to 1; "
    expect 0 "$VARVE" dump --key-file key log
    expect_text out "codec [1-4] is $pattern$"
    expect_equal 20000 "$(grep -c '^    record ' out)"
    expect 0 "$VARVE" trim --before 1 --key-file key log
    # And can be taken away again.
    echo more | "$VARVE" append -q --codec identity --key-file key log || fail "identity after $codec"
    expect 0 "$VARVE" stat --json log
    expect_equal identity "$(field out codec_name)"
    "$VARVE" cat --key-file key log >got
    (cat lines && echo more) | expect_same - got
done
echo "$tried codecs"
head -n 5 lines | "$VARVE" append -q --segment-bytes 2M plain
expect 0 "$VARVE" stat plain
expect_text out '^codec         identity$'

# ---- values that are none ----

expect 2 "$VARVE" append --codec gzip new
expect_text err '^varve append: --codec: .gzip.: must be one of'
for level in : :x :0 :5x :1000 :-1000; do
    expect 2 "$VARVE" append --codec "identity$level" new
    expect_text err 'level'
done
if has zstd; then
    expect 2 "$VARVE" append --codec zstd:99 new
    expect_text err 'zstd has -7 to 22, not 99'
fi
expect 2 "$VARVE" cat --key-fd x plain
expect 3 "$VARVE" cat --key-file nokey plain
expect_text err 'nokey: there is no such file'
expect 3 "$VARVE" cat --key-env VARVE_NO_SUCH_KEYS plain
[[ ! -e new ]] || fail 'a log was made'

# ---- keys ----

if has aes-256-gcm; then
    rm -rf log
    "$VARVE" append -q --segment-bytes 2M --codec aes-256-gcm --key-file key log <lines
    # None: what can be had without is had.
    for sub in cat tail; do
        expect 3 "$VARVE" "$sub" log
        expect_text err 'key 3 was not given'
        expect_text err '^what to do: .*--key-file'
    done
    expect_empty out
    expect 3 "$VARVE" append log <lines
    expect_text err 'key 3 was not given'
    expect 0 "$VARVE" verify log
    expect_text out '^  not read   20000 records in [0-9]+ frames, whose checksums match: .*key 3 was not'
    expect 0 "$VARVE" verify --json log
    expect_equal 20000 "$(field out unread_records)"
    expect_equal true "$(field out fine)"
    expect 0 "$VARVE" verify --json --key-file key log
    expect_equal 0 "$(field out unread_records)"
    expect_equal null "$(field out unread_why)"
    expect 0 "$VARVE" stat log
    expect 0 "$VARVE" dump --json log
    expect_equal 0 "$(grep -c '"kind":"record"' out)"
    expect_text out '"unread":"VARVE_E_KEY_MISSING"'
    expect 0 "$VARVE" dump log
    expect_text out 'records not shown: '
    # A wrong one.
    expect 0 "$VARVE" keygen other
    sed -i 's/^key 1/key 3/' other
    for sub in cat verify 'append -q --segment-bytes 2M'; do
        # shellcheck disable=SC2086 # words
        expect 3 "$VARVE" $sub --key-file other log </dev/null
        expect_text err 'key 3 is not the one'
    done
    # From a variable, from a descriptor, from several files.
    KEYS=$(cat key) expect 0 "$VARVE" cat --key-env KEYS log
    expect_same lines out
    expect 0 "$VARVE" cat --key-fd 7 log 7<key
    expect_same lines out
    grep '^key [12]' key >old
    grep '^key 3' key >newest
    chmod 600 old newest
    expect 0 "$VARVE" cat --key-file old --key-file newest log
    expect_same lines out
    expect 3 "$VARVE" cat --key-file old log
    # Refused when others can read it, and never told.
    chmod 640 key
    expect 2 "$VARVE" cat --key-file key log
    expect_text err 'key: others than its owner'
    chmod 600 key
    echo 'key 1 0001' >bad
    chmod 600 bad
    expect 2 "$VARVE" cat --key-file bad log
    expect_text err 'line 1'
    expect_no_text err '0001'
    # What is on disk is not what went in.
    ! grep -rqa 'this is the line' log || fail 'a payload stands on disk'
    ! grep -rqa "$(cut -d ' ' -f 3 newest | head -c 16)" log || fail 'a key stands on disk'
fi

finish
