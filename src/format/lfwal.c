/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lfwal: entries of interleaved transactions, ended by commit or abort. Type, transaction and time are part
 * of an entry's data, so an append that gives them must agree with it. The head's version is covered by no
 * checksum, and neither is the length.
 *
 * The file `wal.log`, which the format's own program writes, has the number 0: numbered segments follow it.
 */
#include <string.h>

#include "base/bytes.h"
#include "format/builtin.h"
#include "format/fb.h"
#include "format/fields.h"

enum {
    HEAD_BYTES = 13,
    AT_LENGTH = 0,
    AT_SUM = 8,
    AT_VERSION = 12,

    VERSION = 1,
    DATA_MIN = 20,
};

#define DATA_MAX (UINT64_C(1) << 30)

enum entry_type {
    INSERT = 0,
    UPDATE = 1,
    DELETE = 2,
    COMMIT = 3,
    ABORT = 4,
};

static const char first_name[] = "wal.log";

static void name_put(uint64_t number, char *out)
{
    if (number == 0)
        memcpy(out, first_name, sizeof first_name);
    else
        vv_name_put(out, "wal-", 8, number, ".log");
}

static enum varve_format_name name_get(const char *name, uint64_t *ret_number)
{
    if (strcmp(name, first_name) == 0) {
        *ret_number = 0;
        return VARVE_NAME_SEGMENT;
    }
    return vv_name_get(name, "wal-", 8, ".log", ret_number) ? VARVE_NAME_SEGMENT : VARVE_NAME_NONE;
}

static void head_put(const struct varve_record *record, uint64_t payload_bytes,
                     const struct varve_format_stamp *stamp, uint8_t *out)
{
    (void)record;
    (void)stamp;
    vv_put_u64(out + AT_LENGTH, payload_bytes);
    out[AT_VERSION] = VERSION;
}

static enum varve_found head_get(const uint8_t *bytes, struct varve_format_entry *entry)
{
    entry->payload_bytes = vv_get_u64(bytes + AT_LENGTH);
    entry->version_unknown = bytes[AT_VERSION] != VERSION;
    if (entry->payload_bytes < DATA_MIN || entry->payload_bytes > DATA_MAX) {
        entry->reason = "a length below 20 or above 1 GiB";
        return VARVE_FOUND_LENGTH;
    }
    return VARVE_FOUND_RECORD;
}

static int check(const struct iovec *pieces, int count, struct varve_format_entry *entry)
{
    struct vv_fb fb;
    uint64_t key_bytes;
    uint32_t type;

    vv_fb_init(&fb, pieces, count);
    type = vv_fb_u32(&fb);
    entry->txn_id = vv_fb_u64(&fb);
    entry->time = vv_fb_u64(&fb);
    if (type > ABORT)
        vv_fb_fail(&fb, "an entry of no known kind");
    if (type <= DELETE) {
        key_bytes = vv_fb_u64(&fb);
        vv_fb_text(&fb, key_bytes);
        if (key_bytes == 0)
            vv_fb_fail(&fb, "an empty key");
        vv_fb_bytes(&fb, vv_fb_u64(&fb));
        if (type == UPDATE)
            vv_fb_bytes(&fb, vv_fb_u64(&fb));
    }
    if (!vv_fb_end(&fb)) {
        entry->reason = fb.error;
        return -1;
    }
    entry->type = (uint8_t)type;
    entry->flags = VARVE_RECORD_TXN;
    return 0;
}

const struct varve_format vv_format_lfwal = {
    .size = sizeof vv_format_lfwal,
    .name = "lfwal",
    .summary = "entries of interleaved transactions, with commit and abort",
    .carries = VARVE_FIELD_TYPE | VARVE_FIELD_TXN | VARVE_FIELD_TIME,
    .derives = VARVE_FIELD_TYPE | VARVE_FIELD_TXN | VARVE_FIELD_TIME,
    .traits = VARVE_FORMAT_ALONE,
    .time_unit_ns = UINT64_C(1000000000),
    .type_max = ABORT,
    .payload_min = DATA_MIN,
    .payload_max = DATA_MAX,
    .layout = VARVE_LAYOUT_NUMBERED,
    .folder = "",
    .segment_default = UINT64_C(64) << 20,
    .segment_min = 1024,
    .segment_max = VV_SEGMENT_LIMIT,
    .name_put = name_put,
    .name_get = name_get,
    .head_bytes = HEAD_BYTES,
    .sum = VARVE_SUM_CRC32,
    .sum_from = HEAD_BYTES,
    .sum_at = AT_SUM,
    .head_put = head_put,
    .head_get = head_get,
    .check = check,
    .policy = VARVE_POLICY_TRUNCATE,
    .removal = VARVE_REMOVE_CUT,
};
