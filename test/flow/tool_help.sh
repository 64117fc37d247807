#!/usr/bin/env bash
# Help, version, usage errors and exit codes, of the program and of each subcommand; and that the options
# are the same in the program, the manual and the completion.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

subs=(append cat tail dump verify stat trim pin lost repair kv snapshot formats keygen train rekey convert
    bench)
man=$VARVE_SOURCE/docs/man

expect 0 "$VARVE" --help
cp out general
expect_text out '^usage: varve'
expect_empty err
expect 0 "$VARVE" help
expect_same general out
expect 0 "$VARVE" --version
expect_text out '^varve [0-9]+\.[0-9]+\.[0-9]+$'
expect 2 "$VARVE"
expect_empty out
expect_text err '^usage: varve'
expect 2 "$VARVE" apend
expect_text err "did you mean 'append'"
expect 2 "$VARVE" help nothing
expect 2 "$VARVE" help cat more
expect 2 "$VARVE" --nothing

options_of() {
    grep -oE '^ +(-.,)? +--[a-z-]+' "$1" | grep -oE -- '--[a-z-]+' | sort
}

for sub in "${subs[@]}"; do
    expect_text general "^  $sub "
    expect 0 "$VARVE" "$sub" --help
    cp out help
    expect_empty err
    expect_text help "^usage: varve $sub "
    expect_text help '^exit codes: '
    expect 0 "$VARVE" help "$sub"
    expect_same help out
    expect 0 "$VARVE" "$sub" -h
    expect_same help out

    if [[ $sub == formats ]]; then
        expect 2 "$VARVE" "$sub" dir
    else
        expect 2 "$VARVE" "$sub"
        expect_text err "^varve $sub: .*(DIR|FILE).* is missing"
    fi
    expect_empty out
    expect_text err "^see 'varve $sub --help'"
    expect_equal 2 "$(wc -l <err)" "lines of a usage error of $sub"
    expect 2 "$VARVE" "$sub" --nothing dir
    expect_text err "option '--nothing'"
    expect 2 "$VARVE" "$sub" -Z dir
    expect_text err "unknown option '-Z'"
    expect 2 "$VARVE" "$sub" --help=1
    expect 2 "$VARVE" "$sub" ''

    # Every option is described in the manual, and nothing else is.
    options_of help >in_help
    sed -nE 's/^\.It (Fl .* , -| ?Fl -)([a-z-]+).*/--\2/p' "$man/varve-$sub.1" >in_man
    echo --help >>in_man
    sort -u in_man -o in_man
    diff in_help in_man >difference || fail "varve-$sub.1: options: $(cat difference)"
done

# Without the log there is nothing to do, and no directory appears; append --no-create likewise.
for sub in cat tail dump verify stat 'trim --before 1' pin lost repair snapshot 'append --no-create' \
    'train -o file' 'rekey x'; do
    # shellcheck disable=SC2086 # words
    expect 3 "$VARVE" $sub nowhere </dev/null
    expect_text err "^varve ${sub%% *}: nowhere: "
    expect_text err '^what to do: '
    [[ ! -e nowhere ]] || fail "$sub made a directory"
done

# The completion knows the same subcommands and options.
# shellcheck source=/dev/null
. "$VARVE_SOURCE/packaging/completion/varve.bash"
complete_words() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _varve 2>/dev/null
    printf '%s\n' "${COMPREPLY[@]}" | sort
}
for sub in "${subs[@]}"; do
    "$VARVE" "$sub" --help >help
    options_of help >in_help
    complete_words varve "$sub" -- >completed
    diff in_help completed >difference || fail "completion of $sub: $(cat difference)"
    complete_words varve "${sub:0:3}" >completed
    expect_text completed "^$sub$"
done
expect_equal "strict" "$(complete_words varve append --durability s)"
expect_equal "full" "$(complete_words varve append --ack = f)"
expect_equal "move" "$(complete_words varve pin dir m)"
expect_equal "history" "$(complete_words varve kv dir h)"
expect_equal "verify" "$(complete_words varve snapshot dir v)"
expect_equal "zstd zstd+aes-256-gcm" "$(complete_words varve append --codec z | xargs)"

# What is written to a full device is an error, also the help.
expect_full() {
    local got=0
    "$@" >/dev/full 2>err </dev/null || got=$?
    expect_equal 3 "$got" "$* >/dev/full"
    expect_text err 'No space left on device'
}
expect_full "$VARVE" --help
expect_full "$VARVE" help cat
expect_full "$VARVE" --version

finish
