/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash of keys: 64 bits, with a secret of the process, so that nobody who chooses keys can choose where
 * they go. Products of 64 by 64 bits, folded, 16 bytes a step. Nothing on disk depends on it.
 */
#ifndef VV_KV_HASH_H
#define VV_KV_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t vv_hash_fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* `secret`: two random words. */
static inline uint64_t vv_hash(const uint64_t secret[2], const void *key, size_t bytes)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    const uint8_t *at = key;
    uint64_t h = secret[0] ^ (bytes * odd), a, b;

    for (; bytes > 16; bytes -= 16, at += 16) {
        memcpy(&a, at, 8);
        memcpy(&b, at + 8, 8);
        h = vv_hash_fold(a ^ secret[1], b ^ h);
    }
    a = b = 0;
    memcpy(&a, at, bytes < 8 ? bytes : 8);
    if (bytes > 8)
        memcpy(&b, at + 8, bytes - 8);
    h = vv_hash_fold(a ^ secret[1], b ^ h);
    return vv_hash_fold(h ^ secret[0], odd);
}

/* Of an event of the stream whose key has this hash: elsewhere in the table, and in the same shard, whose
 * number is taken from the first bits. */
static inline uint64_t vv_hash_event(uint64_t hash, uint64_t position)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15), low = (UINT64_C(1) << 48) - 1;

    return (hash & ~low) | (vv_hash_fold(hash ^ odd, position + odd) & low);
}

#endif
