/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part: parts of a value, and numbers with a fraction.
 *
 * Like set.c: decisions, which write.c carries out; and reading a part under the lock of a shard.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "kv/evict.h"
#include "kv/store.h"
#include "txn/take.h"

enum {
    NUMBER_BYTES = 40,
    DIGITS_MAX = 17, /* that tell a number of 64 bits from every other */
};

#define FLAGS_ALL (VARVE_KV_IF_ABSENT | VARVE_KV_IF_PRESENT | VARVE_KV_IF_VERSION | VARVE_KV_NO_WAIT)

struct wish {
    struct varve_kv_write how;
    uint8_t *patch; /* offset and bytes, as in the operation */
    size_t patch_bytes;
    uint8_t *whole; /* where they are all there is */
    uint64_t bytes, most;
    double number, sum;
    char text[NUMBER_BYTES];
};

static int take_how(struct wish *wish, const struct varve_kv_write *how)
{
    if (!vv_take(&wish->how, sizeof wish->how, how) || (wish->how.flags & ~(uint32_t)FLAGS_ALL))
        return VARVE_E_INVALID;
    return 0;
}

/* -- numbers -- */

/* A comma where others write a point is not for files. */
static locale_t plain_numbers(void)
{
    return uselocale(newlocale(LC_ALL_MASK, "C", NULL));
}

static void usual_numbers(locale_t before)
{
    locale_t plain = uselocale(before);

    freelocale(plain);
}

/* With as few digits as give the same number again. */
static size_t print(double number, char *text, size_t room)
{
    size_t bytes = 0;

    for (int digits = 15; digits <= DIGITS_MAX; digits++) {
        bytes = (size_t)snprintf(text, room, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return bytes;
}

size_t vv_kv_print_float(double number, char *text, size_t room)
{
    locale_t before = plain_numbers();
    size_t bytes = print(number, text, room);

    usual_numbers(before);
    return bytes;
}

static int parse(const struct vv_entry *entry, double *ret)
{
    char text[NUMBER_BYTES * 8], *end;

    if (entry->type != VV_ENTRY_VALUE || entry->value_bytes == 0 || entry->value_bytes >= sizeof text)
        return VARVE_E_TYPE;
    memcpy(text, vv_entry_value(entry), entry->value_bytes);
    text[entry->value_bytes] = '\0';
    /* Neither blanks nor words nor hexadecimal digits: strspn ends at those, and at a zero byte. */
    if (strspn(text, "+-.eE0123456789") != entry->value_bytes)
        return VARVE_E_TYPE;
    *ret = strtod(text, &end);
    if (end != text + entry->value_bytes)
        return VARVE_E_TYPE;
    return isfinite(*ret) ? 0 : VARVE_E_RANGE;
}

static int decide_float(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    struct wish *wish = arg;
    double value = 0;
    int rc = vv_kv_check(&wish->how, now);

    if (rc == 0 && now)
        rc = parse(now, &value);
    if (rc)
        return rc;
    wish->sum = value + wish->number;
    if (!isfinite(wish->sum))
        return VARVE_E_RANGE;
    op->kind = VV_OP_SET;
    op->value = wish->text;
    op->value_bytes = print(wish->sum, wish->text, sizeof wish->text);
    op->expires_us = now ? vv_entry_expires(now) : 0;
    return 0;
}

int varve_kv_add_float(struct varve_kv *kv, const void *key, size_t key_bytes, double delta,
                       const struct varve_kv_write *how, double *ret_value, uint64_t *ret_version)
{
    struct wish wish = {.number = delta};
    int rc = take_how(&wish, how);
    locale_t before;

    if (rc || !isfinite(delta))
        return VARVE_E_INVALID;
    before = plain_numbers();
    rc = vv_kv_update(kv, key, key_bytes, !(wish.how.flags & VARVE_KV_NO_WAIT), decide_float, &wish,
                      ret_version);
    usual_numbers(before);
    if (rc == 0 && ret_value)
        *ret_value = wish.sum;
    return rc;
}

/* -- ranges -- */

int varve_kv_get_range(struct varve_kv *kv, const void *key, size_t key_bytes, uint64_t offset, size_t bytes,
                       struct varve_kv_value *ret_value)
{
    struct vv_shard *shard;
    struct vv_entry *e;
    uint64_t hash, lsn;
    bool is_recent;
    int rc = 0, settled;

    if (!vv_kv_key_is_good(key, key_bytes))
        return VARVE_E_INVALID;
    hash = vv_hash(kv->secret, key, key_bytes);
    shard = vv_kv_shard(kv, hash);
    pthread_mutex_lock(&shard->lock);
    e = vv_table_find(&shard->table, hash, key, key_bytes);
    e = vv_kv_seen(vv_kv_hidden(kv), shard, e, hash, key, key_bytes);
    lsn = e ? e->version : shard->deleted_lsn;
    is_recent = e || !kv->env;
    if (!e || vv_entry_is_gone(e) || vv_entry_is_over(e, vv_kv_now(kv)))
        rc = VARVE_E_NO_KEY;
    else if (e->type == VV_ENTRY_STREAM)
        rc = VARVE_E_TYPE;
    else if (!vv_kv_copy_part(ret_value, e, offset, bytes))
        rc = VARVE_E_NOMEM;
    if (rc == 0)
        vv_evict_use(kv, e);
    pthread_mutex_unlock(&shard->lock);
    if (!is_recent)
        rc = vv_store_get(kv, hash, key, key_bytes, offset, bytes, ret_value);
    settled = rc == 0 || rc == VARVE_E_NO_KEY || rc == VARVE_E_TYPE ? vv_kv_settle(kv, lsn) : 0;
    return settled ? settled : rc;
}

static int decide_range(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    struct wish *wish = arg;
    uint64_t offset = vv_get_u64(wish->patch), end = offset + (wish->patch_bytes - VV_OP_POSITION);
    int rc = vv_kv_check(&wish->how, now);

    if (rc)
        return rc;
    if (now && now->type != VV_ENTRY_VALUE)
        return VARVE_E_TYPE;
    wish->bytes = vv_max_u64(end, now ? now->value_bytes : 0);
    /* No larger than what a set could have made. */
    if (wish->bytes > wish->most - VV_OP_HEAD_MAX - op->key_bytes)
        return VARVE_E_TOO_LARGE;
    op->kind = VV_OP_PATCH;
    op->value = wish->patch;
    op->value_bytes = wish->patch_bytes;
    if (!now) {
        /* Said in full, for what has expired may still be there when this is replayed. */
        op->kind = VV_OP_SET;
        op->value = wish->patch + VV_OP_POSITION;
        op->value_bytes = wish->patch_bytes - VV_OP_POSITION;
        if (offset > 0) {
            if (!wish->whole)
                wish->whole = vv_alloc_zero((size_t)end);
            if (!wish->whole)
                return VARVE_E_NOMEM;
            if (op->value_bytes)
                memcpy(wish->whole + offset, op->value, op->value_bytes);
            op->value = wish->whole;
            op->value_bytes = (size_t)end;
        }
    }
    return 0;
}

int varve_kv_set_range(struct varve_kv *kv, const void *key, size_t key_bytes, uint64_t offset,
                       const void *data, size_t data_bytes, const struct varve_kv_write *how,
                       uint64_t *ret_bytes, uint64_t *ret_version)
{
    struct wish wish = {.most = kv->record_max, .patch_bytes = VV_OP_POSITION + data_bytes};
    int rc = take_how(&wish, how);

    if (rc || (data_bytes > 0 && !data))
        return VARVE_E_INVALID;
    if (data_bytes > kv->record_max || offset > kv->record_max)
        return VARVE_E_TOO_LARGE;
    wish.patch = vv_alloc(wish.patch_bytes);
    if (!wish.patch)
        return VARVE_E_NOMEM;
    vv_put_u64(wish.patch, offset);
    if (data_bytes)
        memcpy(wish.patch + VV_OP_POSITION, data, data_bytes);
    rc = vv_kv_update(kv, key, key_bytes, !(wish.how.flags & VARVE_KV_NO_WAIT), decide_range, &wish,
                      ret_version);
    vv_free(wish.patch);
    vv_free(wish.whole);
    if (rc == 0 && ret_bytes)
        *ret_bytes = wish.bytes;
    return rc;
}
