/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes when max_memory is reached, and entries are evicted: a value that was not used for long, of some
 * that are looked at, as Redis does it. Never a lock or a stream, and no key that an open transaction has
 * looked at.
 *
 * Time is counted in bytes of entries that were written: a unit is a 64th of max_memory, or up to twice that,
 * so nothing ages while nothing has to go. Of a moment 8 bits are kept, which is four times max_memory back:
 * whatever was not used for so long is gone long since.
 *
 * Source: Redis, "Key eviction" (the approximated LRU algorithm), redis.io.
 */
#ifndef VV_KV_EVICT_H
#define VV_KV_EVICT_H

#include "kv/engine.h"

/* Once the options are taken. False: no memory. */
bool vv_evict_init(struct varve_kv *kv);
void vv_evict_free(struct varve_kv *kv);

/* An entry is used. The shard's `lock` is held. */
static inline void vv_evict_use(struct varve_kv *kv, struct vv_entry *entry)
{
    if (kv->evicts)
        entry->used =
            (uint8_t)(atomic_load_explicit(&kv->evict_written, memory_order_relaxed) >> kv->evict_shift);
}

/* From here on the key with this hash is not evicted; until release, as often. */
void vv_evict_hold(struct varve_kv *kv, uint64_t hash);
void vv_evict_release(struct varve_kv *kv, uint64_t hash);

/* Evicts until so many bytes more may be used. No lock is held. Errors: MEMORY (there is nothing left that
 * may go), and those of an append. */
int vv_evict(struct varve_kv *kv, uint64_t bytes);

#endif
