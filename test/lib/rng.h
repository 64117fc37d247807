/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chance that can be had again. Everything a test leaves to chance comes from one of these, and its seed from
 * VARVE_TEST_SEED, where that is set. The generator is xoshiro256** by Blackman and Vigna (public domain),
 * filled by splitmix64.
 */
#ifndef TEST_LIB_RNG_H
#define TEST_LIB_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_rng {
    uint64_t state[4];
};

/* The seed of this run of the program: VARVE_TEST_SEED (any base that strtoull takes), else a new one. It is
 * printed when it is asked for first, so that it stands in the output of a failed test. Any thread. */
uint64_t test_rng_seed(void);

void test_rng_init(struct test_rng *rng, uint64_t seed);

uint64_t test_rng_next(struct test_rng *rng);
/* Evenly from 0 to bound - 1; `bound` is not 0. */
uint64_t test_rng_below(struct test_rng *rng, uint64_t bound);
/* Evenly from `low` to `high`, both included. */
uint64_t test_rng_range(struct test_rng *rng, uint64_t low, uint64_t high);
/* True once in `times` on average. */
bool test_rng_once_in(struct test_rng *rng, uint64_t times);
void test_rng_fill(struct test_rng *rng, void *buf, size_t len);

/* One step of splitmix64, for hashing a number. */
uint64_t test_rng_mix(uint64_t v);

#endif
