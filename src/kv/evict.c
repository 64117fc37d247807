/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evict: values go, so that others have room.
 *
 * In: how much is wanted. Out: a record for each value that goes, appended before it does, so that replay
 * comes to the same.
 *
 * A shard is drawn, some of its values are looked at, and the one that was used longest ago goes. A version
 * that an open transaction could still look at is not kept: that would free nothing. The transaction has not
 * looked at that key (those are held), so it finds it absent, as it will be when it commits.
 */
#include "kv/evict.h"

#include "base/alloc.h"

enum {
    HELD = 4096,
    UNITS = 64, /* of time, while max_memory is written once */
    SAMPLES = 10,
    WALKS = 8,    /* buckets that are looked at for that */
    IN_A_ROW = 8, /* from one shard */
};

bool vv_evict_init(struct varve_kv *kv)
{
    if (!kv->evicts)
        return true;
    kv->evict_shift = 63 - (unsigned)__builtin_clzll(vv_max_u64(kv->max_memory / UNITS, 1));
    kv->evict_held = vv_alloc_array(HELD, sizeof *kv->evict_held);
    atomic_store(&kv->evict_draw, kv->secret[0]);
    return kv->evict_held != NULL;
}

void vv_evict_free(struct varve_kv *kv)
{
    vv_free((void *)(uintptr_t)kv->evict_held);
}

void vv_evict_hold(struct varve_kv *kv, uint64_t hash)
{
    if (kv->evicts)
        atomic_fetch_add(&kv->evict_held[hash % HELD], 1);
}

void vv_evict_release(struct varve_kv *kv, uint64_t hash)
{
    if (kv->evicts)
        atomic_fetch_sub(&kv->evict_held[hash % HELD], 1);
}

/* Source: Steele, Lea, Flood, Fast splittable pseudorandom number generators, 2014. Shards are looked at in
 * turn: a sequence that is even as a whole only would show each of them the same places again and again. */
static uint64_t draw(struct varve_kv *kv)
{
    uint64_t x = atomic_fetch_add(&kv->evict_draw, UINT64_C(0x9e3779b97f4a7c15));

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

struct sample {
    struct varve_kv *kv;
    uint8_t now, age;
    unsigned count;
    struct vv_entry *oldest;
};

static void look_at(void *arg, struct vv_entry *e)
{
    struct sample *s = arg;
    uint8_t age = (uint8_t)(s->now - e->used);
    uint64_t hash;

    if (e->type != VV_ENTRY_VALUE)
        return;
    s->count++;
    if (s->oldest && age <= s->age)
        return;
    hash = vv_table_hash(&s->kv->shards->table, e);
    if (atomic_load(&s->kv->evict_held[hash % HELD]) != 0)
        return;
    s->oldest = e;
    s->age = age;
}

/* `order` is held: what is found stays. `all`: looks everywhere until there is one. */
static struct vv_entry *find(struct varve_kv *kv, struct vv_shard *shard, bool all)
{
    uint64_t walks = all ? shard->table.buckets + WALKS : WALKS;
    struct sample s = {.kv = kv};
    uint64_t place = draw(kv) & (VV_PLACE_END - 1);

    s.now = (uint8_t)(atomic_load_explicit(&kv->evict_written, memory_order_relaxed) >> kv->evict_shift);
    pthread_mutex_lock(&shard->lock);
    for (uint64_t i = 0; i < (s.oldest ? WALKS : walks) && (s.count < SAMPLES || !s.oldest); i++) {
        place = vv_table_walk(&shard->table, place, look_at, &s);
        place = place == VV_PLACE_END ? 0 : place;
    }
    pthread_mutex_unlock(&shard->lock);
    return s.oldest;
}

/* `order` is held. */
static int evict(struct varve_kv *kv, struct vv_shard *shard, struct vv_entry *e)
{
    const struct vv_op op = {.kind = VV_OP_EVICTED, .key = vv_entry_key(e), .key_bytes = e->key_bytes};
    uint64_t hash = vv_table_hash(&shard->table, e), lsn;
    int rc;

    atomic_store(&shard->inflight, varve_last_lsn(kv->log) + 1);
    rc = vv_kv_append(kv, &op, NULL, &lsn);
    if (rc == 0) {
        vv_shard_change(kv, shard, hash, e, NULL, lsn, NULL);
        atomic_fetch_add(&kv->evicted, 1);
    }
    atomic_store(&shard->inflight, 0);
    return rc;
}

static bool is_enough(struct varve_kv *kv, uint64_t bytes)
{
    return atomic_load_explicit(&kv->memory, memory_order_relaxed) + bytes <= kv->max_memory;
}

int vv_evict(struct varve_kv *kv, uint64_t bytes)
{
    uint32_t mask = kv->shard_count - 1, in_vain = 0;
    int rc = 0;

    if (!kv->evicts || bytes > kv->max_memory)
        return VARVE_E_MEMORY;
    for (uint32_t number = (uint32_t)draw(kv) & mask; !is_enough(kv, bytes); number = (number + 1) & mask) {
        struct vv_shard *shard = &kv->shards[number];
        bool found = true, any = false;

        pthread_mutex_lock(&shard->order);
        for (int i = 0; i < IN_A_ROW && rc == 0 && found && !is_enough(kv, bytes); i++) {
            struct vv_entry *e = find(kv, shard, in_vain >= kv->shard_count);

            found = e != NULL;
            any |= found;
            rc = found ? evict(kv, shard, e) : 0;
        }
        pthread_mutex_unlock(&shard->order);
        if (rc)
            return rc;
        if (atomic_load_explicit(&kv->keeper_stop, memory_order_relaxed))
            return VARVE_E_MEMORY; /* it is being closed */
        in_vain = any ? 0 : in_vain + 1;
        if (in_vain >= 2 * kv->shard_count)
            return VARVE_E_MEMORY;
    }
    return 0;
}
