/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of entries by the hashes of their keys. Buckets are cache lines of seven slots, and a slot is the
 * entry's address with 16 bits of its hash, so that a look-up costs a line of the table and the entry. The
 * table grows by linear hashing: one bucket is split for every five entries that come, so that no write pays
 * for all.
 *
 * A place is where an entry stands in the order of scans: the low 48 bits of its hash, the lowest bit first.
 * A bucket is always an interval of places, and splitting it halves that, so a scan that goes from place to
 * place meets every entry that stays just once, whatever the table does meanwhile.
 *
 * Source: Litwin, Linear hashing: a new tool for file and table addressing, 1980.
 *
 * Threads: one writer at a time, and no reader beside it.
 */
#ifndef VV_KV_TABLE_H
#define VV_KV_TABLE_H

#include "kv/entry.h"

#define VV_PLACE_BITS 48
#define VV_PLACE_END  (UINT64_C(1) << VV_PLACE_BITS)

struct vv_bucket {
    uint64_t slots[7]; /* 0: none; filled from the first on */
    struct vv_bucket *more;
};

struct vv_table {
    struct vv_bucket **chunks;
    size_t chunk_count, chunk_room;
    uint64_t buckets; /* in use: 2^level + those that were split */
    unsigned level;
    struct vv_bucket *spare; /* for overflow */
    size_t spares;           /* how many */
    size_t overflows;        /* buckets that others continue in */
    size_t promised;         /* inserts that are still to come, after a reserve */
    uint64_t count;          /* entries */
    uint64_t bytes;          /* memory of the table itself */
    const uint64_t *secret;  /* of the hash */
};

/* `secret` must stay. The first reserve allocates. */
void vv_table_init(struct vv_table *table, const uint64_t *secret);
/* Frees the entries too. */
void vv_table_free(struct vv_table *table);
/* Leaves them: they are somebody else's by now. */
void vv_table_drop(struct vv_table *table);

/* Never an event. */
struct vv_entry *vv_table_find(const struct vv_table *table, uint64_t hash, const void *key,
                               size_t key_bytes);
/* An event of the stream whose key has this hash. */
struct vv_entry *vv_table_find_event(const struct vv_table *table, uint64_t hash, const void *key,
                                     size_t key_bytes, uint64_t position);
/* The entry of the same key, or the same event. */
struct vv_entry *vv_table_find_same(const struct vv_table *table, uint64_t hash,
                                    const struct vv_entry *entry);

/* Makes sure that so many inserts will not fail, whatever is removed between them, until the next call.
 * False: no memory. */
bool vv_table_reserve(struct vv_table *table, size_t inserts);
/* The same where there is room; false: there is not. Changes nothing that a reader looks at. */
bool vv_table_promise(struct vv_table *table, size_t inserts);
/* Gives back what was reserved and not used, but for one. */
void vv_table_trim(struct vv_table *table);
/* A key that is not there. */
void vv_table_insert(struct vv_table *table, uint64_t hash, struct vv_entry *entry);
/* `before` is there, and `after` has its key. */
void vv_table_replace(struct vv_table *table, uint64_t hash, struct vv_entry *before, struct vv_entry *after);
/* It is there. */
void vv_table_remove(struct vv_table *table, uint64_t hash, struct vv_entry *entry);

static inline uint64_t vv_table_hash(const struct vv_table *table, const struct vv_entry *entry);

/* Where an entry with this hash stands. */
uint64_t vv_table_place(uint64_t hash);

typedef void (*vv_table_fn)(void *arg, struct vv_entry *entry);

/* Calls fn for the entries of the bucket of this place that stand at it or behind it; returns the first place
 * behind the bucket, VV_PLACE_END after the last. fn must not change the table. */
uint64_t vv_table_walk(const struct vv_table *table, uint64_t place, vv_table_fn fn, void *arg);

#include "kv/hash.h"

static inline uint64_t vv_table_hash(const struct vv_table *table, const struct vv_entry *entry)
{
    if (entry->type == VV_ENTRY_EVENT)
        return vv_hash_event(vv_hash(table->secret, vv_entry_key(entry),
                                     entry->key_bytes - (size_t)VV_EVENT_POSITION),
                             vv_entry_position(entry));
    return vv_hash(table->secret, vv_entry_key(entry), entry->key_bytes);
}

#endif
