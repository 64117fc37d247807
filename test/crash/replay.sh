#!/usr/bin/env bash
# A state that the log fails on is left behind, and fails again from what was left.
set -uo pipefail

program=$VARVE_BUILD/test/varve_crash

if "$program" --scenario strict --tooth ack_before_sync --states 2000 --keep kept 2>first.txt; then
    echo "a log that acknowledges before it syncs was not found out"
    exit 1
fi
[[ -d kept/log && -f kept/case ]] || exit 1
if "$program" --replay kept/case 2>again.txt; then
    echo "the state that was left does not fail again"
    exit 1
fi
# The same words both times.
why=$(sed -n 's/^scenario strict: state [0-9]* at [0-9]* of [0-9]*: //p' first.txt)
[[ -n $why ]] && grep -qF "$why" again.txt && exit 0
echo "said first: $why"
echo "and then:"
cat again.txt
exit 1
