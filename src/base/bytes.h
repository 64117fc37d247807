/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Little-endian integers (and big-endian ones) at any address, and arithmetic that cannot wrap unseen.
 * Compilers turn each get and put into one load or store where the machine is little-endian.
 */
#ifndef VV_BASE_BYTES_H
#define VV_BASE_BYTES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define VV_LE16(v) __builtin_bswap16(v)
#define VV_LE32(v) __builtin_bswap32(v)
#define VV_LE64(v) __builtin_bswap64(v)
#else
#define VV_LE16(v) (v)
#define VV_LE32(v) (v)
#define VV_LE64(v) (v)
#endif

static inline uint16_t vv_get_u16(const void *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return VV_LE16(v);
}

static inline uint32_t vv_get_u32(const void *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return VV_LE32(v);
}

static inline uint64_t vv_get_u64(const void *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return VV_LE64(v);
}

static inline void vv_put_u16(void *at, uint16_t v)
{
    v = VV_LE16(v);
    memcpy(at, &v, sizeof v);
}

static inline void vv_put_u32(void *at, uint32_t v)
{
    v = VV_LE32(v);
    memcpy(at, &v, sizeof v);
}

static inline void vv_put_u64(void *at, uint64_t v)
{
    v = VV_LE64(v);
    memcpy(at, &v, sizeof v);
}

/* Big-endian, where another's format wants it. */
static inline uint32_t vv_get_u32_be(const void *at)
{
    return __builtin_bswap32(vv_get_u32(at));
}

static inline uint64_t vv_get_u64_be(const void *at)
{
    return __builtin_bswap64(vv_get_u64(at));
}

static inline void vv_put_u32_be(void *at, uint32_t v)
{
    vv_put_u32(at, __builtin_bswap32(v));
}

static inline void vv_put_u64_be(void *at, uint64_t v)
{
    vv_put_u64(at, __builtin_bswap64(v));
}

static inline bool vv_is_power_of_two(uint64_t v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

/* `v` rounded up to a multiple of `unit`, a power of two. The caller knows that v + unit does not wrap: a
 * length from disk is checked against what holds it first, or goes through vv_round_up_checked. */
static inline uint64_t vv_round_up(uint64_t v, uint64_t unit)
{
    assert(vv_is_power_of_two(unit));
    assert(v <= UINT64_MAX - (unit - 1));
    return (v + (unit - 1)) & ~(unit - 1);
}

static inline uint64_t vv_round_down(uint64_t v, uint64_t unit)
{
    assert(vv_is_power_of_two(unit));
    return v & ~(unit - 1);
}

/* The checked ones return false, and leave *ret alone, when the result does not fit. */
static inline bool vv_add_checked(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *ret = sum;
    return true;
}

static inline bool vv_mul_checked(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *ret = product;
    return true;
}

static inline bool vv_round_up_checked(uint64_t v, uint64_t unit, uint64_t *ret)
{
    assert(vv_is_power_of_two(unit));
    if (v > UINT64_MAX - (unit - 1)) {
        return false;
    }
    *ret = vv_round_up(v, unit);
    return true;
}

static inline uint64_t vv_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t vv_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Whether all `n` bytes at `p` are zero. */
static inline bool vv_is_zero(const void *p, size_t n)
{
    const unsigned char *at = p;
    /* Equal to itself moved by one, and zero at its start: then zero throughout; memcmp is the fastest loop
     * there is. */
    return n == 0 || (at[0] == 0 && memcmp(at, at + 1, n - 1) == 0);
}

#endif
