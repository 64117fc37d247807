/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set: what single keys can be asked to become. Each function here is a decision, which write.c carries out.
 */
#include <inttypes.h>
#include <stdio.h>

#include "kv/engine.h"
#include "txn/take.h"

enum {
    NUMBER_BYTES = 24
};

#define FLAGS_ALL \
    (VARVE_KV_IF_ABSENT | VARVE_KV_IF_PRESENT | VARVE_KV_IF_VERSION | VARVE_KV_KEEP_EXPIRY | VARVE_KV_NO_WAIT)

/* What is decided, and about what. */
struct wish {
    struct varve_kv_write how;
    const void *value;
    size_t value_bytes;
    int64_t number, sum; /* add: the delta, and what comes of it */
    uint64_t bytes;      /* append: the new length */
    uint64_t most;       /* append: what a record holds */
    char text[NUMBER_BYTES];
};

static int take_how(struct wish *wish, const struct varve_kv_write *how)
{
    if (!vv_take(&wish->how, sizeof wish->how, how) || (wish->how.flags & ~(uint32_t)FLAGS_ALL))
        return VARVE_E_INVALID;
    return 0;
}

static bool waits(const struct wish *wish)
{
    return !(wish->how.flags & VARVE_KV_NO_WAIT);
}

int vv_kv_check(const struct varve_kv_write *how, const struct vv_entry *now)
{
    if ((how->flags & VARVE_KV_IF_ABSENT) && now)
        return VARVE_E_CONFLICT;
    if ((how->flags & VARVE_KV_IF_PRESENT) && !now)
        return VARVE_E_NO_KEY;
    if ((how->flags & VARVE_KV_IF_VERSION) && how->version != (now ? now->version : 0))
        return VARVE_E_CONFLICT;
    if (!how->old)
        return 0;
    if (now)
        return vv_kv_copy(how->old, now) ? 0 : VARVE_E_NOMEM;
    how->old->bytes = 0;
    how->old->version = how->old->expires_us = 0;
    how->old->is_lock = 0;
    return 0;
}

static int check(struct wish *wish, const struct vv_entry *now)
{
    return vv_kv_check(&wish->how, now);
}

static int decide_set(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    struct wish *wish = arg;
    int rc = check(wish, now);

    if (rc)
        return rc;
    if (now && now->type != VV_ENTRY_VALUE)
        return VARVE_E_TYPE;
    op->kind = VV_OP_SET;
    op->intent = wish->how.flags & VARVE_KV_IF_ABSENT ? VV_INTENT_ABSENT : VV_INTENT_NONE;
    op->value = wish->value;
    op->value_bytes = wish->value_bytes;
    op->expires_us = wish->how.expires_us;
    if (wish->how.flags & VARVE_KV_KEEP_EXPIRY)
        op->expires_us = now ? vv_entry_expires(now) : 0;
    return 0;
}

int varve_kv_set(struct varve_kv *kv, const void *key, size_t key_bytes, const void *value,
                 size_t value_bytes, const struct varve_kv_write *how, uint64_t *ret_version)
{
    struct wish wish = {.value = value, .value_bytes = value_bytes};
    int rc = take_how(&wish, how);

    if (rc)
        return rc;
    if (value_bytes > 0 && !value)
        return VARVE_E_INVALID;
    if (value_bytes > kv->record_max)
        return VARVE_E_TOO_LARGE;
    return vv_kv_update(kv, key, key_bytes, waits(&wish), decide_set, &wish, ret_version);
}

static int decide_delete(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    int rc = now ? check(arg, now) : VARVE_E_NO_KEY;

    op->kind = VV_OP_DELETE;
    return rc;
}

int varve_kv_delete(struct varve_kv *kv, const void *key, size_t key_bytes, const struct varve_kv_write *how,
                    uint64_t *ret_version)
{
    struct wish wish = {.value = NULL};
    int rc = take_how(&wish, how);

    return rc ? rc : vv_kv_update(kv, key, key_bytes, waits(&wish), decide_delete, &wish, ret_version);
}

/* Decimal digits with a sign or without, and nothing else. */
static int parse(const struct vv_entry *entry, int64_t *ret)
{
    const uint8_t *at = vv_entry_value(entry), *end = at + entry->value_bytes;
    bool minus = at < end && *at == '-';
    int64_t value = 0;

    at += minus;
    if (at == end || entry->type != VV_ENTRY_VALUE)
        return VARVE_E_TYPE;
    for (; at < end; at++) {
        int digit = *at - '0';

        if (digit < 0 || digit > 9)
            return VARVE_E_TYPE;
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, digit, &value))
            return VARVE_E_RANGE;
    }
    /* Counted downwards, where there is one more. */
    if (!minus && __builtin_sub_overflow(0, value, &value))
        return VARVE_E_RANGE;
    *ret = value;
    return 0;
}

/* Of what was parsed: it is written as it would be printed. */
static bool is_plain(const struct vv_entry *entry)
{
    const uint8_t *at = vv_entry_value(entry);

    return at[*at == '-'] != '0' || entry->value_bytes == 1;
}

static int decide_add(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    struct wish *wish = arg;
    bool plain;
    int64_t value = 0;
    int rc = check(wish, now);

    if (rc == 0 && now)
        rc = parse(now, &value);
    if (rc)
        return rc;
    plain = !now || is_plain(now);
    if (__builtin_add_overflow(value, wish->number, &value))
        return VARVE_E_RANGE;
    wish->sum = value;
    op->kind = VV_OP_SET;
    op->intent = plain ? VV_INTENT_ADD : VV_INTENT_NONE;
    op->intent_number = wish->number;
    op->value = wish->text;
    op->value_bytes = (size_t)snprintf(wish->text, sizeof wish->text, "%" PRId64, value);
    op->expires_us = now ? vv_entry_expires(now) : 0;
    return 0;
}

int varve_kv_add(struct varve_kv *kv, const void *key, size_t key_bytes, int64_t delta,
                 const struct varve_kv_write *how, int64_t *ret_value, uint64_t *ret_version)
{
    struct wish wish = {.number = delta};
    int rc = take_how(&wish, how);

    if (rc == 0)
        rc = vv_kv_update(kv, key, key_bytes, waits(&wish), decide_add, &wish, ret_version);
    if (rc == 0 && ret_value)
        *ret_value = wish.sum;
    return rc;
}

static int decide_append(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    struct wish *wish = arg;
    int rc = check(wish, now);

    if (rc)
        return rc;
    if (now && now->type != VV_ENTRY_VALUE)
        return VARVE_E_TYPE;
    wish->bytes = wish->value_bytes + (now ? now->value_bytes : 0);
    /* No larger than what a set could have made. */
    if (wish->bytes > wish->most - VV_OP_HEAD_MAX - op->key_bytes)
        return VARVE_E_TOO_LARGE;
    /* Behind nothing that counts: said in full, for what has expired may still be there when this is
     * replayed. */
    op->kind = now ? VV_OP_APPEND : VV_OP_SET;
    op->value = wish->value;
    op->value_bytes = wish->value_bytes;
    return 0;
}

int varve_kv_append(struct varve_kv *kv, const void *key, size_t key_bytes, const void *data,
                    size_t data_bytes, const struct varve_kv_write *how, uint64_t *ret_bytes,
                    uint64_t *ret_version)
{
    struct wish wish = {.value = data, .value_bytes = data_bytes, .most = kv->record_max};
    int rc = take_how(&wish, how);

    if (rc)
        return rc;
    if (data_bytes > 0 && !data)
        return VARVE_E_INVALID;
    if (data_bytes > kv->record_max)
        return VARVE_E_TOO_LARGE;
    rc = vv_kv_update(kv, key, key_bytes, waits(&wish), decide_append, &wish, ret_version);
    if (rc == 0 && ret_bytes)
        *ret_bytes = wish.bytes;
    return rc;
}

static int decide_expire(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    struct wish *wish = arg;
    int rc = now ? check(wish, now) : VARVE_E_NO_KEY;

    op->kind = VV_OP_EXPIRE;
    op->expires_us = wish->how.expires_us;
    return rc;
}

int varve_kv_expire(struct varve_kv *kv, const void *key, size_t key_bytes, uint64_t expires_us,
                    const struct varve_kv_write *how, uint64_t *ret_version)
{
    struct wish wish = {.value = NULL};
    int rc = take_how(&wish, how);

    if (rc)
        return rc;
    wish.how.expires_us = expires_us;
    return vv_kv_update(kv, key, key_bytes, waits(&wish), decide_expire, &wish, ret_version);
}

/* -- locks -- */

static bool is_owner(const struct wish *wish, const struct vv_entry *now)
{
    return now->value_bytes == wish->value_bytes &&
           memcmp(vv_entry_value(now), wish->value, wish->value_bytes) == 0;
}

static int check_lock(const struct wish *wish, const struct vv_entry *now)
{
    if (now && now->type != VV_ENTRY_LOCK)
        return VARVE_E_TYPE;
    return now && !is_owner(wish, now) ? VARVE_E_CONFLICT : 0;
}

static int decide_lock(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    struct wish *wish = arg;
    int rc = check_lock(wish, now);

    op->kind = VV_OP_LOCK;
    op->intent = now ? VV_INTENT_EXTEND : VV_INTENT_NONE;
    op->value = wish->value;
    op->value_bytes = wish->value_bytes;
    op->expires_us = wish->how.expires_us;
    return rc;
}

static int decide_unlock(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    const struct wish *wish = arg;

    op->kind = VV_OP_DELETE;
    op->intent = VV_INTENT_UNLOCK;
    op->intent_value = wish->value;
    op->intent_bytes = wish->value_bytes;
    return now ? check_lock(arg, now) : VARVE_E_NO_KEY;
}

int varve_kv_lock(struct varve_kv *kv, const void *key, size_t key_bytes, const void *owner,
                  size_t owner_bytes, uint64_t limit_ms, uint64_t *ret_token)
{
    struct wish wish = {.value = owner, .value_bytes = owner_bytes};
    uint64_t token;
    int rc;

    if (!owner || owner_bytes == 0 || owner_bytes > VARVE_KV_KEY_MAX || limit_ms == 0)
        return VARVE_E_INVALID;
    if (!vv_mul_checked(limit_ms, 1000, &wish.how.expires_us) ||
        !vv_add_checked(wish.how.expires_us, vv_kv_now(kv), &wish.how.expires_us))
        return VARVE_E_INVALID;
    rc = vv_kv_update(kv, key, key_bytes, true, decide_lock, &wish, &token);
    /* In every mode: an LSN that a power failure takes is given once more, and a token must not be. */
    if (rc == 0 && !kv->keeps_nothing)
        rc = varve_wait(kv->log, token, VARVE_WAIT_FOREVER);
    if (rc == 0 && ret_token)
        *ret_token = token;
    return rc;
}

int varve_kv_unlock(struct varve_kv *kv, const void *key, size_t key_bytes, const void *owner,
                    size_t owner_bytes, uint64_t *ret_lsn)
{
    struct wish wish = {.value = owner, .value_bytes = owner_bytes};

    if (!owner || owner_bytes == 0)
        return VARVE_E_INVALID;
    return vv_kv_update(kv, key, key_bytes, true, decide_unlock, &wish, ret_lsn);
}
