#!/usr/bin/env bash
# Colour and progress: on a terminal, and nowhere else.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

seq 100 | "$VARVE" append -q log

# on_terminal COMMAND...: standard output and standard error are one terminal; what it got is in ./out.
on_terminal() {
    python3 -c 'import os, pty, sys
def read(fd):
    data = os.read(fd, 65536)
    seen.write(data)
    return data
with open("out", "wb") as seen:
    sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], read)))' "$@" </dev/null >/dev/null
}
escape=$'\033'

unset NO_COLOR
export TERM=xterm
on_terminal "$VARVE" verify log
expect_text out "log: $escape\[32mclean end$escape\[0m"
on_terminal "$VARVE" dump --no-records log
expect_text out "$escape\[1msegment 1"
NO_COLOR=1 on_terminal "$VARVE" verify log
expect_no_text out "$escape\[[0-9]+m"
NO_COLOR='' on_terminal "$VARVE" verify log
expect_text out "$escape\[[0-9]+m"
TERM=dumb on_terminal "$VARVE" verify log
expect_no_text out "$escape\[[0-9]+m"
on_terminal env -u TERM "$VARVE" verify log
expect_no_text out "$escape\[[0-9]+m"
on_terminal "$VARVE" verify --json log
expect_no_text out "$escape\[[0-9]+m"
on_terminal "$VARVE" cat log
expect_no_text out "$escape\[[0-9]+m"
expect 0 "$VARVE" verify log
expect_no_text out "$escape\[[0-9]+m"

# Input that comes slowly enough for a progress bar to be worth it, from a file whose size is known. strict
# makes each record wait for the disk; the bar comes after half a second.
find /usr -xdev 2>/dev/null | head -n 200000 >lines
slow() {
    "$VARVE" append -q --durability strict slow.log <lines
}
export -f slow
on_terminal timeout -s INT 5 bash -c slow
if grep -q 'append \[' out; then
    expect_text out "append \[#*-*\] +[0-9]+ %  .*/s  [0-9]+:[0-9]{2} left"
    expect_text out "$escape\[K\$"
else
    fail 'no progress bar in five seconds on a terminal'
fi
timeout -s INT 2 bash -c slow >out 2>err
expect_empty err
expect_empty out
TERM=dumb on_terminal timeout -s INT 2 bash -c slow
expect_no_text out 'append \['

finish
