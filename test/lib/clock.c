/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/clock.h"

static uint64_t clock_look(struct test_clock *clock, uint64_t *hand)
{
    pthread_mutex_lock(&clock->lock);
    uint64_t us = *hand;
    clock->realtime_us += clock->step_us;
    clock->monotonic_us += clock->step_us;
    pthread_mutex_unlock(&clock->lock);
    return us;
}

static uint64_t clock_realtime_us(struct varve_io *io)
{
    struct test_clock *clock = io->ctx;
    return clock_look(clock, &clock->realtime_us);
}

static uint64_t clock_monotonic_us(struct varve_io *io)
{
    struct test_clock *clock = io->ctx;
    return clock_look(clock, &clock->monotonic_us);
}

static int clock_random(struct varve_io *io, void *buf, size_t len)
{
    struct test_clock *clock = io->ctx;
    pthread_mutex_lock(&clock->lock);
    test_rng_fill(&clock->rng, buf, len);
    pthread_mutex_unlock(&clock->lock);
    return 0;
}

void test_clock_init(struct test_clock *clock, struct varve_io *below, uint64_t realtime_us, uint64_t step_us,
                     uint64_t seed)
{
    test_pass_init(&clock->pass, below);
    clock->pass.io.realtime_us = clock_realtime_us;
    clock->pass.io.monotonic_us = clock_monotonic_us;
    clock->pass.io.monotonic_coarse_us = clock_monotonic_us;
    clock->pass.io.random = clock_random;
    pthread_mutex_init(&clock->lock, NULL);
    clock->realtime_us = realtime_us;
    clock->monotonic_us = 1;
    clock->step_us = step_us;
    test_rng_init(&clock->rng, seed);
}

void test_clock_close(struct test_clock *clock)
{
    pthread_mutex_destroy(&clock->lock);
}

void test_clock_advance(struct test_clock *clock, uint64_t us)
{
    pthread_mutex_lock(&clock->lock);
    clock->realtime_us += us;
    clock->monotonic_us += us;
    pthread_mutex_unlock(&clock->lock);
}

void test_clock_set_realtime(struct test_clock *clock, uint64_t us)
{
    pthread_mutex_lock(&clock->lock);
    clock->realtime_us = us;
    pthread_mutex_unlock(&clock->lock);
}
