/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction, as txn.c gathers it and commit.c commits it. */
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
    uint64_t bytes; /* of its record, at the moment */
};

/* Its view has done its work. */
void vv_txn_stop_viewing(struct varve_kv_txn *txn);

/* Frees what it has gathered. */
void vv_txn_forget(struct vv_live *live);

/* Enters an item into the index, which has room. */
void vv_txn_index_item(struct varve_kv_txn *txn, size_t number);

#endif
