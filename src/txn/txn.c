/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn: a transaction as its caller sees it.
 *
 * In: mutations. Out: one record with all of them, or, past stream_bytes, parts as they fill, and a commit.
 * The memory is one buffer, which grows to stream_bytes, or for a single mutation that is larger to the size
 * of that, and is given up with that part.
 *
 * Fails: a mutation that does not fit anywhere is refused, and the transaction goes on; a log that accepts no
 * writes any more fails the transaction for good.
 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "txn/take.h"
#include "txn/txns.h"

enum {
    BUFFER_FIRST = 512,
    SET_EMPTY = 4, /* bytes of a writeset without mutations */
};

struct varve_txn {
    struct vv_live live;       /* first: close frees it as one */
    uint8_t *buffer;           /* [live.lock] */
    size_t room;               /* [live.lock] of the buffer */
    struct varve_writeset set; /* [live.lock] in the buffer: mutations that are in no part yet */
    uint64_t mutations;        /* [live.lock] in all */
};

static void drop_buffer(struct varve_txn *txn)
{
    vv_free(txn->buffer);
    txn->buffer = NULL;
    txn->room = 0;
    varve_writeset_begin(&txn->set, NULL, 0);
}

static void forget(struct vv_live *live)
{
    drop_buffer((struct varve_txn *)live);
}

int varve_txn_begin(struct varve_txns *txns, const struct varve_txn_options *options,
                    struct varve_txn **ret_txn)
{
    struct varve_txn_options o;
    struct varve_txn *txn;
    int rc;

    if (!vv_take(&o, sizeof o, options))
        return VARVE_E_INVALID;
    txn = vv_alloc_zero(sizeof *txn);
    if (!txn)
        return VARVE_E_NOMEM;
    varve_writeset_begin(&txn->set, NULL, 0);
    rc = vv_live_begin(txns, o.limit_ms, forget, &txn->live);
    if (rc) {
        vv_free(txn);
        return rc;
    }
    *ret_txn = txn;
    return 0;
}

uint64_t varve_txn_id(const struct varve_txn *txn)
{
    return txn->live.group.id;
}

static int add_mutation(struct varve_writeset *set, const struct varve_mutation *m)
{
    switch (m->kind) {
    case VARVE_MUTATION_PUT:
        return varve_writeset_put(set, &m->entity, m->version, m->value.data, m->value.bytes);
    case VARVE_MUTATION_APPEND:
        return varve_writeset_append(set, &m->entity, m->version, m->value.data, m->value.bytes);
    case VARVE_MUTATION_DELETE:
        break;
    }
    return varve_writeset_delete(set, &m->entity);
}

static size_t set_bytes(const struct varve_txn *txn)
{
    return txn->buffer ? txn->set.bytes : SET_EMPTY;
}

static uint32_t set_count(const struct varve_txn *txn)
{
    return txn->buffer ? txn->set.count : 0;
}

/* What is in the buffer becomes a part. An error leaves it there. */
static int flush(struct varve_txn *txn)
{
    int rc;

    if (set_count(txn) == 0)
        return 0;
    rc = vv_live_stream(&txn->live);
    if (rc == 0)
        rc = vv_group_part(&txn->live.group, txn->buffer, txn->set.bytes, txn->set.count);
    if (rc)
        return rc;
    if (txn->room > txn->live.txns->stream_bytes)
        drop_buffer(txn);
    else
        varve_writeset_begin(&txn->set, txn->buffer, txn->room);
    return 0;
}

/* Room for so many bytes in all. */
static int make_room(struct varve_txn *txn, size_t bytes)
{
    size_t room = txn->room ? txn->room : BUFFER_FIRST, most = (size_t)txn->live.txns->stream_bytes;
    uint8_t *buffer;

    if (bytes <= txn->room)
        return 0;
    while (room < bytes)
        room *= 2;
    if (bytes <= most && room > most)
        room = most;
    if (bytes > most)
        room = bytes;
    buffer = vv_realloc(txn->buffer, room);
    if (!buffer)
        return VARVE_E_NOMEM;
    if (!txn->buffer) {
        varve_writeset_begin(&txn->set, buffer, room);
    } else {
        txn->set.at = buffer;
        txn->set.room = room;
    }
    txn->buffer = buffer;
    txn->room = room;
    return 0;
}

static int add(struct varve_txn *txn, const struct varve_mutation *m)
{
    const struct varve_txns *txns = txn->live.txns;
    struct varve_writeset measure;
    size_t bytes;
    int rc;

    varve_writeset_begin(&measure, NULL, 0);
    rc = add_mutation(&measure, m);
    if (rc != VARVE_E_TOO_LARGE)
        return rc;
    bytes = measure.bytes - SET_EMPTY;
    if (measure.bytes > txns->record_max)
        return VARVE_E_TOO_LARGE;
    if (set_bytes(txn) + bytes > txns->stream_bytes) {
        rc = flush(txn);
        if (rc)
            return rc;
    }
    rc = make_room(txn, set_bytes(txn) + bytes);
    if (rc)
        return rc;
    rc = add_mutation(&txn->set, m);
    assert(rc == 0); /* it was measured */
    txn->mutations++;
    return rc;
}

static int mutate(struct varve_txn *txn, const struct varve_mutation *m)
{
    int rc = vv_live_enter(&txn->live);

    if (rc)
        return rc;
    rc = m->value.bytes > 0 && !m->value.data ? VARVE_E_INVALID : add(txn, m);
    vv_live_leave(&txn->live, rc);
    return rc;
}

int varve_txn_put(struct varve_txn *txn, const struct varve_entity *entity, uint64_t version,
                  const void *value, size_t value_bytes)
{
    return mutate(txn, &(struct varve_mutation){VARVE_MUTATION_PUT, *entity, version, {value, value_bytes}});
}

int varve_txn_delete(struct varve_txn *txn, const struct varve_entity *entity)
{
    return mutate(txn, &(struct varve_mutation){.kind = VARVE_MUTATION_DELETE, .entity = *entity});
}

int varve_txn_append(struct varve_txn *txn, const struct varve_entity *entity, uint64_t version,
                     const void *value, size_t value_bytes)
{
    return mutate(txn,
                  &(struct varve_mutation){VARVE_MUTATION_APPEND, *entity, version, {value, value_bytes}});
}

/* The record that makes it count. */
static int commit_record(struct varve_txn *txn, int wait, enum varve_durability durability, uint64_t *ret_lsn)
{
    struct vv_group *group = &txn->live.group;
    int rc;

    if (!vv_group_is_begun(group)) {
        *ret_lsn = 0;
        if (set_count(txn) == 0)
            return 0;
        return vv_group_whole(group, txn->buffer, txn->set.bytes, wait, durability, ret_lsn);
    }
    rc = flush(txn);
    return rc ? rc : vv_group_commit(group, wait, durability, ret_lsn);
}

static int commit(struct varve_txn *txn, int wait, enum varve_durability durability, uint64_t *ret_lsn)
{
    uint64_t lsn, bytes;
    int rc = vv_live_enter(&txn->live);

    if (rc)
        return rc;
    rc = commit_record(txn, wait, durability, &lsn);
    if (rc) {
        vv_live_leave(&txn->live, rc);
        return rc;
    }
    bytes = txn->live.group.bytes + (vv_group_is_begun(&txn->live.group) ? 0 : set_bytes(txn));
    drop_buffer(txn);
    vv_live_committed(&txn->live, txn->mutations, bytes);
    vv_free(txn);
    if (ret_lsn)
        *ret_lsn = lsn;
    return 0;
}

int varve_txn_commit(struct varve_txn *txn, enum varve_durability durability, uint64_t *ret_lsn)
{
    return commit(txn, 1, durability, ret_lsn);
}

int varve_txn_commit_async(struct varve_txn *txn, uint64_t *ret_lsn)
{
    return commit(txn, 0, VARVE_DURABILITY_DEFAULT, ret_lsn);
}

void varve_txn_abort(struct varve_txn *txn)
{
    if (!txn)
        return;
    vv_live_abort(&txn->live);
    vv_free(txn);
}
