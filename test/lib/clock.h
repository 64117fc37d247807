/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and randomness that are the same in every run: for files that are compared byte by byte, and for tests
 * that want an hour to pass. Both clocks stand still unless they are moved. Waiting is not touched: a thread
 * that sleeps sleeps by the system's clock.
 */
#ifndef TEST_LIB_CLOCK_H
#define TEST_LIB_CLOCK_H

#include <pthread.h>
#include <stdint.h>

#include "lib/pass.h"
#include "lib/rng.h"

struct test_clock {
    struct test_pass pass; /* first: pass.io is the table */
    pthread_mutex_t lock;
    uint64_t realtime_us;  /* [lock] */
    uint64_t monotonic_us; /* [lock] */
    uint64_t step_us;      /* [lock] both clocks move by this after each look at one of them */
    struct test_rng rng;   /* [lock] */
};

/* `below`: NULL = the system's. `seed`: what random() gives follows from it. */
void test_clock_init(struct test_clock *clock, struct varve_io *below, uint64_t realtime_us, uint64_t step_us,
                     uint64_t seed);
void test_clock_close(struct test_clock *clock);

/* Moves both clocks on. */
void test_clock_advance(struct test_clock *clock, uint64_t us);
/* Sets the wall clock alone, also backwards. */
void test_clock_set_realtime(struct test_clock *clock, uint64_t us);

#endif
