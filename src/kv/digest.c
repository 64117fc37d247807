/* SPDX-License-Identifier: Apache-2.0 */
/* digest: one number for all that an engine holds. Source of SHA-256: FIPS 180-4, by libcrypto. */
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "kv/store.h"

/* Where an entry is: in memory, or with its lowest bit set in the environment's map. Both are at even
 * addresses. */
typedef uintptr_t place;

struct all {
    place *places;
    size_t count, room;
    bool full;
};

static void add_place(struct all *all, place at)
{
    if (all->count == all->room) {
        size_t room = all->room ? all->room * 2 : 1024;
        place *places = vv_realloc(all->places, room * sizeof *places);

        if (!places) {
            all->full = true;
            return;
        }
        all->places = places;
        all->room = room;
    }
    all->places[all->count++] = at;
}

static void add(void *arg, struct vv_entry *entry)
{
    add_place(arg, (place)entry);
}

static struct vv_stored look(place at)
{
    return at & 1 ? vv_stored_again((const uint8_t *)(at - 1)) : vv_stored_of((const struct vv_entry *)at);
}

static int by_key(const struct vv_stored *x, const struct vv_stored *y)
{
    int order = memcmp(x->key, y->key, x->key_bytes < y->key_bytes ? x->key_bytes : y->key_bytes);

    if (order == 0)
        order = (x->key_bytes > y->key_bytes) - (x->key_bytes < y->key_bytes);
    /* An event may be called like a key. */
    return order ? order : (x->type == VV_ENTRY_EVENT) - (y->type == VV_ENTRY_EVENT);
}

/* Of the same key what is in memory comes first. */
static int by_key_and_place(const void *a, const void *b)
{
    place p = *(const place *)a, q = *(const place *)b;
    const struct vv_stored x = look(p), y = look(q);
    int order = by_key(&x, &y);

    return order ? order : (int)(p & 1) - (int)(q & 1);
}

static bool sum_entry(EVP_MD_CTX *sum, const struct vv_stored *e)
{
    uint8_t head[2], middle[21];

    vv_put_u16(head, (uint16_t)e->key_bytes);
    middle[0] = (uint8_t)e->type;
    vv_put_u64(middle + 1, e->version);
    vv_put_u64(middle + 9, e->expires_us);
    vv_put_u32(middle + 17, (uint32_t)e->value_bytes);
    return EVP_DigestUpdate(sum, head, sizeof head) && EVP_DigestUpdate(sum, e->key, e->key_bytes) &&
           EVP_DigestUpdate(sum, middle, sizeof middle) && EVP_DigestUpdate(sum, e->value, e->value_bytes);
}

static bool sum_all(EVP_MD_CTX *sum, const struct all *all)
{
    struct vv_stored last = {.key = NULL};
    bool good = true;

    for (size_t i = 0; i < all->count && good; i++) {
        const struct vv_stored s = look(all->places[i]);

        if (last.key && by_key(&last, &s) == 0)
            continue; /* what memory has counts */
        last = s;
        good = s.type == VV_ENTRY_GONE || sum_entry(sum, &s);
    }
    return good;
}

/* What the environment has, which stays where it is until the read ends. */
static int add_stored(struct vv_env_read *read, struct all *all)
{
    const uint8_t *run, *at, *before;
    uint64_t word = 0;
    struct vv_stored s;
    size_t bytes;
    int rc;

    while ((rc = vv_env_next(read, &word, &run, &bytes)) == 0) {
        for (at = before = run; (rc = vv_stored_next(word, &at, run + bytes, &s)) == 0; before = at)
            add_place(all, (place)before | 1);
        if (rc != VARVE_END)
            return rc;
        if (++word == 0)
            break;
    }
    return rc == VARVE_END ? 0 : rc;
}

/* Every shard's writers stand still: entries are pointed at. */
static void lock_all(struct varve_kv *kv, int (*fn)(pthread_mutex_t *mutex))
{
    for (uint32_t i = 0; i < kv->shard_count; i++)
        (void)fn(&kv->shards[i].order);
}

static int gather(struct varve_kv *kv, struct all *all, struct vv_env_read **ret_read)
{
    int rc = 0;

    for (uint32_t i = 0; i < kv->shard_count; i++)
        for (uint64_t from = 0; from < VV_PLACE_END;)
            from = vv_table_walk(&kv->shards[i].table, from, add, all);
    if (kv->env)
        rc = vv_env_read_begin(kv->env, ret_read);
    if (kv->env && rc == 0)
        rc = add_stored(*ret_read, all);
    return rc == 0 && all->full ? VARVE_E_NOMEM : rc;
}

int varve_kv_digest(struct varve_kv *kv, uint8_t ret_digest[VARVE_KV_DIGEST_BYTES])
{
    struct all all = {.places = NULL};
    struct vv_env_read *read = NULL;
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    int rc = sum && EVP_DigestInit_ex(sum, EVP_sha256(), NULL) ? 0 : VARVE_E_NOMEM;

    lock_all(kv, pthread_mutex_lock);
    if (rc == 0)
        rc = gather(kv, &all, &read);
    if (rc == 0 && all.count)
        qsort(all.places, all.count, sizeof *all.places, by_key_and_place);
    if (rc == 0 && !sum_all(sum, &all))
        rc = VARVE_E_NOMEM;
    if (read)
        vv_env_read_end(kv->env, read);
    lock_all(kv, pthread_mutex_unlock);
    if (rc == 0 && !EVP_DigestFinal_ex(sum, ret_digest, NULL))
        rc = VARVE_E_NOMEM;
    EVP_MD_CTX_free(sum);
    vv_free(all.places);
    return rc;
}
