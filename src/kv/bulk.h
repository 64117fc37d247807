/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many keys that change at one moment: what a streamed transaction makes of the engine, next to it and then
 * in it.
 *
 * Threads: one at a time for a bulk; several bulks at once.
 */
#ifndef VV_KV_BULK_H
#define VV_KV_BULK_H

#include "kv/engine.h"

struct vv_bulk {
    struct varve_kv *kv;
    struct vv_table *tables; /* one for each shard: what keys become; VV_ENTRY_GONE: nothing */
    bool *touched;           /* shards whose `order` is to be held */
    struct vv_kept *kept;    /* to hold on to what is there now with */
    /* While it is looked through: */
    struct vv_shard *shard;
    uint64_t view_lsn, lsn;
    size_t fresh;           /* keys that are new to the shard */
    uint64_t before, after; /* memory */
    int failed;
};

/* vv_bulk_close is to be called after success. Errors: NOMEM. */
int vv_bulk_init(struct vv_bulk *bulk, struct varve_kv *kv);
void vv_bulk_close(struct vv_bulk *bulk);

/* A set or a delete; of a key the last one counts. Errors: NOMEM CORRUPT (another operation). */
int vv_bulk_add(struct vv_bulk *bulk, const struct vv_op *op);
/* The shard of this hash is to be locked too. */
void vv_bulk_touch(struct vv_bulk *bulk, uint64_t hash);

/* Takes the `order` of all shards that it touches, and announces a record. */
void vv_bulk_lock(struct vv_bulk *bulk);
void vv_bulk_unlock(struct vv_bulk *bulk);

/* Whether its keys are as a view has them, and room for all of it. Errors: CONFLICT NOMEM MEMORY. */
int vv_bulk_reserve(struct vv_bulk *bulk, uint64_t view_lsn);

/* Puts all of it in place, under `lsn`. To be seen at one moment, when it is all there. A view from before
 * `lsn` has to be open. */
void vv_bulk_apply(struct vv_bulk *bulk, uint64_t lsn);

#endif
