# shellcheck shell=bash
# What the tests of the program share. A script sources this, calls expect_* and ends with `finish`: each
# failed expectation says what it was, and any makes the script fail.
set -uo pipefail

: "${VARVE:?is the path of the program}"
[[ -x $VARVE ]] || {
    echo "there is no program $VARVE"
    exit 1
}
failures=0

fail() {
    echo "FAIL (line ${BASH_LINENO[-2]}): $*"
    failures=$((failures + 1))
}

# expect CODE COMMAND...: runs it, standard output to ./out and standard error to ./err, and compares the
# exit code.
expect() {
    local want=$1 got=0
    shift
    "$@" >out 2>err || got=$?
    [[ $got -eq $want ]] || fail "exit code $got, not $want: $*" $'\n'"  $(head -c 400 err)"
}

# expect_text FILE PATTERN: an extended regular expression is found in it.
expect_text() {
    grep -Eq -- "$2" "$1" || fail "no '$2' in $1:" $'\n'"$(head -c 600 "$1")"
}

expect_no_text() {
    ! grep -Eq -- "$2" "$1" || fail "'$2' in $1:" $'\n'"$(head -c 600 "$1")"
}

expect_empty() {
    [[ ! -s $1 ]] || fail "$1 is not empty:" $'\n'"$(head -c 400 "$1")"
}

# expect_same WANTED GOT: two files, byte for byte.
expect_same() {
    cmp -s "$1" "$2" || fail "$2 is not $1: $(cmp "$1" "$2" 2>&1)"
}

expect_equal() {
    [[ $1 == "$2" ]] || fail "'$2', not '$1'${3:+: $3}"
}

# A field of the one JSON object in FILE.
field() {
    python3 -c 'import json, sys
value = json.load(open(sys.argv[1]))[sys.argv[2]]
print(json.dumps(value) if isinstance(value, (bool, list, dict, type(None))) else value)' "$1" "$2"
}

# Changes the byte at OFFSET of FILE.
flip() {
    python3 -c 'import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 0x10]))' "$1" "$2"
}

# nth DIR KIND FIELD [N]: a field of the N-th (from 1; -1 is the last) segment, frame or record of a log.
# Frames without records are left out.
nth() {
    "$VARVE" dump --json "$1" 2>/dev/null | python3 -c 'import json, sys
kind, field, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
found = [o for o in map(json.loads, sys.stdin) if o["kind"] == kind and o.get("records", 1) > 0]
print(found[n - 1 if n > 0 else n][field])' "$2" "$3" "${4:-1}"
}

# The path of segment N of a log.
segment_file() {
    printf '%s/wal-%016x.seg' "$1" "$2"
}

# Waits up to ten seconds until a command succeeds.
until_true() {
    local i
    for ((i = 0; i < 200; i++)); do
        "$@" && return 0
        sleep 0.05
    done
    fail "never came true: $*"
    return 1
}

finish() {
    [[ $failures -eq 0 ]] || echo "$failures failed"
    exit $((failures > 0))
}
