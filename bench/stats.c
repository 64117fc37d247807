/* SPDX-License-Identifier: Apache-2.0 */
/* Latencies in a histogram of fixed size, so that keeping one costs no memory and no allocation while it is
 * measured; medians over rounds; the clock. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 256)
        return (unsigned)ns;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(ns);
    if (exponent > 35)
        return LATENCY_BUCKETS - 1;
    return 256u + (exponent - 8u) * 128u + (unsigned)((ns >> (exponent - 7u)) & 127u);
}

/* The middle of what falls into the bucket. */
static double bucket_ns(unsigned bucket)
{
    if (bucket < 256)
        return (double)bucket;
    unsigned exponent = 8u + (bucket - 256u) / 128u;
    uint64_t step = UINT64_C(1) << (exponent - 7u);
    uint64_t low = (UINT64_C(128) + (bucket - 256u) % 128u) * step;
    return (double)low + (double)step / 2;
}

void latency_add(struct latency *latency, uint64_t ns)
{
    latency->count++;
    if (ns > latency->max_ns)
        latency->max_ns = ns;
    latency->buckets[bucket_of(ns)]++;
}

void latency_merge(struct latency *into, const struct latency *from)
{
    into->count += from->count;
    if (from->max_ns > into->max_ns)
        into->max_ns = from->max_ns;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

/* The middle of a bucket may lie beyond the greatest value in it. */
double latency_percentile_us(const struct latency *latency, double percent)
{
    if (latency->count == 0)
        return 0;
    double wanted = (double)latency->count * percent / 100;
    uint64_t seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latency->buckets[i];
        if (latency->buckets[i] > 0 && (double)seen >= wanted)
            return fmin(bucket_ns(i), (double)latency->max_ns) / 1000;
    }
    return (double)latency->max_ns / 1000;
}

void latency_sample(const struct latency *latency, struct sample *ret_sample)
{
    ret_sample->p50_us = latency_percentile_us(latency, 50);
    ret_sample->p99_us = latency_percentile_us(latency, 99);
    ret_sample->p999_us = latency_percentile_us(latency, 99.9);
    ret_sample->max_us = (double)latency->max_ns / 1000;
    ret_sample->unfairness = ret_sample->p50_us > 0 ? ret_sample->max_us / ret_sample->p50_us : 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct spread spread_of(double *values, unsigned count)
{
    if (count == 0)
        return (struct spread){0};
    qsort(values, count, sizeof values[0], compare_doubles);
    double middle = values[count / 2];
    if (count % 2 == 0)
        middle = (middle + values[count / 2 - 1]) / 2;
    return (struct spread){.median = middle, .least = values[0], .greatest = values[count - 1]};
}

uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void bench_sleep_s(double seconds)
{
    struct timespec left = {.tv_sec = (time_t)seconds};
    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) != 0) {
    }
}
