/* SPDX-License-Identifier: Apache-2.0 */
/* VARVE <-> text. One form only: what decode accepts is what encode writes, byte for byte. */
#include "format/side.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc.h"
#include "base/error.h"

static const char title_stem[] = "varve beside ";

size_t vv_side_encode(const struct vv_side *side, char *out)
{
    int len =
        snprintf(out, VV_SIDE_BYTES_MAX,
                 "%s1\nformat %s\nfirst %" PRIu64 "\nfirst_lsn %" PRIu64 "\nanchor %" PRIu64
                 "\nanchor_lsn %" PRIu64 "\n",
                 title_stem, side->format, side->first, side->first_lsn, side->anchor, side->anchor_lsn);

    len += snprintf(out + len, VV_SIDE_BYTES_MAX - (size_t)len, "crc32c %08" PRIx32 "\n",
                    vv_crc32c(0, out, (size_t)len));
    return (size_t)len;
}

/* Leniently: the caller encodes the result again and compares. */
static int parse(const char *text, struct vv_side *s)
{
    int version;

    memset(s, 0, sizeof *s);
    return sscanf(text,
                  "varve beside %d format %31s first %" SCNu64 " first_lsn %" SCNu64 " anchor %" SCNu64
                  " anchor_lsn %" SCNu64,
                  &version, s->format, &s->first, &s->first_lsn, &s->anchor, &s->anchor_lsn) == 6 &&
           s->first_lsn != 0;
}

/* Whether the last line carries the right checksum of all before it, whatever that says. */
static int checks(const char *text, size_t len)
{
    char line[32];
    size_t line_bytes = strlen("crc32c 00000000\n");

    if (len <= line_bytes)
        return 0;
    snprintf(line, sizeof line, "crc32c %08" PRIx32 "\n", vv_crc32c(0, text, len - line_bytes));
    return memcmp(text + len - line_bytes, line, line_bytes) == 0;
}

int vv_side_decode(const char *text, size_t len, struct vv_side *ret_side, struct varve_error *ret_error)
{
    char copy[VV_SIDE_BYTES_MAX + 1], again[VV_SIDE_BYTES_MAX];
    struct vv_side side;

    if (len > VV_SIDE_BYTES_MAX || memchr(text, 0, len))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "VARVE: %zu bytes that are not facts of a log",
                            len);
    memcpy(copy, text, len);
    copy[len] = 0;
    if (strncmp(copy, title_stem, strlen(title_stem)) != 0)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "VARVE: does not begin with '%s'", title_stem);
    if (!checks(text, len))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "VARVE: its checksum does not match");
    if (!parse(copy, &side) || vv_side_encode(&side, again) != len || memcmp(again, text, len) != 0)
        return vv_error_set(ret_error, VARVE_E_VERSION, 0,
                            "VARVE: is sound and has lines that this version does not know");
    *ret_side = side;
    return 0;
}
