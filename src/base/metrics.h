/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms that are added to without a lock, and text of bounded length. No state of their own. */
#ifndef VV_BASE_METRICS_H
#define VV_BASE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/export.h"

#define VV_HISTOGRAM_BUCKETS 19 /* and one above them */

/* Upper bounds, inclusive, ascending. */
struct vv_bounds {
    uint64_t at[VV_HISTOGRAM_BUCKETS];
};
extern const struct vv_bounds vv_bounds_us;    /* 10 us to 10 s */
extern const struct vv_bounds vv_bounds_count; /* 1 to 262,144 */

/* On cache lines of its own. Zeroed, it is ready. */
struct vv_histogram {
    _Alignas(64) _Atomic uint64_t count[VV_HISTOGRAM_BUCKETS + 1];
    _Atomic uint64_t sum;
};

void vv_histogram_add(struct vv_histogram *histogram, const struct vv_bounds *bounds, uint64_t value);

/* Adds what is in `from` to the plain numbers in `ret_count` (VV_HISTOGRAM_BUCKETS + 1) and *ret_sum. */
void vv_histogram_read(struct vv_histogram *from, uint64_t *ret_count, uint64_t *ret_sum);

struct vv_text {
    char *buf; /* with a NUL at the end of what is there */
    size_t room, len;
    int full; /* something did not fit: the rest is left out */
};

void vv_text_print(struct vv_text *text, const char *format, ...) VARVE_PRINTF(2, 3);

#endif
