/* SPDX-License-Identifier: Apache-2.0 */
/* The checksums that a format can have, by their name in its table. */
#ifndef VV_FORMAT_SUM_H
#define VV_FORMAT_SUM_H

#include <string.h>

#include "base/crc.h"
#include "varve/format.h"

static inline uint32_t vv_sum(enum varve_format_sum kind, uint32_t sum, const void *p, size_t n)
{
    switch (kind) {
    case VARVE_SUM_CRC32:
        return vv_crc32(sum, p, n);
    case VARVE_SUM_CRC32C:
        return n == 0 ? sum : vv_crc32c(sum, p, n);
    case VARVE_SUM_NONE:
        break;
    }
    return sum;
}

static inline uint32_t vv_sum_copy(enum varve_format_sum kind, uint32_t sum, void *dst, const void *src,
                                   size_t n)
{
    switch (kind) {
    case VARVE_SUM_CRC32:
        return vv_crc32_copy(sum, dst, src, n);
    case VARVE_SUM_CRC32C:
        return vv_crc32c_copy(sum, dst, src, n);
    case VARVE_SUM_NONE:
        break;
    }
    if (n > 0)
        memcpy(dst, src, n);
    return sum;
}

#endif
