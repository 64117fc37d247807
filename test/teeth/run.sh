#!/usr/bin/env bash
# Switches on one deliberate bug after the other and wants each to be found, by the instrument that teeth.txt
# names and with the words that it expects. Before that the same instruments must find nothing where there is
# nothing.
#
# usage: run.sh DIRECTORY [BUG...]      DIRECTORY: where varve_*_teeth are; all bugs by default
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=$1
shift
failed=0

# instrument SIZE PROGRAM [ARG...]: the size says how much a program is to do before it gives up.
instrument() {
    local size=$1 program=$2
    shift 2
    case $program in
    model) set -- "$@" --histories "$((size * 2))" ;;
    crash) set -- "$@" --states "$((size * 100))" --keep state ;;
    order) set -- "$@" --histories "$((size * 2))" ;;
    esac
    timeout 100 "$programs/varve_${program}_teeth" "$@" >out 2>&1
}

trim() {
    local text=$1
    text=${text#"${text%%[![:space:]]*}"}
    printf '%s' "${text%"${text##*[![:space:]]}"}"
}

declare -A sound
while IFS='|' read -r tooth arguments expected; do
    tooth=$(trim "$tooth") arguments=$(trim "$arguments") expected=$(trim "$expected")
    [[ -n $tooth && $tooth != '#'* ]] || continue
    [[ $# -eq 0 || " $* " == *" $tooth "* ]] || continue
    read -ra words <<<"${arguments/--watchdog 3/}"
    if [[ -z ${sound[${words[*]}]:-} ]]; then
        sound[${words[*]}]=yes
        if ! instrument 2 "${words[@]}" 2>/dev/null; then
            echo "${words[*]} finds something where there is no bug:"
            tail -n 5 out
            failed=1
        fi
    fi
    read -ra words <<<"$arguments"
    started=$SECONDS
    if VARVE_TOOTH=$tooth instrument 200 "${words[@]}" 2>/dev/null; then
        echo "$tooth: NOT FOUND by $arguments"
        failed=1
    elif ! found=$(grep -E -m 1 -- "$expected" out); then
        echo "$tooth: $arguments fails, and says nothing of it:"
        tail -n 5 out
        failed=1
    else
        printf '%-24s found by %s in %d s: %.160s\n' "$tooth" "$arguments" $((SECONDS - started)) "$found"
    fi
done <"$here/teeth.txt"
exit "$failed"
