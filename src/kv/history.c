/* SPDX-License-Identifier: Apache-2.0 */
/* history: what is known of the past: a key's changes, from the log; the snapshots of a directory. */
#include <assert.h>
#include <errno.h>

#include "base/alloc.h"
#include "base/error.h"
#include "kv/dialect.h"
#include "kv/snapshot.h"
#include "kv/store.h"
#include "txn/unravel.h"
#include "varve/format.h"

_Static_assert((int)VARVE_KV_CHANGE_SET == (int)VV_OP_SET && (int)VARVE_KV_CHANGE_RANGE == (int)VV_OP_PATCH,
               "changes are called as in the log");

const char *varve_kv_change_name(enum varve_kv_change_kind kind)
{
    switch (kind) {
    case VARVE_KV_CHANGE_SET:
        return "set";
    case VARVE_KV_CHANGE_LOCK:
        return "lock";
    case VARVE_KV_CHANGE_DELETE:
        return "delete";
    case VARVE_KV_CHANGE_EXPIRED:
        return "expired";
    case VARVE_KV_CHANGE_APPEND:
        return "append";
    case VARVE_KV_CHANGE_EXPIRE:
        return "expire";
    case VARVE_KV_CHANGE_EVENT:
        return "event";
    case VARVE_KV_CHANGE_TRIM:
        return "trim";
    case VARVE_KV_CHANGE_EVICTED:
        return "evicted";
    case VARVE_KV_CHANGE_RANGE:
        return "range";
    }
    return "unknown change";
}

struct search {
    const void *key;
    size_t key_bytes;
    varve_kv_change_fn fn;
    void *arg;
};

/* Each event is a change of its own. */
static int give_stream(const struct search *s, const struct vv_op *op, struct varve_kv_change *change)
{
    const uint8_t *at = op->value, *end = at + op->value_bytes;
    int rc = 0;

    change->position = vv_get_u64(at);
    change->value_bytes = 0;
    if (op->kind == VV_OP_TRIM)
        return s->fn(s->arg, change);
    at += VV_OP_POSITION;
    while (rc == 0 && vv_op_event(&at, end, &change->value, &change->value_bytes)) {
        rc = s->fn(s->arg, change);
        change->position++;
    }
    return rc;
}

static int give_patch(const struct search *s, const struct vv_op *op, struct varve_kv_change *change)
{
    change->position = vv_get_u64(op->value);
    change->value = (const uint8_t *)op->value + VV_OP_POSITION;
    change->value_bytes = op->value_bytes - VV_OP_POSITION;
    return s->fn(s->arg, change);
}

/* The operations of the key in a record, or in a part of a streamed transaction. */
static int search_piece(const struct search *s, const struct vv_piece *piece, struct varve_error *ret_error)
{
    const struct varve_entry *entry = &piece->entry;
    const uint8_t *at = entry->data, *end = at + entry->data_bytes;
    bool known = !piece->is_other || entry->type == VV_OP_RECORD;
    const char *why = known ? NULL : "a type that the engine does not write";
    struct vv_op op;
    int rc = 0;

    while (!why && at < end && rc == 0) {
        why = vv_op_get(&at, end, &op);
        if (why || op.key_bytes != s->key_bytes || memcmp(op.key, s->key, op.key_bytes) != 0)
            continue;
        struct varve_kv_change change = {
            .kind = (enum varve_kv_change_kind)op.kind,
            .lsn = piece->commit_lsn,
            .time_us = piece->commit_time_us,
            .txn_id = entry->txn_id,
            .expires_us = op.expires_us,
            .value = op.value,
            .value_bytes = op.value_bytes,
        };
        rc = op.kind == VV_OP_EVENTS || op.kind == VV_OP_TRIM ? give_stream(s, &op, &change)
             : op.kind == VV_OP_PATCH                         ? give_patch(s, &op, &change)
                                                              : s->fn(s->arg, &change);
    }
    if (why)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                            "LSN %llu, type %u, is no record of the key-value engine: %s",
                            (unsigned long long)entry->lsn, entry->type, why);
    return rc;
}

int varve_kv_history(struct varve_log *log, const void *key, size_t key_bytes, varve_kv_change_fn fn,
                     void *arg, struct varve_error *ret_error)
{
    const struct search search = {key, key_bytes, fn, arg};
    const struct vv_dialect *dialect;
    struct vv_unravel unravel;
    struct vv_piece piece;
    int rc;

    if (!vv_kv_key_is_good(key, key_bytes))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a key has 1 to %d bytes", VARVE_KV_KEY_MAX);
    rc = vv_dialect_find(log, &dialect);
    if (rc || dialect)
        return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0,
                            "the changes of a key are not sought in the format %s: its records tell them",
                            varve_log_format(log)->name);
    rc = vv_unravel_open(&unravel, log, 0, VARVE_POLICY_TRUNCATE, VARVE_TXN_TYPE, ret_error);
    while (rc == 0) {
        rc = vv_unravel_next(&unravel, &piece);
        if (rc < 0)
            vv_error_copy(ret_error, &unravel.error);
        if (rc)
            break;
        rc = search_piece(&search, &piece, ret_error);
    }
    vv_unravel_close(&unravel);
    return rc == VARVE_END ? 0 : rc;
}

/* -- snapshots -- */

static int give(struct varve_kv *kv, uint64_t lsn, bool verify, varve_kv_snapshot_fn fn, void *arg)
{
    struct vv_snap snap = {.lsn = lsn};
    struct varve_error error = {.code = 0};
    struct varve_kv_snapshot_info info = {.size = sizeof info, .lsn = lsn};

    info.code =
        vv_snapshot_read(kv, lsn, verify ? VV_SNAPSHOT_CHECK : VV_SNAPSHOT_LOOK, UINT64_MAX, &snap, &error);
    info.end_lsn = snap.end_lsn;
    info.created_us = snap.created_us;
    info.entries = snap.entries;
    info.bytes = snap.bytes;
    info.message = info.code ? error.message : "";
    return fn(arg, &info);
}

int varve_kv_snapshot_list(const char *path, struct varve_io *io, int verify, varve_kv_snapshot_fn fn,
                           void *arg, struct varve_error *ret_error)
{
    struct varve_kv *kv = vv_alloc_aligned(64, sizeof *kv);
    uint64_t *lsns = NULL;
    size_t count = 0;
    bool is_env = false;
    int rc;

    if (!kv)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "a list of snapshots");
    /* As much of an engine as reading a file of its wants. */
    memset(kv, 0, sizeof *kv);
    kv->io = io ? io : varve_io_system();
    kv->path = (char *)(uintptr_t)path;
    kv->read_only = true;
    rc = kv->io->dir_open(kv->io, NULL, path, 0, &kv->dir, NULL);
    if (rc)
        rc = vv_error_set(ret_error, rc == -ENOENT ? VARVE_E_NOT_FOUND : VARVE_E_IO, rc, "the directory %s",
                          path);
    if (rc == 0)
        rc = vv_fold_list(kv, verify != 0, fn, arg, &is_env, ret_error);
    if (rc == 0 && !is_env) {
        rc = kv->io->dir_open(kv->io, kv->dir, VV_KV_SNAPSHOT_DIR, 0, &kv->snapshots, NULL);
        if (rc && rc != -ENOENT)
            rc = vv_error_set(ret_error, VARVE_E_IO, rc, "the directory %s/%s", path, VV_KV_SNAPSHOT_DIR);
        else
            rc = rc ? 0 : vv_snapshot_list(kv, &lsns, &count, ret_error);
    }
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = give(kv, lsns[i], verify != 0, fn, arg);
    vv_free(lsns);
    vv_env_close(kv->env);
    if (kv->snapshots)
        kv->io->dir_close(kv->io, kv->snapshots);
    if (kv->dir)
        kv->io->dir_close(kv->io, kv->dir);
    vv_free(kv);
    return rc;
}
