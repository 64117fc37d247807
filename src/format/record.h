/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record inside a frame's raw body: 16 bytes of header, an optional transaction block of 24, the payload,
 * zeros to a multiple of 8. Pure. Its checksum starts from the log's UUID and the record's LSN, not from the
 * salt: so it moves to another segment as it is, and says of itself that it stands in its place.
 */
#ifndef VV_FORMAT_RECORD_H
#define VV_FORMAT_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define VV_RECORD_HEADER_BYTES 16u
#define VV_RECORD_TXN_BYTES    24u
#define VV_RECORD_ORIGIN_BYTES 16u
#define VV_RECORD_FLAG_TXN     1u
#define VV_RECORD_PAYLOAD_MAX  (UINT64_C(1) << 30)

struct vv_record {
    uint32_t crc;
    uint32_t payload_bytes;
    uint8_t type;
    uint8_t flags;
    uint32_t delta_us; /* after the frame's time */
    uint64_t txn_id;   /* with VV_RECORD_FLAG_TXN */
    const uint8_t *origin;
    const uint8_t *payload; /* both point into the body */
    uint32_t crc_computed;
};

enum vv_record_status {
    VV_RECORD_OK = 0,
    VV_RECORD_DAMAGED, /* its length fits and its checksum does not: the next one can still be looked at */
    VV_RECORD_LOST,    /* its length cannot be: nothing behind it can be found from here */
};

/* Bytes that a record takes in a body. */
uint64_t vv_record_bytes(uint64_t payload_bytes, int has_txn);

/* The state of a CRC-32C that has read the UUID; and one that has read the LSN as well. */
uint32_t vv_record_log_seed(const uint8_t *uuid);
uint32_t vv_record_seed(uint32_t log_seed, uint64_t lsn);

/* What stands before the payload: 16 or 40 bytes to `out`, without the checksum; returns how many. `origin`
 * is read when `flags` has VV_RECORD_FLAG_TXN. */
size_t vv_record_head(uint8_t *out, uint32_t payload_bytes, uint8_t type, uint8_t flags, uint32_t delta_us,
                      uint64_t txn_id, const uint8_t *origin);

/* Reads the record at body[offset], of `body_bytes` in all. *ret_record is filled when the length fits (OK
 * and DAMAGED), and *ret_next is the offset behind it then. */
enum vv_record_status vv_record_decode(const uint8_t *body, uint64_t body_bytes, uint64_t offset,
                                       uint32_t seed, struct vv_record *ret_record, uint64_t *ret_next);

#endif
