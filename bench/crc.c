/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C for the baselines: a bare loop over the processor's instruction, the least that a log could do. */
#include "bench.h"

#include <string.h>

static uint32_t crc_bytes(uint32_t crc, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1u)));
    }
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc, const uint8_t *data,
                                                               size_t bytes)
{
    uint64_t wide = crc;
    for (; bytes >= 8; data += 8, bytes -= 8) {
        uint64_t word;
        memcpy(&word, data, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; bytes > 0; data++, bytes--)
        crc = _mm_crc32_u8(crc, *data);
    return crc;
}

uint32_t bench_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_hardware(~crc, data, bytes);
    return ~crc_bytes(~crc, data, bytes);
}
#else
uint32_t bench_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    return ~crc_bytes(~crc, data, bytes);
}
#endif

size_t bench_lay_record(uint8_t *to, const void *payload, size_t bytes)
{
    uint32_t header[4] = {0, (uint32_t)bytes, 0, 0};
    memcpy(to, header, sizeof header);
    memcpy(to + BENCH_HEADER_BYTES, payload, bytes);
    uint32_t crc = bench_crc32c(0, to + 4, BENCH_HEADER_BYTES - 4 + bytes);
    memcpy(to, &crc, sizeof crc);
    return BENCH_HEADER_BYTES + bytes;
}
