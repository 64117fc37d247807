#!/usr/bin/env bash
# SIGKILL at each system call that has to do with files, of the real program on the real system, by strace:
# while a log is made, filled over several segments and closed; recovered after a kill; trimmed. After each
# the log opens, has all that was acknowledged, each record once and in its place, and goes on.
#
# In make test a sample of the calls that change something, other ones each time (VARVE_SEED has them
# again); in make torture, which sets VARVE_KILLS=all, every one, as far as VARVE_KILLS_SECONDS go.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

# A sanitizer that is traced cannot look for leaks.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

if ! strace -f -o trace -e inject=getppid:error=EIO true 2>err; then
    echo "SKIPPED: processes cannot be traced here, nothing was killed: $(head -c 200 err)"
    exit 77
fi

seed=${VARVE_SEED:-$RANDOM}
echo "seed $seed (VARVE_SEED repeats it)"
RANDOM=$seed
stop=${VARVE_KILLS_SECONDS:-1000000}
sample=14 # of each story's calls
touch='write|pwrite.*|fsync|fdatasync|rename.*|unlink.*|ftruncate|fallocate|openat|mkdirat|fchmod'
if [[ ${VARVE_KILLS:-} == all ]]; then
    sample=1000000
    touch+='|read|pread.*|close|fcntl|flock|.*stat.*|statx|getdents64|ioctl'
fi

LINES_ALL=150 # of 20 KB: three segments
for ((i = 1; i <= LINES_ALL; i++)); do
    printf '%d %020000d\n' "$i" "$i"
done >lines
echo 'the last line' >added

# The stories: what each begins with, and what is done then.
prepare() {
    rm -rf log
    case $1 in
    recovered) cp -a killed log ;; # its writer was killed, and its last frame is torn
    trimmed) cp -a whole log ;;
    esac
}

# traced STORY STRACE-OPTION...: does it under strace, acknowledgements into ./acks; the program's exit code.
traced() {
    local story=$1 code=0 command=("$VARVE" append -q --ack=full) input=added
    shift
    case $story in
    filled) command+=(--batch 10 --segment-bytes 1M) input=lines ;;
    trimmed) command=("$VARVE" trim --before 100) ;;
    esac
    prepare "$story"
    # In the background: else the shell says whom a signal has ended.
    strace -f -o trace "$@" "${command[@]}" log <"$input" >acks 2>err &
    wait $! 2>/dev/null || code=$?
    return $code
}

expect 0 "$VARVE" append -q --batch 10 --segment-bytes 1M log <lines
expect 0 "$VARVE" verify --strict log
cp -a log whole
prepare filled
"$VARVE" append -q --batch 10 --segment-bytes 1M --ack log <lines >acks &
pid=$!
until_true test -s acks
kill -KILL $pid
wait $pid 2>/dev/null
# Behind the last frame the beginning of one that did not arrive whole: a header that cannot stand there.
file=$(segment_file log "$(nth log frame segment -1)") offset=$(nth log frame offset -1)
behind=$(((offset + 64 + $(nth log frame stored_bytes -1) + 511) / 512 * 512))
dd if="$file" of="$file" bs=512 count=1 skip=$((offset / 512)) seek=$((behind / 512)) conv=notrunc status=none
expect 0 "$VARVE" verify log
expect_text out torn
mv log killed

kills=0
# check STORY CALL NUMBER
check() {
    local story=$1 what="$1, killed at $2 $3"
    if [[ ! -e log/MANIFEST ]]; then
        [[ $story == filled ]] || fail "$what: MANIFEST is gone"
        expect_empty acks
        return
    fi
    expect 0 "$VARVE" verify log
    expect 0 "$VARVE" append -q log <added
    expect 0 "$VARVE" verify --strict log
    "$VARVE" cat log 2>err >content || fail "$what: it cannot be read: $(head -c 300 err)"
    cut -d ' ' -f 1 content | grep -v the >numbers
    # Without a gap, from where it begins, and at least to what was there or acknowledged.
    local first last want
    first=$(head -n 1 numbers) last=$(tail -n 1 numbers)
    [[ -z $first ]] || seq "$first" "$last" | cmp -s - numbers || fail "$what: lines are missing or twice"
    case $story in
    filled) want=$(awk '{ print $2 }' acks | sort -n | tail -n 1) first=${first:-1} ;;
    recovered) want=$(wc -l <killed.numbers) ;;
    trimmed) want=$LINES_ALL ;;
    esac
    [[ ${last:-0} -ge ${want:-0} ]] ||
        fail "$what: line ${want:-0} was acknowledged, and the last is ${last:-0}"
    [[ $story == trimmed && $first -le 100 || $first -eq 1 ]] || fail "$what: it begins with line $first"
    [[ $story != recovered || ! -s acks ]] || expect_equal 2 "$(grep -c 'the last line' content)" "$what"
}
"$VARVE" cat killed 2>/dev/null | cut -d ' ' -f 1 >killed.numbers

for story in filled recovered trimmed; do
    traced "$story" || fail "$story: the traced program fails: $(head -c 300 err)"
    # strace counts the calls of each thread on its own, the loader's too; those are left out.
    awk -v wanted="^($touch)\\(" '
        /"log"/ { ours = 1 }
        match($2, /^[a-z_0-9]+\(/) {
            name = substr($2, 1, RLENGTH - 1)
            n = ++count[$1, name]
            if (ours && $2 ~ wanted) print name, n
        }' trace | sort -u >calls
    total=$(wc -l <calls)
    shuf -n "$sample" --random-source=<(yes "$RANDOM") calls >chosen
    while read -r call number; do
        [[ $SECONDS -lt $stop ]] || break
        code=0
        traced "$story" -e trace="$call" -e inject="$call:signal=KILL:when=$number" || code=$?
        # How many calls there are differs by a few from run to run.
        grep -q SIGKILL trace || continue
        kills=$((kills + 1))
        check "$story" "$call" "$number"
    done <chosen
    echo "$story: $total calls, $kills kills so far"
done

echo "total: $kills kills"
[[ $kills -ge 15 || $SECONDS -ge $stop ]] || fail "only $kills kills"
finish
