#!/usr/bin/env bash
# What README.md shows: its C example is examples/hello.c, and compiles, runs and prints what stands there;
# and every file that it and the other documents link to is there.
set -euo pipefail

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

readme=$VARVE_SOURCE/README.md
fence='```'
sed -n "/^${fence}c\$/,/^$fence\$/p" "$readme" | sed '1d;$d' >hello.c
cmp hello.c "$VARVE_SOURCE/examples/hello.c" || fail "README.md's example is not examples/hello.c"

sanitize=()
[[ -z ${VARVE_SANITIZE:-} ]] || sanitize=("-fsanitize=$VARVE_SANITIZE")
read -ra modules <<<"libisal $(sed -n 's/^Requires.private: //p' "$VARVE_BUILD/packaging/varve.pc")"
read -ra libraries <<<"$(pkg-config --libs "${modules[@]}")"
"$CC" -std=c11 -Wall -Wextra -Werror "${sanitize[@]}" -I"$VARVE_SOURCE/include" hello.c \
    "$VARVE_BUILD/libvarve.a" "${libraries[@]}" -pthread -o hello
sed -n '/^    \$ \.\/hello$/,/^$/p' "$readme" | sed -n 's/^    \([^$].*\)/\1/p' >want
[[ -s want ]] || fail "README.md does not say what the example prints"
./hello | cmp - want || fail "the example does not print what README.md says"

# links FILE: what it links to beside web addresses, one a line.
links() {
    grep -o '](\([^)#]*\)[^)]*)' "$1" | sed 's/^](//; s/[#)].*//' | grep -v '^[a-z]*:' | grep -v '^$' || true
}
for file in "$VARVE_SOURCE"/{README,CONTRIBUTING,CHANGELOG,docs/*,docs/decisions/*}.md; do
    while read -r target; do
        [[ -e ${file%/*}/$target ]] || fail "${file#"$VARVE_SOURCE/"}: $target is not there"
    done < <(links "$file")
done
