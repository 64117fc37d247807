/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spill: a transaction that is larger than its memory may be.
 *
 * In: the keys that it has written, whenever they have become too many. Out: parts in the log (txn/group.h),
 * which nobody sees, and at its commit one record that makes them count. What was streamed is forgotten: of
 * these keys it knows no more than a filter says, and asks the log for the rest.
 *
 * A commit reads the parts back. What they make of each key is gathered in tables like those of the shards,
 * next to them, so that what can fail has failed before the record of the commit is appended. Its view stays
 * open until then: a key that it has written is unchanged when it has no version beyond the view, and was not
 * removed since, as what is kept for the view tells.
 *
 * Then the tables go into those of the shards, some buckets at a time. Readers are let in between, so for as
 * long as that takes `hidden` is the commit's LSN, and they pass over what has that version, to what was
 * there before it and is kept. Writers of these shards wait.
 *
 * Fails: everything before the record, which leaves the transaction as it was; after it only the disk.
 */
#include "base/alloc.h"
#include "kv/bulk.h"
#include "kv/evict.h"
#include "kv/txn.h"
#include "varve/cursor.h"

enum {
    PART_BYTES = 256 * 1024,
    PART_BYTES_MIN = 1024,
};

/* The setting is divided: this for what is written and not streamed, */
static uint64_t written_most(const struct varve_kv_txn *txn)
{
    return txn->kv->txn_bytes / 2;
}

/* this for a part while it is written, */
static size_t part_most(const struct varve_kv_txn *txn)
{
    uint64_t most = vv_min_u64(PART_BYTES, txn->kv->txn_bytes / 4);

    return (size_t)vv_min_u64(most < PART_BYTES_MIN ? PART_BYTES_MIN : most, txn->kv->record_max);
}

/* and this for the filter. A power of two. */
static uint64_t filter_words(const struct varve_kv_txn *txn)
{
    uint64_t words = txn->kv->txn_bytes / 4 / sizeof *txn->filter;

    return UINT64_C(1) << (63 - __builtin_clzll(words | 1));
}

/* -- the filter -- */

static uint64_t filter_bit(const struct varve_kv_txn *txn, uint64_t hash, int which)
{
    uint64_t bits = filter_words(txn) * 64;

    return (which ? (hash >> 32 | hash << 32) * UINT64_C(0x9e3779b97f4a7c15) >> 20 : hash) & (bits - 1);
}

static void filter_add(struct varve_kv_txn *txn, uint64_t hash)
{
    for (int which = 0; which < 2; which++) {
        uint64_t bit = filter_bit(txn, hash, which);

        txn->filter[bit / 64] |= UINT64_C(1) << bit % 64;
    }
}

bool vv_spill_may_have(const struct varve_kv_txn *txn, uint64_t hash)
{
    bool both = txn->filter != NULL;

    for (int which = 0; which < 2 && both; which++) {
        uint64_t bit = filter_bit(txn, hash, which);

        both = txn->filter[bit / 64] >> bit % 64 & 1;
    }
    return both;
}

/* -- out -- */

struct part {
    uint8_t *memory;
    size_t used, room;
    uint64_t units;
};

static int send(struct varve_kv_txn *txn, struct part *part)
{
    int rc = part->units ? vv_group_part(&txn->live.group, part->memory, part->used, part->units) : 0;

    if (rc == 0)
        part->used = part->units = 0;
    return rc;
}

static int add_to_part(struct varve_kv_txn *txn, struct part *part, const struct vv_item *item)
{
    struct vv_op op = vv_op_whole(item->key, item->key_bytes, item->next);
    size_t bytes = vv_op_bytes(&op);
    int rc = part->used + bytes > part_most(txn) ? send(txn, part) : 0;

    if (rc)
        return rc;
    if (bytes > part->room) {
        size_t room = bytes > part_most(txn) ? bytes : part_most(txn);
        uint8_t *memory = vv_realloc(part->memory, room);

        if (!memory)
            return VARVE_E_NOMEM;
        part->memory = memory;
        part->room = room;
    }
    (void)vv_op_put(&op, part->memory + part->used);
    part->used += bytes;
    part->units++;
    return 0;
}

/* What was written is in the log; what was only read stays. */
static void forget_written(struct varve_kv_txn *txn)
{
    size_t kept = 0;

    for (size_t i = 0; i < txn->count; i++) {
        struct vv_item *item = &txn->items[i];

        if (!item->written) {
            txn->items[kept++] = *item;
            continue;
        }
        filter_add(txn, item->hash);
        vv_evict_release(txn->kv, item->hash);
        vv_free(item->key);
        vv_free(item->next);
    }
    txn->count = kept;
    txn->bytes = txn->memory = 0;
    vv_txn_index(txn);
}

/* An error may leave a part in the log of what is still here, and is streamed once more: the last one of a
 * key counts. */
static int flush(struct varve_kv_txn *txn)
{
    struct part part = {.memory = NULL};
    int rc = vv_live_stream(&txn->live);

    if (rc == 0 && !txn->filter) {
        txn->filter = vv_alloc_array(filter_words(txn), sizeof *txn->filter);
        rc = txn->filter ? 0 : VARVE_E_NOMEM;
    }
    for (size_t i = 0; i < txn->count && rc == 0; i++)
        if (txn->items[i].written)
            rc = add_to_part(txn, &part, &txn->items[i]);
    if (rc == 0)
        rc = send(txn, &part);
    vv_free(part.memory);
    if (rc == 0)
        forget_written(txn);
    return rc;
}

/* In `memory` mode nothing can be read back; without its view it could not be validated; what is in an
 * environment, and what a dialect makes of an operation, bulk.c does not look at. */
static bool can_stream(const struct varve_kv_txn *txn)
{
    const struct varve_kv *kv = txn->kv;

    return txn->is_viewing && !kv->keeps_nothing && !kv->env && !kv->dialect;
}

int vv_spill_make_room(struct varve_kv_txn *txn, uint64_t bytes, uint64_t memory)
{
    bool full = txn->memory + memory > written_most(txn) || txn->bytes + bytes > txn->kv->record_max;

    if (bytes > txn->kv->record_max)
        return VARVE_E_TOO_LARGE;
    if (!full || txn->bytes == 0 || txn->stays || !can_stream(txn))
        return 0;
    return flush(txn);
}

/* -- and in again -- */

/* An operation of the transaction, in the order in which they were streamed. */
typedef int (*op_fn)(void *arg, const struct vv_op *op);

static int read_part(const struct varve_entry *entry, op_fn fn, void *arg)
{
    const uint8_t *at = entry->data, *end = at + entry->data_bytes;
    struct vv_op op;
    int rc = 0;

    while (at < end && rc == 0)
        rc = vv_op_get(&at, end, &op) ? VARVE_E_CORRUPT : fn(arg, &op);
    return rc;
}

static int read_parts(struct varve_kv_txn *txn, op_fn fn, void *arg)
{
    const struct vv_group *group = &txn->live.group;
    uint64_t left = group->parts;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    int rc = varve_wait(txn->kv->log, varve_last_lsn(txn->kv->log), VARVE_WAIT_FOREVER);

    if (rc == 0)
        rc = varve_cursor_open(txn->kv->log, VARVE_POLICY_TRUNCATE, &cursor, NULL);
    if (rc)
        return rc;
    rc = varve_cursor_seek_lsn(cursor, atomic_load(&txn->live.group.begin_lsn));
    while (rc == 0 && left > 0) {
        rc = varve_cursor_next(cursor, &entry);
        if (rc == 0 && entry.type == group->type + VV_CONTROL_PART && entry.txn_id == group->id &&
            memcmp(entry.origin, group->origin, sizeof group->origin) == 0) {
            rc = read_part(&entry, fn, arg);
            left--;
        }
    }
    varve_cursor_close(cursor);
    return rc == VARVE_END ? VARVE_E_CORRUPT : rc;
}

struct search {
    struct vv_item *item;
    struct vv_entry *found;
    bool is_there;
};

static int search_op(void *arg, const struct vv_op *op)
{
    struct search *search = arg;
    const struct vv_item *item = search->item;

    if (op->key_bytes != item->key_bytes || memcmp(op->key, item->key, op->key_bytes) != 0)
        return 0;
    vv_free(search->found);
    search->is_there = true;
    return vv_op_apply(NULL, op, &search->found) ? 0 : VARVE_E_NOMEM;
}

int vv_spill_find(struct varve_kv_txn *txn, struct vv_item *item)
{
    struct search search = {.item = item};
    int rc = read_parts(txn, search_op, &search);

    if (rc || !search.is_there) {
        vv_free(search.found);
        return rc;
    }
    vv_free(item->next);
    item->next = search.found;
    item->written = true;
    return 0;
}

/* -- commit -- */

static int gather(void *arg, const struct vv_op *op)
{
    return vv_bulk_add(arg, op);
}

/* Under the `order` of all shards that it touches. */
static int commit_locked(struct varve_kv_txn *txn, struct vv_bulk *bulk, uint64_t *ret_lsn)
{
    int rc = vv_txn_validate(txn);

    if (rc == 0)
        rc = vv_bulk_reserve(bulk, txn->view.lsn);
    if (rc == 0)
        rc = vv_group_commit(&txn->live.group, 0, VARVE_DURABILITY_DEFAULT, ret_lsn);
    if (rc == 0)
        vv_bulk_apply(bulk, *ret_lsn);
    return rc;
}

int vv_spill_commit(struct varve_kv_txn *txn, uint64_t *ret_lsn)
{
    struct vv_bulk bulk;
    int rc = txn->bytes ? flush(txn) : 0;

    if (rc == 0)
        rc = vv_bulk_init(&bulk, txn->kv);
    if (rc)
        return rc;
    rc = read_parts(txn, gather, &bulk);
    for (size_t i = 0; i < txn->count; i++)
        vv_bulk_touch(&bulk, txn->items[i].hash);
    if (rc == 0) {
        vv_bulk_lock(&bulk);
        rc = commit_locked(txn, &bulk, ret_lsn);
        vv_bulk_unlock(&bulk);
    }
    vv_bulk_close(&bulk);
    return rc;
}
