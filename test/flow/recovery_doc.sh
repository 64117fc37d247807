#!/usr/bin/env bash
# What docs/RECOVERY.md shows is what the program says: each case is made, and each line of output that stands
# there is looked for in what came out, but for its numbers.
. "${VARVE_SOURCE:?}/test/lib/tool.sh"

touch said
# try COMMAND...: what it says goes to ./said, under the name that the document uses.
try() {
    "$@" >out.txt 2>&1 </dev/null
    sed 's#events#/srv/events#g' out.txt >>said
}
# Case N begins with a copy of log $1 as ./events.
begin() {
    rm -rf events
    cp -r "$1" events
}
first=events/wal-0000000000000001.seg

# From files: a slow pipe may leave a last batch, and with it a last frame, that is too short to be torn.
seq -f 'line %.0f' 30000 >lines.small
seq -f 'line %.0f' 80000 >lines
"$VARVE" append -q --segment-bytes 1M --batch 500 small <lines.small
"$VARVE" append -q --segment-bytes 1M --batch 500 large <lines
cp -r small crashed
python3 - crashed/MANIFEST <<'PY'
import re, sys
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
lines = re.sub("clean 1\nlast_lsn .*", "clean 0\nlast_lsn 0", open(sys.argv[1]).read()).split("\n")[:7]
text = "\n".join(lines) + "\n"
open(sys.argv[1], "w").write(text + f"crc32c {crc32c(text.encode()):08x}\n")
PY

# torn
tear=$(nth crashed frame offset -1)
begin crashed
truncate -s $((tear + 5120)) "$first"
truncate -s 1048576 "$first"
try "$VARVE" verify events
try "$VARVE" append --policy halt events
try "$VARVE" append events
expect 0 "$VARVE" append events < <(echo more)
expect 0 "$VARVE" verify --strict events

# corrupt, and the loss accepted
begin small
flip "$first" 400000
try "$VARVE" verify events
try "$VARVE" append events
try "$VARVE" cat --policy skip events
expect 0 "$VARVE" append --policy skip events </dev/null
try cat events/lost/index
try "$VARVE" append events
expect_text out.txt '[(]set aside before, in lost/[)]'
expect 0 "$VARVE" append events </dev/null
expect 1 "$VARVE" verify events
begin small
flip events/MANIFEST 30
try "$VARVE" append events
rm events/MANIFEST
try "$VARVE" append events
expect 0 "$VARVE" append --policy skip events </dev/null
expect 0 "$VARVE" verify events

begin small
"$VARVE" pin events set backup
flip events/PINS 20
try "$VARVE" append events
expect 0 "$VARVE" append --policy skip events </dev/null

# hole: the last frames of the first segment overwritten with zeros
begin large
last=$(nth "$first" frame offset -1)
truncate -s "$last" "$first"
truncate -s 1048576 "$first"
try "$VARVE" verify events
try "$VARVE" append events

# missing segment, in the middle; it comes back
begin large
mv events/wal-0000000000000002.seg aside
try "$VARVE" verify events
try "$VARVE" append events
mv aside events/wal-0000000000000002.seg
expect 0 "$VARVE" verify events

# missing segment, at the end
begin large
rm -f events/wal-000000000000000[3-9].seg
try "$VARVE" verify events

# foreign
begin large
seq 80000 | "$VARVE" append -q --segment-bytes 1M --batch 500 other
cp other/wal-0000000000000002.seg events/
try "$VARVE" append events
for policy in halt skip; do
    expect 1 "$VARVE" append --policy "$policy" events </dev/null
done

# locked
begin small
mkfifo in
"$VARVE" append -q events <in &
writer=$!
exec 5>in
sees_writer() {
    "$VARVE" stat --json events >json && [[ $(field json writer_alive) == true ]]
}
until_true sees_writer
try "$VARVE" append events
exec 5>&-
wait "$writer"

# encrypted, and no key
without='$^'
"$VARVE" keygen key 2>err
rm -rf events
if seq 1000 | "$VARVE" append -q --codec aes-256-gcm --key-file key --batch 500 events 2>err; then
    try "$VARVE" append events
    expect 0 "$VARVE" verify events
else
    expect_text err 'must be one of'
    without='key' # this build has no OpenSSL
fi

# newer
begin small
python3 - "$first" <<'PY'
import re, sys
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
with open(sys.argv[1], "r+b") as file:
    header = bytearray(file.read(124))
    header[8] = 2
    file.seek(0)
    file.write(header + crc32c(header).to_bytes(4, "little"))
PY
try "$VARVE" append events

# ---- the document ----

numbers() {
    sed -E 's/(crc32c|salt) [0-9a-f]+/\1 N/g; s/[0-9]+/N/g; s/records? (is|are) gone/N gone/'
}
output='^(varve |what to do: |/srv/events: |  (gone|what to do) |lsn )'
sed -n 's/^    //p' "$VARVE_SOURCE/docs/RECOVERY.md" | grep -E "$output" | grep -v "$without" |
    numbers | sort -u >shown
expect_equal yes "$([[ $(wc -l <shown) -ge 15 ]] && echo yes)" 'lines found in docs/RECOVERY.md'
numbers <said | sort -u >printed
comm -23 shown printed >unknown
[[ ! -s unknown ]] || fail 'in docs/RECOVERY.md, and never printed:' $'\n'"$(cat unknown)"
finish
