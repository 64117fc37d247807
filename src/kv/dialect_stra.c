/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine in a log of format stra: each record is a writeset. A value is put under the entity "kv", its
 * key the name; its version is written as 0, for the LSN is known by where the record stands. There is no
 * expiry, so there are no locks either.
 */
#include "base/alloc.h"
#include "kv/dialect.h"
#include "varve/writeset.h"

static int check(struct varve_kv *kv, struct vv_op *op)
{
    (void)kv;
    if (op->expires_us || op->kind == VV_OP_LOCK || op->kind == VV_OP_EVENTS || op->kind == VV_OP_TRIM)
        return VARVE_E_UNSUPPORTED;
    return vv_dialect_is_text(op->key, op->key_bytes) ? 0 : VARVE_E_UNSUPPORTED;
}

struct several {
    const struct vv_op *ops;
    size_t count;
};

static int put(const void *arg, void *out, size_t room, size_t *ret_bytes)
{
    const struct several *all = arg;
    struct varve_writeset set;

    varve_writeset_begin(&set, out, room);
    for (size_t i = 0; i < all->count; i++) {
        const struct vv_op *op = &all->ops[i];
        const struct varve_entity entity = {.kind = VARVE_ENTITY_KV, .name = {op->key, op->key_bytes}};

        if (op->kind == VV_OP_SET)
            (void)varve_writeset_put(&set, &entity, 0, op->value, op->value_bytes);
        else
            (void)varve_writeset_delete(&set, &entity);
    }
    return varve_writeset_end(&set, ret_bytes);
}

static int append_many(struct varve_kv *kv, const struct vv_op *ops, size_t count,
                       struct varve_record *record, uint64_t *ret_lsn)
{
    const struct several all = {ops, count};

    record->type = 0;
    return vv_dialect_append(kv, record, put, &all, ret_lsn);
}

static int append(struct varve_kv *kv, const struct vv_op *op, const struct vv_entry *next, uint64_t *ret_lsn)
{
    struct varve_record record = {.type = 0};
    struct vv_op whole = {
        .kind = next ? VV_OP_SET : VV_OP_DELETE, .key = op->key, .key_bytes = op->key_bytes};

    if (next) {
        whole.value = vv_entry_value(next);
        whole.value_bytes = next->value_bytes;
    }
    return append_many(kv, &whole, 1, &record, ret_lsn);
}

/* Entities of other kinds are nobody's keys; neither is a payload that is no writeset, which the format
 * allows. */
static int replay(struct varve_kv *kv, const struct varve_entry *entry, const char **ret_why)
{
    struct varve_writeset_cursor cursor;
    struct varve_mutation m;
    int rc = varve_writeset_open(&cursor, entry->data, entry->data_bytes);

    (void)ret_why;
    while (rc == 0 && (rc = varve_writeset_next(&cursor, &m)) == 0)
        ;
    if (rc != VARVE_END) {
        kv->recovery.passed_over++;
        return 0;
    }
    rc = varve_writeset_open(&cursor, entry->data, entry->data_bytes);
    while (rc == 0 && (rc = varve_writeset_next(&cursor, &m)) == 0) {
        struct vv_op op = {.kind = m.kind == VARVE_MUTATION_PUT      ? VV_OP_SET
                                   : m.kind == VARVE_MUTATION_APPEND ? VV_OP_APPEND
                                                                     : VV_OP_DELETE,
                           .key = m.entity.name.data,
                           .key_bytes = m.entity.name.bytes,
                           .value = m.value.data,
                           .value_bytes = m.value.bytes};

        if (m.entity.kind != VARVE_ENTITY_KV || !vv_kv_key_is_good(op.key, op.key_bytes)) {
            kv->recovery.passed_over++;
            continue;
        }
        if (vv_kv_apply(kv, &op, entry->lsn) != 0)
            return VARVE_E_NOMEM;
        kv->recovery.operations++;
    }
    return rc == VARVE_END ? 0 : VARVE_E_CORRUPT;
}

const struct vv_dialect vv_dialect_stra = {.format = "stra",
                                           .folder = "SNAPSHOTS",
                                           .suffix = ".chk",
                                           .check = check,
                                           .append = append,
                                           .append_many = append_many,
                                           .replay = replay};
