/* SPDX-License-Identifier: Apache-2.0 */
/* Records <-> bytes. In: a body whose length is known. Out: one record at a time, never past that length. */
#include "format/record.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"

enum {
    AT_CRC = 0,
    AT_LENGTH = 4,
    AT_TYPE = 8,
    AT_FLAGS = 9,
    AT_ZERO = 10,
    AT_DELTA = 12,
    AT_TXN_ID = 16,
    AT_ORIGIN = 24,
};

uint64_t vv_record_bytes(uint64_t payload_bytes, int has_txn)
{
    return vv_round_up(VV_RECORD_HEADER_BYTES + (has_txn ? VV_RECORD_TXN_BYTES : 0) + payload_bytes, 8);
}

uint32_t vv_record_log_seed(const uint8_t *uuid)
{
    return vv_crc32c(0, uuid, 16);
}

uint32_t vv_record_seed(uint32_t log_seed, uint64_t lsn)
{
    uint8_t bytes[8];

    vv_put_u64(bytes, lsn);
    return vv_crc32c(log_seed, bytes, sizeof bytes);
}

size_t vv_record_head(uint8_t *out, uint32_t payload_bytes, uint8_t type, uint8_t flags, uint32_t delta_us,
                      uint64_t txn_id, const uint8_t *origin)
{
    vv_put_u32(out + AT_LENGTH, payload_bytes);
    out[AT_TYPE] = type;
    out[AT_FLAGS] = flags;
    out[AT_ZERO] = 0;
    out[AT_ZERO + 1] = 0;
    vv_put_u32(out + AT_DELTA, delta_us);
    if (!(flags & VV_RECORD_FLAG_TXN))
        return VV_RECORD_HEADER_BYTES;
    vv_put_u64(out + AT_TXN_ID, txn_id);
    memcpy(out + AT_ORIGIN, origin, VV_RECORD_ORIGIN_BYTES);
    return VV_RECORD_HEADER_BYTES + VV_RECORD_TXN_BYTES;
}

enum vv_record_status vv_record_decode(const uint8_t *body, uint64_t body_bytes, uint64_t offset,
                                       uint32_t seed, struct vv_record *ret_record, uint64_t *ret_next)
{
    struct vv_record *r = ret_record;
    const uint8_t *at;
    uint64_t head, length, whole;

    if (offset > body_bytes || body_bytes - offset < VV_RECORD_HEADER_BYTES)
        return VV_RECORD_LOST;
    at = body + offset;
    length = vv_get_u32(at + AT_LENGTH);
    head = VV_RECORD_HEADER_BYTES + ((at[AT_FLAGS] & VV_RECORD_FLAG_TXN) ? VV_RECORD_TXN_BYTES : 0);
    whole = vv_round_up(head + length, 8);
    if (length > VV_RECORD_PAYLOAD_MAX || whole > body_bytes - offset)
        return VV_RECORD_LOST;

    memset(r, 0, sizeof *r);
    r->crc = vv_get_u32(at + AT_CRC);
    r->payload_bytes = (uint32_t)length;
    r->type = at[AT_TYPE];
    r->flags = at[AT_FLAGS];
    r->delta_us = vv_get_u32(at + AT_DELTA);
    if (r->flags & VV_RECORD_FLAG_TXN) {
        r->txn_id = vv_get_u64(at + AT_TXN_ID);
        r->origin = at + AT_ORIGIN;
    }
    r->payload = at + head;
    r->crc_computed = vv_crc32c(seed, at + 4, (size_t)(head + length) - 4);
    *ret_next = offset + whole;
    if (r->crc != r->crc_computed || (r->flags & ~VV_RECORD_FLAG_TXN) != 0)
        return VV_RECORD_DAMAGED;
    return VV_RECORD_OK;
}
