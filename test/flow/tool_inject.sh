#!/usr/bin/env bash
# A second opinion on faults: the real program on the real system, with strace failing one system call at a
# time. Whatever fails, what was acknowledged is in the log, the log opens again, and somebody was told or all
# is there.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# A sanitizer that is traced cannot look for leaks; what leaks is for the tests in one process.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

seq 1 40 >lines
if ! strace -f -o trace -e trace=write true 2>err; then
    echo "processes cannot be traced here: $(head -c 200 err)"
    exit 77
fi
strace -f -o trace -e inject=getppid:error=EIO true 2>err || {
    echo "strace cannot make calls fail: $(head -c 200 err)"
    exit 77
}

# How often a writer makes the call.
count_calls() {
    rm -rf log
    strace -f -o trace -e "trace=$1" "$VARVE" append -q --batch 10 --segment-bytes 1M log <lines >out 2>err ||
        fail "$1: a traced writer fails: $(head -c 200 err)"
    grep -c "$1(" trace
}

cases=0
told=0
# inject CALL ERROR NUMBER: the NUMBERth such call of a writer fails with the error; `kill`: it ends there.
inject() {
    local how=error=$2 code=0
    [[ $2 != kill ]] || how=signal=SIGKILL
    rm -rf log
    # In the background: else the shell says whom a signal has ended.
    strace -f -o trace -e "trace=$1" -e "inject=$1:$how:when=$3" \
        "$VARVE" append -q --ack=full --batch 10 --segment-bytes 1M log <lines >acks 2>err &
    wait $! 2>/dev/null || code=$?
    # How many calls there are differs by a few from run to run; and the first ones are those of the loader.
    grep -q 'INJECTED\|SIGKILL' trace || return 0
    [[ $code -ne 127 ]] || return 0
    cases=$((cases + 1))
    [[ ! -s err ]] || told=$((told + 1))
    case $code in
    0) expect_equal 40 "$(wc -l <acks)" "$1 $2 $3: acknowledgements" ;;
    3)
        expect_text err '^varve append: '
        ;;
    137) [[ $2 == kill ]] || fail "$1 $2 $3: killed" ;;
    *) fail "$1 $2 $3: exit code $code: $(head -c 300 err)" ;;
    esac
    if [[ ! -e log/MANIFEST ]]; then
        expect_empty acks
        return
    fi
    expect 0 "$VARVE" verify log
    "$VARVE" cat log >content 2>err || fail "$1 $2 $3: it cannot be read: $(head -c 300 err)"
    # The second field of an acknowledgement is the line's number, which is what the line says.
    awk '{ print $2 }' acks | while read -r line; do
        grep -qx "$line" content || echo "$line"
    done >lost
    [[ ! -s lost ]] || fail "$1 $2 $3: acknowledged and not there: $(tr '\n' ' ' <lost)"
    expect 0 "$VARVE" append -q log <lines
}

# inject_all CALL ERROR...: each at the first calls of all, and at the last.
inject_all() {
    local call=$1 count number error
    shift
    count=$(count_calls "$call")
    [[ $count -gt 0 ]] || return 0
    for error in "$@"; do
        for number in 1 2 3 $((count / 4)) $((count / 2)) $((count * 3 / 4)) "$count"; do
            [[ $number -eq 0 || $number -gt $count ]] || inject "$call" "$error" "$number"
        done
    done
}

inject_all pwritev2 EIO ENOSPC EAGAIN EINTR EDQUOT kill
inject_all pwritev EIO ENOSPC kill
inject_all fdatasync EIO ENOSPC kill
inject_all fsync EIO kill
inject_all renameat EIO ENOSPC kill
inject_all ftruncate EIO kill
inject_all pread64 EIO EINTR
inject_all openat EIO EMFILE kill
inject_all unlinkat EIO
inject_all statx EIO

echo "$cases cases, $told told"
[[ $cases -ge 50 && $told -ge 10 ]] || fail "too little was tried: $cases cases, of which $told were told"
finish
