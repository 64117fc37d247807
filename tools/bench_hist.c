/* SPDX-License-Identifier: Apache-2.0 */
/* Latencies in buckets, so that keeping one needs no memory while it is measured. */
#include "bench.h"

#include <time.h>

static unsigned hist_bucket(uint64_t ns)
{
    unsigned exponent, bucket;

    if (ns < 32)
        return (unsigned)ns;
    exponent = 63 - (unsigned)__builtin_clzll(ns);
    bucket = (exponent - 4) * 32 + (unsigned)((ns >> (exponent - 5)) & 31);
    return bucket < BENCH_BUCKETS ? bucket : BENCH_BUCKETS - 1;
}

/* The middle of what falls into a bucket. */
static double hist_ns(unsigned bucket)
{
    uint64_t step;

    if (bucket < 32)
        return bucket;
    step = UINT64_C(1) << (bucket / 32 - 1);
    return (double)((32 + bucket % 32) * step) + (double)step / 2;
}

void bench_hist_add(struct bench_hist *hist, uint64_t ns)
{
    hist->count++;
    hist->buckets[hist_bucket(ns)]++;
}

void bench_hist_merge(struct bench_hist *into, const struct bench_hist *from)
{
    into->count += from->count;
    for (size_t i = 0; i < BENCH_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

double bench_hist_us(const struct bench_hist *hist, double percent)
{
    double wanted = (double)hist->count * percent / 100;
    uint64_t seen = 0;

    for (unsigned i = 0; i < BENCH_BUCKETS; i++) {
        seen += hist->buckets[i];
        if (hist->buckets[i] > 0 && (double)seen >= wanted)
            return hist_ns(i) / 1000;
    }
    return 0;
}

uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
