/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wlog: numbered segments of one fixed size, zero before they are written, meant for memory mapping. A record
 * is a length, a checksum of the data alone, and the data; nothing says which record it is. Zeros end a
 * segment, and nothing but zeros.
 *
 * The header was copied from memory by the program that wrote it first: two of its fields hold whatever lay
 * there. Its data offset says 80, and the first record is at 89 all the same.
 */
#include <string.h>

#include "base/bytes.h"
#include "format/builtin.h"
#include "format/fields.h"

enum {
    HEADER_BYTES = 89,
    HEADER_VERSION = 4,
    HEADER_SIZE = 8,
    HEADER_DATA = 16,
    HEADER_CREATED = 32,
    HEADER_MODIFIED = 40,
    HEADER_RESERVED = 48,
    HEADER_FIELDS = 80,

    HEAD_BYTES = 8,
    AT_LENGTH = 0,
    AT_SUM = 4,

    VERSION = 1,
};

static const uint8_t magic[4] = {'W', 'L', 'O', 'G'};

static void name_put(uint64_t number, char *out)
{
    vv_name_put(out, "wal_", 6, number, ".log");
}

static enum varve_format_name name_get(const char *name, uint64_t *ret_number)
{
    return vv_name_get(name, "wal_", 6, ".log", ret_number) ? VARVE_NAME_SEGMENT : VARVE_NAME_NONE;
}

static void header_put(const struct varve_format_segment *segment, uint8_t *out)
{
    memset(out, 0, HEADER_BYTES);
    memcpy(out, magic, sizeof magic);
    vv_put_u32(out + HEADER_VERSION, VERSION);
    vv_put_u32(out + HEADER_SIZE, HEADER_FIELDS);
    vv_put_u64(out + HEADER_DATA, HEADER_FIELDS);
    vv_put_u64(out + HEADER_CREATED, segment->created_us);
    vv_put_u64(out + HEADER_MODIFIED, segment->created_us);
}

static enum varve_header_state header_get(const uint8_t *bytes, size_t have,
                                          struct varve_format_segment *ret_segment, const char **ret_reason)
{
    enum varve_header_state state =
        vv_header_look(bytes, have, HEADER_BYTES, magic, sizeof magic, ret_reason);

    memset(ret_segment, 0, sizeof *ret_segment);
    if (state != VARVE_HEADER_SOUND)
        return state;
    /* Told, and held against nothing: a clock that was set back must not make a log unreadable. */
    ret_segment->created_us = vv_get_u64(bytes + HEADER_CREATED);
    if (vv_get_u32(bytes + HEADER_VERSION) != VERSION) {
        *ret_reason = "its version is not 1";
        return VARVE_HEADER_VERSION;
    }
    if (vv_get_u32(bytes + HEADER_SIZE) != HEADER_FIELDS || vv_get_u64(bytes + HEADER_DATA) < HEADER_FIELDS) {
        *ret_reason = "its header does not have the header's size";
        return VARVE_HEADER_BAD;
    }
    if (!vv_is_zero(bytes + HEADER_RESERVED, HEADER_FIELDS - HEADER_RESERVED)) {
        *ret_reason = "reserved bytes of its header are not zero";
        return VARVE_HEADER_BAD;
    }
    return VARVE_HEADER_SOUND;
}

static void head_put(const struct varve_record *record, uint64_t payload_bytes,
                     const struct varve_format_stamp *stamp, uint8_t *out)
{
    (void)record;
    (void)stamp;
    vv_put_u32(out + AT_LENGTH, (uint32_t)payload_bytes);
}

static enum varve_found head_get(const uint8_t *bytes, struct varve_format_entry *entry)
{
    entry->payload_bytes = vv_get_u32(bytes + AT_LENGTH);
    if (entry->payload_bytes != 0)
        return VARVE_FOUND_RECORD;
    if (vv_get_u32(bytes + AT_SUM) == 0)
        return VARVE_FOUND_ZEROS;
    entry->reason = "a length of 0";
    return VARVE_FOUND_LENGTH;
}

const struct varve_format vv_format_wlog = {
    .size = sizeof vv_format_wlog,
    .name = "wlog",
    .summary = "segments of a fixed size, for memory mapping; the smallest record head",
    .traits = VARVE_FORMAT_FIXED | VARVE_FORMAT_REORDERS,
    .payload_min = 1,
    .payload_max = UINT32_MAX,
    .layout = VARVE_LAYOUT_NUMBERED,
    .folder = "wal",
    .segment_default = UINT64_C(1) << 20,
    .segment_min = 1024,
    .segment_max = UINT64_C(1) << 30,
    .name_put = name_put,
    .name_get = name_get,
    .header_bytes = HEADER_BYTES,
    .header_put = header_put,
    .header_get = header_get,
    .head_bytes = HEAD_BYTES,
    .sum = VARVE_SUM_CRC32,
    .sum_from = HEAD_BYTES,
    .sum_at = AT_SUM,
    .head_put = head_put,
    .head_get = head_get,
    .policy = VARVE_POLICY_TRUNCATE,
    .removal = VARVE_REMOVE_ZERO,
};
