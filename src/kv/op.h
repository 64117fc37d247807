/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the engine: operations, one behind the other, all of them or none. Little-endian.
 *
 *     u8 kind, u8 flags, u16 key length, u32 value length, [u64 expires, microseconds since 1970 UTC], key,
 * value
 *
 * A key comes once in a record, so that an operation is known by the record's LSN and its key.
 */
#ifndef VV_KV_OP_H
#define VV_KV_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VV_OP_RECORD 1 /* the type of such records */

enum vv_op_kind {
    VV_OP_SET = 1,  /* the whole value */
    VV_OP_LOCK = 2, /* the whole value: the owner */
    VV_OP_DELETE = 3,
    VV_OP_EXPIRED = 4, /* as DELETE; its time was over */
    VV_OP_APPEND = 5,  /* bytes behind those that are there */
    VV_OP_EXPIRE = 6,  /* another time, or none */
    VV_OP_EVENTS = 7,  /* events behind those of a stream: u64 position of the first, and for each u32 length,
                          data */
    VV_OP_TRIM = 8,    /* u64 position: a stream's events before it go */
    VV_OP_EVICTED = 9, /* as DELETE; there was no room for it */
    VV_OP_PATCH = 10,  /* u64 offset: the bytes behind it in the place of those that are there, and zeros in
                          between where there were none */
};

enum {
    VV_OP_EXPIRES = 1 << 0, /* flags */
    VV_OP_NEW = 1 << 1,     /* EVENTS: they are the first of a stream; `expires_us` is that of the stream */
    VV_OP_POSITION = 8,     /* bytes of a position */
    VV_OP_HEAD_MAX = 16,
};

/* Why it is made, for formats that have a word for that. In no record of our own. */
enum vv_intent {
    VV_INTENT_NONE = 0,
    VV_INTENT_ADD,    /* intent_number to a decimal integer that is written as it would be printed */
    VV_INTENT_ABSENT, /* only because nothing was there */
    VV_INTENT_EXTEND, /* a lock, by its owner */
    VV_INTENT_UNLOCK, /* likewise; intent_value: who that is */
};

struct vv_op {
    enum vv_op_kind kind;
    enum vv_intent intent;
    int64_t intent_number;
    uint64_t now_us; /* when it was decided, where a format tells; else 0 */
    const void *intent_value;
    size_t intent_bytes;
    bool is_new;         /* VV_OP_NEW */
    uint64_t expires_us; /* 0: never */
    const void *key, *value;
    size_t key_bytes, value_bytes;
};

/* Writes what stands before the key to `out`, VV_OP_HEAD_MAX, and returns its length. */
size_t vv_op_head(const struct vv_op *op, uint8_t *out);

static inline size_t vv_op_bytes(const struct vv_op *op)
{
    return (op->expires_us ? 16u : 8u) + op->key_bytes + op->value_bytes;
}

/* Writes all of it, vv_op_bytes. Returns where it ends. */
uint8_t *vv_op_put(const struct vv_op *op, uint8_t *out);

/* Takes the next event out of a value of VV_OP_EVENTS, of which *at is behind the position. False: there is
 * none, and then *at is the end unless the value is none of such an operation. */
bool vv_op_event(const uint8_t **at, const uint8_t *end, const void **ret_data, size_t *ret_bytes);

/* Reads the operation at *at, and moves it. NULL, or what is wrong, static. */
const char *vv_op_get(const uint8_t **at, const uint8_t *end, struct vv_op *ret_op);

#endif
