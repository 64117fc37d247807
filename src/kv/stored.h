/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry as it stands in an environment of the store `lmdb`. docs/KV.md has every byte. Under one word of
 * the environment stands a run: nearly always one entry, more where keys share a word.
 */
#ifndef VV_KV_STORED_H
#define VV_KV_STORED_H

#include "kv/entry.h"

enum {
    VV_STORED_HEAD = 28
};

/* Points into the run it came from. */
struct vv_stored {
    uint64_t version, expires_us;
    const uint8_t *key, *value;
    size_t key_bytes, value_bytes;
    enum vv_entry_type type;
};

/* Looks at an entry in memory the same way. */
static inline struct vv_stored vv_stored_of(const struct vv_entry *e)
{
    return (struct vv_stored){
        e->version,     vv_entry_expires(e),        vv_entry_key(e), vv_entry_value(e), e->key_bytes,
        e->value_bytes, (enum vv_entry_type)e->type};
}

static inline bool vv_stored_is(const struct vv_stored *s, const void *key, size_t key_bytes)
{
    return s->key_bytes == key_bytes && memcmp(s->key, key, key_bytes) == 0;
}

static inline size_t vv_stored_bytes(const struct vv_stored *s)
{
    return VV_STORED_HEAD + s->key_bytes + s->value_bytes;
}

/* Writes vv_stored_bytes, and returns where they end. */
uint8_t *vv_stored_put(const struct vv_stored *s, uint64_t word, uint8_t *out);

/* The entry at *at, which moves behind it. VARVE_END at the end; VARVE_E_CORRUPT. */
int vv_stored_next(uint64_t word, const uint8_t **at, const uint8_t *end, struct vv_stored *ret);

/* The same of one that has been checked: its beginning is all there is to go by. */
struct vv_stored vv_stored_again(const uint8_t *at);

/* Looks for a key in a run. VARVE_END: it is not there; VARVE_E_CORRUPT. */
int vv_stored_find(uint64_t word, const uint8_t *run, size_t bytes, const void *key, size_t key_bytes,
                   struct vv_stored *ret);

/* A copy in memory, to be freed by vv_free. NULL without memory. */
struct vv_entry *vv_stored_copy(const struct vv_stored *s);

#endif
