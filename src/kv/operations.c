/* SPDX-License-Identifier: Apache-2.0 */
/* operations: a record of the engine -> what it did, key by key; also a part of a streamed transaction. */
#include "base/bytes.h"
#include "base/error.h"
#include "kv/op.h"
#include "txn/control.h"
#include "varve/kv.h"
#include "varve/txn.h"

static int give_events(const struct vv_op *op, struct varve_kv_change *change, varve_kv_operation_fn fn,
                       void *arg)
{
    const uint8_t *at = (const uint8_t *)op->value + VV_OP_POSITION,
                  *end = (const uint8_t *)op->value + op->value_bytes;
    int rc = 0;

    while (rc == 0 && vv_op_event(&at, end, &change->value, &change->value_bytes)) {
        rc = fn(arg, op->key, op->key_bytes, change);
        change->position++;
    }
    return rc;
}

static int give(const struct varve_entry *record, const struct vv_op *op, varve_kv_operation_fn fn, void *arg)
{
    struct varve_kv_change change = {
        .kind = (enum varve_kv_change_kind)op->kind,
        .lsn = record->lsn,
        .time_us = record->time_us,
        .txn_id = record->txn_id,
        .expires_us = op->expires_us,
        .value = op->value,
        .value_bytes = op->value_bytes,
    };

    if (op->kind == VV_OP_EVENTS || op->kind == VV_OP_TRIM) {
        change.position = vv_get_u64(op->value);
        change.value = NULL;
        change.value_bytes = 0;
    }
    return op->kind == VV_OP_EVENTS ? give_events(op, &change, fn, arg)
                                    : fn(arg, op->key, op->key_bytes, &change);
}

/* What begins or ends a streamed transaction does nothing to a key. */
static bool is_control(unsigned type)
{
    return type == VV_CONTROL_BEGIN || type == VV_CONTROL_COMMIT || type == VV_CONTROL_ABORT;
}

int varve_kv_operations(const struct varve_entry *record, varve_kv_operation_fn fn, void *arg,
                        struct varve_error *ret_error)
{
    const uint8_t *begin = record->data, *end = begin + record->data_bytes, *at = begin;
    unsigned type = (unsigned)record->type - VARVE_TXN_TYPE;
    bool known = record->type == VV_OP_RECORD || type == VV_CONTROL_PART;
    const char *why = known ? NULL : "a type that the engine does not write";
    struct vv_control control;
    struct vv_op op;
    int rc = 0;

    if (is_control(type)) {
        rc = vv_control_get((enum vv_control_type)type, begin, record->data_bytes, &control, &why);
        return rc ? vv_error_set(ret_error, rc, 0, "%s", why) : 0;
    }
    /* All of them or none. */
    while (!why && at < end)
        why = vv_op_get(&at, end, &op);
    if (why)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "%s", why);
    for (at = begin; rc == 0 && at < end && !vv_op_get(&at, end, &op);)
        rc = give(record, &op, fn, arg);
    return rc;
}
