/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A damaged line must not take others with it: each has its own checksum, and what follows it begins behind a
 * newline, which no field can hold.
 */
#include "format/lost.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc.h"
#include "base/utf8.h"

#define TAIL_BYTES (sizeof " crc32c 00000000" - 1)

static const char *const whats[] = {
    [VV_LOST_CLEAN_END] = "clean end",
    [VV_LOST_TORN] = "torn",
    [VV_LOST_CORRUPT] = "corrupt",
    [VV_LOST_HOLE] = "hole",
    [VV_LOST_MISSING_SEGMENT] = "missing segment",
    [VV_LOST_FOREIGN] = "foreign",
    [VV_LOST_SET_ASIDE] = "set aside",
};

static const char *const states[] = {
    [VV_LOST_PENDING] = "pending",
    [VV_LOST_REQUEUING] = "requeuing",
    [VV_LOST_REQUEUED] = "requeued",
    [VV_LOST_DROPPED] = "dropped",
};

bool vv_lost_reason_ok(const char *reason)
{
    size_t len = strlen(reason);
    struct vv_utf8 utf8 = {0};

    if (len >= VV_LOST_REASON_BYTES || !vv_utf8_feed(&utf8, reason, len) || !vv_utf8_whole(&utf8))
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)reason[i] < 0x20 || reason[i] == 0x7f)
            return false;
    }
    return true;
}

size_t vv_lost_encode(const struct vv_lost_line *l, char *out)
{
    int len = snprintf(out, VV_LOST_LINE_BYTES,
                       "lsn %" PRIu64 " to %" PRIu64 " segment %" PRIu64 " offset %" PRIu64
                       " %s file %s id %" PRIu64 " %s from %" PRIu64 " to %" PRIu64 " trust %" PRIu32
                       " salt %016" PRIx64 " sector %" PRIu32 " time_us %" PRIu64 " repaired %d reason %s",
                       l->first, l->last, l->segment, l->offset, whats[l->what], l->file[0] ? l->file : "-",
                       l->id, states[l->state], l->from, l->to, l->trust, l->salt, l->sector_bytes,
                       l->time_us, l->repaired, l->reason[0] ? l->reason : "-");

    len += snprintf(out + len, VV_LOST_LINE_BYTES - (size_t)len, " crc32c %08" PRIx32 "\n",
                    vv_crc32c(0, out, (size_t)len));
    return (size_t)len;
}

/* Steps over one of the words, each followed by `behind`. */
static bool take_word(const char **at, const char *const *words, size_t count, const char *behind,
                      unsigned *ret_index)
{
    for (unsigned i = 0; i < count; i++) {
        size_t len = strlen(words[i]);

        if (strncmp(*at, words[i], len) == 0 && strncmp(*at + len, behind, strlen(behind)) == 0) {
            *at += len + strlen(behind);
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool take_fields(const char *text, struct vv_lost_line *l)
{
    unsigned what, state;
    int skip = -1, repaired;

    if (sscanf(text, "lsn %" SCNu64 " to %" SCNu64 " segment %" SCNu64 " offset %" SCNu64 " %n", &l->first,
               &l->last, &l->segment, &l->offset, &skip) != 4 ||
        skip < 0)
        return false;
    text += skip;
    if (!take_word(&text, whats, sizeof whats / sizeof whats[0], " file ", &what))
        return false;
    l->what = (enum vv_lost_what)what;
    skip = -1;
    if (sscanf(text, "%63s id %" SCNu64 " %n", l->file, &l->id, &skip) != 2 || skip < 0)
        return false;
    text += skip;
    if (!take_word(&text, states, sizeof states / sizeof states[0], " from ", &state))
        return false;
    l->state = (enum vv_lost_state)state;
    skip = -1;
    if (sscanf(text,
               "%" SCNu64 " to %" SCNu64 " trust %" SCNu32 " salt %" SCNx64 " sector %" SCNu32
               " time_us %" SCNu64 " repaired %d reason%n",
               &l->from, &l->to, &l->trust, &l->salt, &l->sector_bytes, &l->time_us, &repaired, &skip) != 7 ||
        skip < 0 || text[skip] != ' ' || strlen(text + skip + 1) >= sizeof l->reason)
        return false;
    l->repaired = repaired != 0;
    memcpy(l->reason, text + skip + 1, strlen(text + skip + 1) + 1);
    if (strcmp(l->file, "-") == 0)
        l->file[0] = 0;
    if (strcmp(l->reason, "-") == 0)
        l->reason[0] = 0;
    return true;
}

/* A name that leads nowhere else. */
static bool file_ok(const char *name)
{
    return strchr(name, '/') == NULL && name[0] != '.';
}

bool vv_lost_decode(const char *text, size_t len, struct vv_lost_line *ret_line)
{
    char copy[VV_LOST_LINE_BYTES], again[VV_LOST_LINE_BYTES];
    struct vv_lost_line line;

    if (len <= TAIL_BYTES || len >= sizeof copy || memchr(text, 0, len))
        return false;
    memset(&line, 0, sizeof line);
    memcpy(copy, text, len - TAIL_BYTES);
    copy[len - TAIL_BYTES] = 0;
    if (!take_fields(copy, &line) || line.id == 0 || !file_ok(line.file) || line.last + 1 < line.first)
        return false;
    if (vv_lost_encode(&line, again) != len + 1 || memcmp(again, text, len) != 0)
        return false;
    *ret_line = line;
    return true;
}
