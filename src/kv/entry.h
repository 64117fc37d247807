/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry: a key with what it holds, in one piece of memory. It never changes: a write makes another one and
 * puts it in the place of the old.
 */
#ifndef VV_KV_ENTRY_H
#define VV_KV_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

enum vv_entry_type {
    VV_ENTRY_VALUE = 0,
    VV_ENTRY_LOCK = 1,   /* the value is the owner */
    VV_ENTRY_STREAM = 2, /* the value is a vv_stream (stream.h); its events are entries of their own */
    VV_ENTRY_EVENT = 3,  /* the key is the stream's, and the event's position behind it, big-endian */
    VV_ENTRY_STORED_LAST = VV_ENTRY_LOCK, /* of what the store lmdb has */
    VV_ENTRY_GONE = 15, /* there, in memory only: the key was removed, which is not folded yet; or, in no
                           shard, the key is removed by what is about to happen */
};

enum {
    VV_ENTRY_EXPIRES = 1 << 0, /* 8 bytes before the key say when */
    VV_EVENT_POSITION = 8,     /* bytes of the position */
    VV_ENTRY_SLOT = 16,        /* what it takes of a table */
    VV_ENTRY_AROUND = 24,      /* what an entry costs besides its bytes: its head, and what malloc adds */
};

struct vv_entry {
    uint64_t version;
    uint32_t value_bytes;
    uint16_t key_bytes;
    uint8_t type : 4, flags : 4;
    uint8_t used;    /* when it was used last (evict.h) [the shard's `lock`] */
    uint8_t bytes[]; /* [when it expires, microseconds since 1970 UTC] key, value */
};

static inline size_t vv_entry_key_at(const struct vv_entry *e)
{
    return e->flags & VV_ENTRY_EXPIRES ? 8 : 0;
}

static inline const uint8_t *vv_entry_key(const struct vv_entry *e)
{
    return e->bytes + vv_entry_key_at(e);
}

static inline const uint8_t *vv_entry_value(const struct vv_entry *e)
{
    return vv_entry_key(e) + e->key_bytes;
}

/* 0: never. */
static inline uint64_t vv_entry_expires(const struct vv_entry *e)
{
    return e->flags & VV_ENTRY_EXPIRES ? vv_get_u64(e->bytes) : 0;
}

static inline bool vv_entry_is_gone(const struct vv_entry *e)
{
    return e->type == VV_ENTRY_GONE;
}

static inline bool vv_entry_is_over(const struct vv_entry *e, uint64_t now_us)
{
    return (e->flags & VV_ENTRY_EXPIRES) && vv_get_u64(e->bytes) <= now_us;
}

/* What it takes, as the engine counts: the allocator gives memory by 16 bytes. */
static inline uint64_t vv_entry_cost(const struct vv_entry *e)
{
    return vv_round_up(VV_ENTRY_AROUND + vv_entry_key_at(e) + e->key_bytes + (uint64_t)e->value_bytes, 16);
}

/* A value may come in two pieces, of which the second is the caller's to fill where it is NULL. NULL without
 * memory. To be freed by vv_free. */
struct vv_entry *vv_entry_new(const void *key, size_t key_bytes, enum vv_entry_type type, uint64_t expires_us,
                              const void *value, size_t value_bytes, const void *more, size_t more_bytes);

/* An event of the stream that `key` names. As above. */
struct vv_entry *vv_entry_event(const void *key, size_t key_bytes, uint64_t position, const void *data,
                                size_t data_bytes);

/* Of an event. */
static inline uint64_t vv_entry_position(const struct vv_entry *e)
{
    return vv_get_u64_be(vv_entry_key(e) + e->key_bytes - VV_EVENT_POSITION);
}

#endif
