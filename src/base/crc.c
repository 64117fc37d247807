/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32 is ISA-L's at every length: no instruction computes it. Of CRC-32C, long inputs go to ISA-L, which
 * folds with carry-less multiplication; below CRC_SHORT_BYTES its set-up costs more than it gains and a plain
 * loop over the processor's crc32 instruction wins. Which processors have that is asked of the compiler's own
 * table, filled before main: nothing is decided here at run time, so nothing can race.
 */
#include "base/crc.h"

#include <isa-l/crc.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

enum {
    CRC_SHORT_BYTES = 256,
    /* Copied and then summed while it is in the first-level cache (32 KiB on most, for source and copy). */
    CRC_PIECE_BYTES = 8 * 1024,
    /* ISA-L takes an int. */
    CRC_ISAL_BYTES = 1 << 30,
};

/* ISA-L's function neither inverts before nor after. */
static uint32_t crc_long(uint32_t state, const unsigned char *p, size_t n)
{
    while (n > 0) {
        int bytes = n > CRC_ISAL_BYTES ? CRC_ISAL_BYTES : (int)n;
        state = crc32_iscsi((unsigned char *)(uintptr_t)p, bytes, state);
        p += bytes;
        n -= (size_t)bytes;
    }
    return state;
}

#if defined(__x86_64__)

static inline bool crc_has_instruction(void)
{
#if defined(__SSE4_2__)
    return true;
#else
    return __builtin_cpu_supports("sse4.2");
#endif
}

__attribute__((target("sse4.2"))) static uint32_t crc_short(uint32_t state, const unsigned char *p, size_t n)
{
    uint64_t wide = state;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        wide = _mm_crc32_u64(wide, v);
    }
    state = (uint32_t)wide;
    if ((n & 4) != 0) {
        uint32_t v;
        memcpy(&v, p, sizeof v);
        state = _mm_crc32_u32(state, v);
        p += 4;
    }
    if ((n & 2) != 0) {
        uint16_t v;
        memcpy(&v, p, sizeof v);
        state = _mm_crc32_u16(state, v);
        p += 2;
    }
    return (n & 1) != 0 ? _mm_crc32_u8(state, *p) : state;
}

__attribute__((target("sse4.2"))) static uint32_t crc_short_copy(uint32_t state, unsigned char *to,
                                                                 const unsigned char *from, size_t n)
{
    uint64_t wide = state;
    for (; n >= 8; to += 8, from += 8, n -= 8) {
        uint64_t v;
        memcpy(&v, from, sizeof v);
        memcpy(to, &v, sizeof v);
        wide = _mm_crc32_u64(wide, v);
    }
    /* The last 0 to 7 bytes: summed from where they were copied to. */
    memcpy(to, from, n);
    return crc_short((uint32_t)wide, to, n);
}

#else

/* Elsewhere ISA-L does all of it (on aarch64 with that processor's instructions). */
static inline bool crc_has_instruction(void)
{
    return false;
}

static uint32_t crc_short(uint32_t state, const unsigned char *p, size_t n)
{
    return crc_long(state, p, n);
}

static uint32_t crc_short_copy(uint32_t state, unsigned char *to, const unsigned char *from, size_t n)
{
    memcpy(to, from, n);
    return crc_long(state, to, n);
}

#endif

uint32_t vv_crc32c(uint32_t crc, const void *p, size_t n)
{
    if (n < CRC_SHORT_BYTES && crc_has_instruction()) {
        return ~crc_short(~crc, p, n);
    }
    return ~crc_long(~crc, p, n);
}

uint32_t vv_crc32c_copy(uint32_t crc, void *dst, const void *src, size_t n)
{
    unsigned char *to = dst;
    const unsigned char *from = src;
    uint32_t state = ~crc;
    if (n == 0) {
        return crc; /* an empty piece may have no address, and memcpy must not be given that */
    }
    if (n < CRC_SHORT_BYTES && crc_has_instruction()) {
        return ~crc_short_copy(state, to, from, n);
    }
    while (n > 0) {
        size_t bytes = n > CRC_PIECE_BYTES ? CRC_PIECE_BYTES : n;
        /* A compiler that knows the bound puts a string instruction here, which costs 15 to 50 ns to start;
         * libc's memcpy does not. */
        __asm__("" : "+r"(bytes));
        memcpy(to, from, bytes);
        state = crc_long(state, to, bytes);
        to += bytes;
        from += bytes;
        n -= bytes;
    }
    return ~state;
}

uint32_t vv_crc32(uint32_t crc, const void *p, size_t n)
{
    return n == 0 ? crc : crc32_gzip_refl(crc, p, n);
}

uint32_t vv_crc32_copy(uint32_t crc, void *dst, const void *src, size_t n)
{
    unsigned char *to = dst;
    const unsigned char *from = src;
    while (n > 0) {
        size_t bytes = n > CRC_PIECE_BYTES ? CRC_PIECE_BYTES : n;
        __asm__("" : "+r"(bytes)); /* as above: libc's memcpy, not a string instruction */
        memcpy(to, from, bytes);
        crc = crc32_gzip_refl(crc, to, bytes);
        to += bytes;
        from += bytes;
        n -= bytes;
    }
    return crc;
}

uint32_t vv_crc32c_before(uint32_t crc, const void *p, size_t n)
{
    const unsigned char *at = (const unsigned char *)p + n;
    uint32_t state = ~crc;
    while (n-- > 0) {
        /* Each step forwards shifts to the right and puts in the polynomial, whose highest bit is set, where
         * a one fell out. */
        for (int bit = 0; bit < 8; bit++) {
            bool one = state & 0x80000000u;
            state = (one ? state ^ 0x82F63B78u : state) << 1 | one;
        }
        state ^= *--at;
    }
    return ~state;
}
