/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction, as txn.c gathers it and commit.c commits it; spill.c does what it takes when it is large. */
#ifndef VV_KV_TXN_H
#define VV_KV_TXN_H

#include "kv/store.h"
#include "kv/stream.h"

/* A key that the transaction has touched. */
struct vv_item {
    uint64_t hash, seen; /* the version it saw; 0 = absent */
    uint8_t *key;
    uint32_t key_bytes;
    uint64_t depends; /* the record that made it so, or a later one */
    bool seen_other;  /* what it saw was no value: a lock, or a stream */
    bool written;
    bool tied; /* it may not have changed: it was read, set or deleted, and not only appended to */
    bool anew; /* its events begin a stream, for it was deleted before */
    struct vv_gather gather; /* events that are appended to it */
    struct vv_entry *next;   /* written: what it becomes, NULL = deleted; else what it saw, or NULL */
    struct vv_there before;  /* commit: what stands there */
    struct vv_entry *gone;   /* commit: for an environment, that it was deleted */
    struct vv_kept *kept;    /* commit: to hold on to that with */
    struct vv_events events; /* commit: with the operation that brings them */
    struct vv_op op;
};

struct varve_kv_txn {
    struct vv_live live; /* first */
    struct varve_kv *kv;
    struct vv_view view;
    uint64_t now_us; /* what had expired when it began */
    bool is_viewing;
    struct vv_item *items;
    size_t count, room;
    uint32_t *index; /* of an item, less one; by hash, a power of two of them */
    size_t index_room;
    uint64_t bytes;   /* of its record, at the moment */
    uint64_t memory;  /* of what it has written and not streamed yet */
    bool stays;       /* it is not to be streamed */
    uint64_t *filter; /* two bits for each key that was streamed; NULL: none was */
};

static inline bool vv_item_is(const struct vv_item *item, uint64_t hash, const void *key, size_t key_bytes)
{
    return item->hash == hash && item->key_bytes == key_bytes && memcmp(item->key, key, key_bytes) == 0;
}

/* -- txn.c -- */

/* Its view has done its work. */
void vv_txn_stop_viewing(struct varve_kv_txn *txn);

/* Frees what it has gathered. */
void vv_txn_forget(struct vv_live *live);

/* -- commit.c -- */

/* Whether every key that it remembers still stands where it saw it. `order` of their shards is held. Errors:
 * CONFLICT; over an environment those of vv_store_find. */
int vv_txn_validate(struct varve_kv_txn *txn);

/* -- items.c -- */

/* NULL: it has not touched it. */
struct vv_item *vv_txn_find(struct varve_kv_txn *txn, uint64_t hash, const void *key, size_t key_bytes);
/* For one more. False: no memory. */
bool vv_txn_make_room(struct varve_kv_txn *txn);
void vv_txn_index_item(struct varve_kv_txn *txn, size_t number);
/* Makes the index anew, after items were moved. */
void vv_txn_index(struct varve_kv_txn *txn);

/* -- spill.c -- */

/* Before `bytes` more are written, in a record, and so many of memory: streams what there is, if that is
 * more than is to be kept. Errors: as vv_group_part, varve_pin_set. */
int vv_spill_make_room(struct varve_kv_txn *txn, uint64_t bytes, uint64_t memory);

/* Whether the key may be among those that were streamed. */
bool vv_spill_may_have(const struct varve_kv_txn *txn, uint64_t hash);

/* Makes the item what the transaction has streamed of it, if it has. Waits until that can be read back.
 * Errors: those of a cursor; NOMEM. */
int vv_spill_find(struct varve_kv_txn *txn, struct vv_item *item);

/* Streams the rest, and commits. live.lock is held. Errors: CONFLICT, those of a cursor and of a write. */
int vv_spill_commit(struct varve_kv_txn *txn, uint64_t *ret_lsn);

#endif
