/* SPDX-License-Identifier: Apache-2.0 */
/* digest: one number for all that an engine holds. Source of SHA-256: FIPS 180-4, by libcrypto. */
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "kv/engine.h"

struct all {
    struct vv_entry **entries;
    size_t count, room;
    bool full;
};

static void add(void *arg, struct vv_entry *entry)
{
    struct all *all = arg;

    if (all->count == all->room) {
        size_t room = all->room ? all->room * 2 : 1024;
        struct vv_entry **entries = vv_realloc(all->entries, room * sizeof(struct vv_entry *));

        if (!entries) {
            all->full = true;
            return;
        }
        all->entries = entries;
        all->room = room;
    }
    all->entries[all->count++] = entry;
}

static int by_key(const void *a, const void *b)
{
    const struct vv_entry *x = *(struct vv_entry *const *)a, *y = *(struct vv_entry *const *)b;
    size_t both = x->key_bytes < y->key_bytes ? x->key_bytes : y->key_bytes;
    int order = memcmp(vv_entry_key(x), vv_entry_key(y), both);

    if (order == 0)
        order = (x->key_bytes > y->key_bytes) - (x->key_bytes < y->key_bytes);
    /* An event may be called like a key. */
    return order ? order : (x->type > y->type) - (x->type < y->type);
}

static bool sum_entry(EVP_MD_CTX *sum, const struct vv_entry *e)
{
    uint8_t head[2], middle[21];

    vv_put_u16(head, e->key_bytes);
    middle[0] = e->type;
    vv_put_u64(middle + 1, e->version);
    vv_put_u64(middle + 9, vv_entry_expires(e));
    vv_put_u32(middle + 17, e->value_bytes);
    return EVP_DigestUpdate(sum, head, sizeof head) && EVP_DigestUpdate(sum, vv_entry_key(e), e->key_bytes) &&
           EVP_DigestUpdate(sum, middle, sizeof middle) &&
           EVP_DigestUpdate(sum, vv_entry_value(e), e->value_bytes);
}

/* Every shard's writers stand still: entries are pointed at. */
static void lock_all(struct varve_kv *kv, int (*fn)(pthread_mutex_t *mutex))
{
    for (uint32_t i = 0; i < kv->shard_count; i++)
        (void)fn(&kv->shards[i].order);
}

int varve_kv_digest(struct varve_kv *kv, uint8_t ret_digest[VARVE_KV_DIGEST_BYTES])
{
    struct all all = {.entries = NULL};
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    bool good = sum && EVP_DigestInit_ex(sum, EVP_sha256(), NULL);

    lock_all(kv, pthread_mutex_lock);
    for (uint32_t i = 0; i < kv->shard_count; i++)
        for (uint64_t place = 0; place < VV_PLACE_END;)
            place = vv_table_walk(&kv->shards[i].table, place, add, &all);
    if (all.count)
        qsort(all.entries, all.count, sizeof *all.entries, by_key);
    for (size_t i = 0; i < all.count && good; i++)
        good = sum_entry(sum, all.entries[i]);
    lock_all(kv, pthread_mutex_unlock);
    good = good && !all.full && EVP_DigestFinal_ex(sum, ret_digest, NULL);
    EVP_MD_CTX_free(sum);
    vv_free(all.entries);
    return good ? 0 : VARVE_E_NOMEM;
}
