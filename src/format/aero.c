/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aero: one file, records numbered 1, 2, 3 ..., each a whole document. The checksum covers all of a record
 * but itself, its length too. Anything but the end at a record's boundary halts.
 */
#include <string.h>

#include "base/bytes.h"
#include "format/builtin.h"
#include "format/fb.h"
#include "format/fields.h"

enum {
    HEAD_BYTES = 13,
    AT_LENGTH = 0,
    AT_TYPE = 4,
    AT_SEQUENCE = 5,

    AROUND = HEAD_BYTES + 4,
    FIELDS = 5,
    TEXTS = 4, /* of these; the last field is the document's body, any bytes */
    PAYLOAD_MIN = FIELDS * 4,
    TYPE_MAX = 2,
};

static const char file_name[] = "wal.log";

static void name_put(uint64_t number, char *out)
{
    (void)number;
    memcpy(out, file_name, sizeof file_name);
}

static enum varve_format_name name_get(const char *name, uint64_t *ret_number)
{
    if (strcmp(name, file_name) != 0)
        return VARVE_NAME_NONE;
    *ret_number = 1;
    return VARVE_NAME_SEGMENT;
}

static void head_put(const struct varve_record *record, uint64_t payload_bytes,
                     const struct varve_format_stamp *stamp, uint8_t *out)
{
    vv_put_u32(out + AT_LENGTH, (uint32_t)(AROUND + payload_bytes));
    out[AT_TYPE] = record->type;
    vv_put_u64(out + AT_SEQUENCE, stamp->lsn);
}

static enum varve_found head_get(const uint8_t *bytes, struct varve_format_entry *entry)
{
    uint32_t length = vv_get_u32(bytes + AT_LENGTH);

    entry->type = bytes[AT_TYPE];
    entry->lsn = vv_get_u64(bytes + AT_SEQUENCE);
    if (length < AROUND + PAYLOAD_MIN) {
        entry->reason = "a length below 37";
        return VARVE_FOUND_LENGTH;
    }
    entry->payload_bytes = length - AROUND;
    if (entry->type > TYPE_MAX) {
        entry->head_broken = 1;
        entry->reason = "a type above 2";
    } else if (entry->lsn == 0) {
        entry->head_broken = 1;
        entry->reason = "the sequence number 0";
    }
    return VARVE_FOUND_RECORD;
}

static int check(const struct iovec *pieces, int count, struct varve_format_entry *entry)
{
    struct vv_fb fb;

    vv_fb_init(&fb, pieces, count);
    for (int i = 0; i < TEXTS; i++)
        vv_fb_text(&fb, vv_fb_u32(&fb));
    vv_fb_bytes(&fb, vv_fb_u32(&fb));
    if (vv_fb_end(&fb))
        return 0;
    entry->reason = fb.error;
    return -1;
}

static const char *error_alias(int code)
{
    switch (code) {
    case VARVE_E_IO:
    case VARVE_E_NOSPC:
        return "AERO_WAL_APPEND_FAILED";
    case VARVE_E_SYNC:
        return "AERO_WAL_FSYNC_FAILED";
    case VARVE_E_CORRUPT:
    case VARVE_E_TORN:
    case VARVE_E_HOLE:
    case VARVE_E_MISSING_SEGMENT:
        return "AERO_WAL_CORRUPTION";
    default:
        return NULL;
    }
}

const struct varve_format vv_format_aero = {
    .size = sizeof vv_format_aero,
    .name = "aero",
    .summary = "one file of numbered whole documents; halts on any damage",
    .carries = VARVE_FIELD_LSN | VARVE_FIELD_TYPE,
    .traits = VARVE_FORMAT_ALONE,
    .type_max = TYPE_MAX,
    .payload_min = PAYLOAD_MIN,
    .payload_max = UINT32_MAX - AROUND,
    .layout = VARVE_LAYOUT_ONE_FILE,
    .folder = "wal",
    .segment_default = VV_SEGMENT_LIMIT,
    .segment_min = VV_SEGMENT_LIMIT,
    .segment_max = VV_SEGMENT_LIMIT,
    .name_put = name_put,
    .name_get = name_get,
    .head_bytes = HEAD_BYTES,
    .tail_bytes = 4,
    .sum = VARVE_SUM_CRC32,
    .sum_at = -1,
    .head_put = head_put,
    .head_get = head_get,
    .check = check,
    .durability = VARVE_STRICT,
    .policy = VARVE_POLICY_HALT,
    .removal = VARVE_REMOVE_CUT,
    .meta_name = "checkpoint.json",
    .meta_get = vv_aero_checkpoint_get,
    .error_alias = error_alias,
};
