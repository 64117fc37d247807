/* SPDX-License-Identifier: Apache-2.0 */
/* dump --operations, of the key-value engine's records. */
#include "dump_says.h"
#include "varve/kv.h"

static bool has_value(enum varve_kv_change_kind kind)
{
    return kind == VARVE_KV_CHANGE_SET || kind == VARVE_KV_CHANGE_LOCK || kind == VARVE_KV_CHANGE_APPEND ||
           kind == VARVE_KV_CHANGE_EVENT;
}

static int says_change(void *arg, const void *key, size_t key_bytes, const struct varve_kv_change *change)
{
    struct says *says = arg;

    says_begin(says, varve_kv_change_name(change->kind));
    says_bytes(says, "key", key, key_bytes);
    if (change->position)
        says_number(says, "position", change->position);
    if (has_value(change->kind))
        says_bytes(says, change->kind == VARVE_KV_CHANGE_LOCK ? "owner" : "value", change->value,
                   change->value_bytes);
    if (change->kind == VARVE_KV_CHANGE_EXPIRE && change->expires_us == 0)
        says_word(says, "expires", "never");
    else if (change->expires_us)
        says_time(says, "expires", change->expires_us);
    says_end(says);
    return 0;
}

const char *says_engine(struct says *says, const struct varve_record_info *record)
{
    struct varve_entry entry = {.lsn = record->lsn,
                                .time_us = record->time_us,
                                .data = record->data,
                                .data_bytes = record->data_bytes,
                                .type = record->type,
                                .txn_id = record->txn_id};
    static struct varve_error error;

    return varve_kv_operations(&entry, says_change, says, &error) == 0 ? NULL : error.message;
}
