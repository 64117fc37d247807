/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4): polynomial 0x1EDC6F41, reflected, inverted before and after.
 * Check value of "123456789": 0xE3069283. And CRC-32/ISO-HDLC, the one of zlib and Ethernet: polynomial
 * 0x04C11DB7, likewise; check value 0xCBF43926.
 *
 * A sum starts with 0 and goes on where another ended: vv_crc32c(vv_crc32c(0, a), b) is the sum of a and b
 * laid end to end. So a seed is the sum of the bytes it stands for. Any thread, any alignment, any length.
 */
#ifndef VV_BASE_CRC_H
#define VV_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

uint32_t vv_crc32c(uint32_t crc, const void *p, size_t n);

/* Copies `n` bytes to `dst` (not overlapping) and returns vv_crc32c of what `dst` then holds: also where
 * somebody writes to `src` meanwhile, copy and sum agree. */
uint32_t vv_crc32c_copy(uint32_t crc, void *dst, const void *src, size_t n);

uint32_t vv_crc32(uint32_t crc, const void *p, size_t n);
uint32_t vv_crc32_copy(uint32_t crc, void *dst, const void *src, size_t n);
/* The value from which these `n` bytes lead to `crc`: vv_crc32c(vv_crc32c_before(crc, p, n), p, n) == crc. */
uint32_t vv_crc32c_before(uint32_t crc, const void *p, size_t n);

#endif
