/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a streamed transaction that are no part of it, and the types of all five. Little-endian.
 *
 *     begin    u32 version, u32 zero
 *     commit   u32 version, u32 zero, u64 LSN of the begin, u64 parts, u64 units, u64 bytes of all parts
 *     abort    u32 version, u32 reason, u64 LSN of the begin
 *
 * A whole transaction and a part hold what their user puts there: a writeset, or operations of src/kv.
 */
#ifndef VV_TXN_CONTROL_H
#define VV_TXN_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"

/* What is added to the first type. */
enum vv_control_type {
    VV_CONTROL_WHOLE = 0,
    VV_CONTROL_BEGIN = 1,
    VV_CONTROL_PART = 2,
    VV_CONTROL_COMMIT = 3,
    VV_CONTROL_ABORT = 4,
};

enum {
    VV_CONTROL_VERSION = 1,
    VV_CONTROL_BEGIN_BYTES = 8,
    VV_CONTROL_COMMIT_BYTES = 40,
    VV_CONTROL_ABORT_BYTES = 16,
    VV_CONTROL_BYTES_MAX = VV_CONTROL_COMMIT_BYTES,
};

enum vv_abort_reason {
    VV_ABORT_ASKED = 0,
    VV_ABORT_TIME = 1,
};

struct vv_control {
    uint32_t reason;              /* abort */
    uint64_t begin_lsn;           /* commit, abort */
    uint64_t parts, units, bytes; /* commit */
};

/* Writes it to `out`, VV_CONTROL_BYTES_MAX, and returns its length. */
size_t vv_control_put(enum vv_control_type type, const struct vv_control *control, uint8_t *out);

/* Errors: VERSION; CORRUPT, and *ret_why, static, says why. */
int vv_control_get(enum vv_control_type type, const void *payload, size_t bytes,
                   struct vv_control *ret_control, const char **ret_why);

#endif
