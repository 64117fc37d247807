/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <stdarg.h>
#include <stdio.h>

const struct vv_bounds vv_bounds_us = {{10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000,
                                        100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000}};

const struct vv_bounds vv_bounds_count = {
    {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144}};

void vv_histogram_add(struct vv_histogram *histogram, const struct vv_bounds *bounds, uint64_t value)
{
    unsigned bucket = 0;

    while (bucket < VV_HISTOGRAM_BUCKETS && value > bounds->at[bucket])
        bucket++;
    atomic_fetch_add_explicit(&histogram->count[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}

void vv_histogram_read(struct vv_histogram *from, uint64_t *ret_count, uint64_t *ret_sum)
{
    for (unsigned i = 0; i <= VV_HISTOGRAM_BUCKETS; i++)
        ret_count[i] += atomic_load_explicit(&from->count[i], memory_order_relaxed);
    *ret_sum += atomic_load_explicit(&from->sum, memory_order_relaxed);
}

void vv_text_print(struct vv_text *text, const char *format, ...)
{
    va_list args;
    int len;

    if (text->full)
        return;
    va_start(args, format);
    len = vsnprintf(text->buf + text->len, text->room - text->len, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= text->room - text->len) {
        text->full = 1;
        text->buf[text->len] = 0;
        return;
    }
    text->len += (size_t)len;
}
