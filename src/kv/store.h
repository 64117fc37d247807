/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where entries are: in memory all of them (kv->env is NULL), or the recent ones, over an environment that
 * has the rest. What is in memory counts; an entry of type VV_ENTRY_GONE says that the key is not there.
 *
 * A fold puts what is in memory into the environment, and takes it out of memory when it is durable there.
 * So who finds a key neither in memory, nor then in the environment, has seen a moment when it was in none.
 */
#ifndef VV_KV_STORE_H
#define VV_KV_STORE_H

#include "base/alloc.h"
#include "kv/engine.h"
#include "kv/env.h"
#include "kv/page.h"
#include "kv/stored.h"

/* The number of a shard, and the place in its table: the order of scans, and of the environment. */
static inline uint64_t vv_store_word(const struct varve_kv *kv, uint64_t hash)
{
    uint64_t shard = kv->shard_shift == 64 ? 0 : hash >> kv->shard_shift;

    return shard << VV_PLACE_BITS | vv_table_place(hash);
}

/* What is there of a key. */
struct vv_there {
    struct vv_entry *entry; /* NULL: nothing */
    bool is_copy;           /* out of the environment: to be given to vv_shard_change, or freed */
};

/* `order` is held, or nobody else is there. Errors: IO CORRUPT NOMEM. */
int vv_store_find(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, const void *key,
                  size_t key_bytes, struct vv_there *ret);

static inline void vv_store_drop(struct vv_there *there)
{
    if (there->is_copy)
        vv_free(there->entry);
    *there = (struct vv_there){.entry = NULL};
}

/* As vv_op_apply, with a VV_ENTRY_GONE where nothing is left and the environment may have something. */
bool vv_store_apply(struct varve_kv *kv, const struct vv_entry *before, const struct vv_op *op,
                    struct vv_entry **ret_next);

/* Out of the environment, where memory has nothing: as varve_kv_get; of the value so many bytes at most, from
 * `offset` on. */
int vv_store_get(struct varve_kv *kv, uint64_t hash, const void *key, size_t key_bytes, uint64_t offset,
                 size_t bytes, struct varve_kv_value *ret_value);

/* What a view at `lsn` sees, as a copy; NULL: nothing. *ret_depends: the record that made it so, or a later
 * one that the view sees. Errors: NOMEM IO CORRUPT. */
int vv_store_view(struct varve_kv *kv, uint64_t hash, const void *key, size_t key_bytes, uint64_t lsn,
                  struct vv_entry **ret_copy, uint64_t *ret_depends);

/* Fills a page from *cursor on, of what is in both. */
int vv_store_page(struct varve_kv *kv, struct vv_page *page, uint64_t *cursor, size_t limit);

/* Removes keys of the environment whose time is over, some at a time. The keeper's. */
void vv_store_sweep(struct varve_kv *kv);

/* Memory for so many bytes of entries, which are given back when they are counted. False: a fold has to make
 * room first. */
bool vv_store_reserve(struct varve_kv *kv, uint64_t bytes);
void vv_store_release(struct varve_kv *kv, uint64_t bytes);

/* Gives the environment of a directory as its snapshot, if there is one; it stays open. kv: no more than a
 * path and an io, read-only. Errors: those of vv_fold_open; what fn returns. */
int vv_fold_list(struct varve_kv *kv, bool verify, varve_kv_snapshot_fn fn, void *arg, bool *ret_is_there,
                 struct varve_error *ret_error);

/* -- fold.c -- */

/* Opens the environment where there is one, or one is wanted; sets the shards and the hash as it has them.
 * kv->env stays NULL with everything in memory. */
int vv_fold_open(struct varve_kv *kv, enum varve_kv_store wanted, struct varve_error *ret_error);

/* Opens the log. Beside a writer it may end before what the environment has: a frame is known to be durable
 * when a later one says so. Then it is looked at again for a while. */
int vv_fold_open_log(struct varve_kv *kv, const char *path, const struct varve_options *options,
                     struct varve_error *ret_error);

/* Says whether it fits the log, and what it counts. `at_lsn`: the last record that is to count: what is newer
 * closes it. Errors: SNAPSHOT IO CORRUPT. */
int vv_fold_load(struct varve_kv *kv, uint64_t *ret_from, struct varve_error *ret_error);

/* Opening for writing: makes sure that the log is held. */
int vv_fold_settle(struct varve_kv *kv, struct varve_error *ret_error);

/* Into the environment with all up to `lsn`, which is in memory; and out of memory. snapshot_lock is held, or
 * nobody else is there. Errors: IO NOSPC NOMEM CORRUPT READONLY SYNC. */
int vv_fold(struct varve_kv *kv, uint64_t lsn, struct varve_error *ret_error);

/* A write found no memory for so many bytes: makes some. Errors: MEMORY (so much never fits), and those of a
 * fold; one that has failed is not tried again for a moment. */
int vv_fold_make_room(struct varve_kv *kv, uint64_t bytes);

/* Holds the log as far back as is wanted, and trims it. */
int vv_fold_prune(struct varve_kv *kv, struct varve_error *ret_error);

/* What a fold, or a snapshot, has come to. snapshot_lock is held. */
void vv_fold_note(struct varve_kv *kv, int rc);

/* Whether memory is so full that a fold is due. */
bool vv_fold_is_due(const struct varve_kv *kv);

#endif
