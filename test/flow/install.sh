#!/usr/bin/env bash
# What `make install` puts down is enough for a stranger: a small program compiles, links and runs through
# pkg-config and through CMake, with the shared and with the static library, from a tree that DESTDIR moved.
set -euo pipefail

root=$PWD/root
prefix=/opt/varve
tree=$root$prefix

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

make -C "$VARVE_SOURCE" install DESTDIR="$root" PREFIX=$prefix INSTALL_BUILD="$PWD/build" >install.log 2>&1 ||
    { cat install.log; fail "make install"; }

libdir=$(dirname "$(find "$tree" -name libvarve.a)")
for file in include/varve/varve.h bin/varve share/doc/varve/LICENSE; do
    [[ -e $tree/$file ]] || fail "$file is not there"
done
for page in "$VARVE_SOURCE"/docs/man/*.1; do
    [[ ! -e $page || -e $tree/share/man/man1/${page##*/} ]] || fail "${page##*/} is not there"
done
if [[ -e $VARVE_SOURCE/packaging/completion/varve.bash ]]; then
    [[ -e $tree/share/bash-completion/completions/varve ]] || fail "the completion is not there"
fi
outside=$(find "$root" -not -type d -not -path "$tree/*")
[[ -z $outside ]] || fail "outside the prefix: $outside"
! grep -rqI "$PWD/build" "$tree" || fail "the build directory is named in what was installed"
objdump -p "$libdir/libvarvekv.so" | grep -q 'SONAME *libvarvekv.so.0$' || fail "the SONAME of libvarvekv"
objdump -p "$libdir/libvarve.so" | grep -q 'SONAME *libvarve.so.0$' || fail "the SONAME"

cat >main.c <<'C'
#include <stdio.h>
#include <string.h>
#include <varve/varve.h>

int main(void)
{
    puts(varve_version());
    return strcmp(varve_version(), VARVE_VERSION_STRING) != 0;
}
C

# pkg-config, told where the tree was moved to.
export PKG_CONFIG_PATH=$libdir/pkgconfig
pc() { pkg-config --define-variable=prefix="$tree" "$@" varve; }
version=$(pc --modversion)
read -ra cflags <<<"$(pc --cflags)"
read -ra libs <<<"$(pc --libs)"
"$CC" -std=c11 -Wall -Werror "${cflags[@]}" main.c "${libs[@]}" -o by-pc-shared
[[ $(LD_LIBRARY_PATH=$libdir ./by-pc-shared) == "$version" ]] || fail "pkg-config, shared"

read -ra libs <<<"$(pc --static --libs | sed 's/-lvarve/-l:libvarve.a/')"
"$CC" -std=c11 -Wall -Werror "${cflags[@]}" main.c "${libs[@]}" -o by-pc-static
[[ $(./by-pc-static) == "$version" ]] || fail "pkg-config, static"
! ldd by-pc-static | grep -q libvarve || fail "the static program wants the shared library"

# The second library, which brings the first.
cat >txn.c <<'C'
#include <varve/txn.h>

int main(void)
{
    varve_txns_close(0);
    return varve_txn_action_name(VARVE_TXN_COMMITTED)[0] != 'c';
}
C
pckv() { pkg-config --define-variable=prefix="$tree" "$@" varvekv; }
read -ra libs <<<"$(pckv --libs)"
"$CC" -std=c11 -Wall -Werror "${cflags[@]}" txn.c "${libs[@]}" -o by-pc-kv
LD_LIBRARY_PATH=$libdir ./by-pc-kv || fail "pkg-config, libvarvekv"
read -ra libs <<<"$(pckv --static --libs | sed 's/-lvarvekv/-l:libvarvekv.a/; s/-lvarve /-l:libvarve.a /')"
"$CC" -std=c11 -Wall -Werror "${cflags[@]}" txn.c "${libs[@]}" -o by-pc-kv-static
./by-pc-kv-static || fail "pkg-config, libvarvekv, static"
! ldd by-pc-kv-static | grep -q libvarve || fail "the static program wants a shared library of ours"

# CMake, both targets at once.
mkdir consumer
mv main.c consumer
cat >consumer/CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.21)
project(consumer LANGUAGES C)
find_package(varve 0.1 REQUIRED CONFIG)
add_executable(shared main.c)
target_link_libraries(shared PRIVATE varve::varve)
add_executable(static main.c)
target_link_libraries(static PRIVATE varve::varve_static)
add_executable(kv ../txn.c)
target_link_libraries(kv PRIVATE varve::varvekv)
add_executable(kv_static ../txn.c)
target_link_libraries(kv_static PRIVATE varve::varvekv_static)
CMAKE
if ! { cmake -G Ninja -S consumer -B consumer/build -DCMAKE_PREFIX_PATH="$tree" &&
    cmake --build consumer/build; } >cmake.log 2>&1; then
    cat cmake.log
    fail "the CMake consumer"
fi
[[ $(consumer/build/shared) == "$version" ]] || fail "CMake, shared"
[[ $(consumer/build/static) == "$version" ]] || fail "CMake, static"
consumer/build/kv || fail "CMake, libvarvekv"
consumer/build/kv_static || fail "CMake, libvarvekv, static"
! ldd consumer/build/static | grep -q libvarve || fail "the static CMake program wants the shared library"
