/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stra: growing numbered segments, one record for each committed transaction. The length counts what follows
 * it and is covered by no checksum. The payload is a writeset (varve/writeset.h) to those who use it as the
 * format's own project does; the log takes any bytes.
 *
 * An id of 0 with a run of zeros is how a record without a transaction is written, and read.
 */
#include "format/builtin.h"

#include <string.h>

#include "base/bytes.h"
#include "format/fields.h"

enum {
    HEADER_BYTES = 32,
    HEADER_VERSION = 4,
    HEADER_NUMBER = 8,
    HEADER_UUID = 16,

    HEAD_BYTES = 37,
    AT_LENGTH = 0,
    AT_VERSION = 4,
    AT_TXN = 5,
    AT_RUN = 13,
    AT_TIME = 29,

    VERSION = 1,
    /* What the length field counts besides the payload. */
    AROUND = HEAD_BYTES - 4 + 4,
};

static const uint8_t magic[4] = {'S', 'T', 'R', 'A'};

static void name_put(uint64_t number, char *out)
{
    vv_name_put(out, "wal-", 6, number, ".seg");
}

static enum varve_format_name name_get(const char *name, uint64_t *ret_number)
{
    return vv_name_get(name, "wal-", 6, ".seg", ret_number) ? VARVE_NAME_SEGMENT : VARVE_NAME_NONE;
}

static void header_put(const struct varve_format_segment *segment, uint8_t *out)
{
    memcpy(out, magic, sizeof magic);
    vv_put_u32(out + HEADER_VERSION, VERSION);
    vv_put_u64(out + HEADER_NUMBER, segment->number);
    memcpy(out + HEADER_UUID, segment->uuid, sizeof segment->uuid);
}

static enum varve_header_state header_get(const uint8_t *bytes, size_t have,
                                          struct varve_format_segment *ret_segment, const char **ret_reason)
{
    enum varve_header_state state =
        vv_header_look(bytes, have, HEADER_BYTES, magic, sizeof magic, ret_reason);

    memset(ret_segment, 0, sizeof *ret_segment);
    if (state != VARVE_HEADER_SOUND)
        return state;
    ret_segment->number = vv_get_u64(bytes + HEADER_NUMBER);
    memcpy(ret_segment->uuid, bytes + HEADER_UUID, sizeof ret_segment->uuid);
    if (vv_get_u32(bytes + HEADER_VERSION) != VERSION) {
        *ret_reason = "its version is not 1";
        return VARVE_HEADER_VERSION;
    }
    return VARVE_HEADER_SOUND;
}

static void head_put(const struct varve_record *record, uint64_t payload_bytes,
                     const struct varve_format_stamp *stamp, uint8_t *out)
{
    bool txn = record->flags & VARVE_RECORD_TXN;

    vv_put_u32(out + AT_LENGTH, (uint32_t)(AROUND + payload_bytes));
    out[AT_VERSION] = VERSION;
    vv_put_u64(out + AT_TXN, txn ? record->txn_id : 0);
    if (txn)
        memcpy(out + AT_RUN, record->origin, VARVE_ORIGIN_BYTES);
    else
        memset(out + AT_RUN, 0, VARVE_ORIGIN_BYTES);
    vv_put_u64(out + AT_TIME, stamp->time);
}

static enum varve_found head_get(const uint8_t *bytes, struct varve_format_entry *entry)
{
    uint32_t length = vv_get_u32(bytes + AT_LENGTH);

    entry->version_unknown = bytes[AT_VERSION] != VERSION;
    entry->txn_id = vv_get_u64(bytes + AT_TXN);
    memcpy(entry->origin, bytes + AT_RUN, VARVE_ORIGIN_BYTES);
    entry->time = vv_get_u64(bytes + AT_TIME);
    if (!vv_is_zero(bytes + AT_TXN, AT_TIME - AT_TXN))
        entry->flags = VARVE_RECORD_TXN;
    if (length < AROUND) {
        entry->reason = "a length below 37";
        return VARVE_FOUND_LENGTH;
    }
    entry->payload_bytes = length - AROUND;
    return VARVE_FOUND_RECORD;
}

const struct varve_format vv_format_stra = {
    .size = sizeof vv_format_stra,
    .name = "stra",
    .summary = "growing segments, a record for each committed transaction",
    .carries = VARVE_FIELD_TIME | VARVE_FIELD_TXN | VARVE_FIELD_ORIGIN | VARVE_FIELD_UUID | VARVE_FIELD_CODEC,
    .traits = VARVE_FORMAT_ALONE,
    .time_unit_ns = 1000,
    .payload_max = UINT32_MAX - AROUND,
    .layout = VARVE_LAYOUT_NUMBERED,
    .folder = "WAL",
    .segment_default = UINT64_C(64) << 20,
    .segment_min = 1024,
    .segment_max = VV_SEGMENT_LIMIT,
    .name_put = name_put,
    .name_get = name_get,
    .header_bytes = HEADER_BYTES,
    .header_put = header_put,
    .header_get = header_get,
    .head_bytes = HEAD_BYTES,
    .tail_bytes = 4,
    .sum = VARVE_SUM_CRC32,
    .sum_from = AT_VERSION,
    .sum_at = -1,
    .head_put = head_put,
    .head_get = head_get,
    .policy = VARVE_POLICY_TRUNCATE,
    .removal = VARVE_REMOVE_CUT,
    .meta_name = "MANIFEST",
    .meta_temp = "MANIFEST.tmp",
    .meta_put = vv_stra_manifest_put,
    .meta_get = vv_stra_manifest_get,
};
