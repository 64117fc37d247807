/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rng.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t rng_seed;

static void rng_choose_seed(void)
{
    const char *text = getenv("VARVE_TEST_SEED");
    if (text != NULL && text[0] != '\0') {
        char *end;
        errno = 0;
        rng_seed = strtoull(text, &end, 0);
        if (errno != 0 || *end != '\0') {
            fprintf(stderr, "VARVE_TEST_SEED is no number: %s\n", text);
            exit(1);
        }
    } else {
        ssize_t got = getrandom(&rng_seed, sizeof rng_seed, 0);
        assert(got == (ssize_t)sizeof rng_seed);
        (void)got;
    }
    fprintf(stderr, "seed: VARVE_TEST_SEED=%" PRIu64 "\n", rng_seed);
}

uint64_t test_rng_seed(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, rng_choose_seed);
    return rng_seed;
}

uint64_t test_rng_mix(uint64_t v)
{
    v += UINT64_C(0x9e3779b97f4a7c15);
    v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
    return v ^ (v >> 31);
}

void test_rng_init(struct test_rng *rng, uint64_t seed)
{
    for (uint64_t i = 0; i < 4; i++) {
        rng->state[i] = test_rng_mix(seed + i * UINT64_C(0x9e3779b97f4a7c15));
    }
}

static uint64_t rng_rotate(uint64_t v, int bits)
{
    return (v << bits) | (v >> (64 - bits));
}

uint64_t test_rng_next(struct test_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rng_rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rng_rotate(s[3], 45);
    return result;
}

uint64_t test_rng_below(struct test_rng *rng, uint64_t bound)
{
    assert(bound != 0);
    /* What is left over at the top would make the small numbers a little likelier. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t v;
    do {
        v = test_rng_next(rng);
    } while (v >= limit);
    return v % bound;
}

uint64_t test_rng_range(struct test_rng *rng, uint64_t low, uint64_t high)
{
    assert(low <= high && high - low < UINT64_MAX);
    return low + test_rng_below(rng, high - low + 1);
}

bool test_rng_once_in(struct test_rng *rng, uint64_t times)
{
    return test_rng_below(rng, times) == 0;
}

void test_rng_fill(struct test_rng *rng, void *buf, size_t len)
{
    unsigned char *at = buf;
    while (len > 0) {
        uint64_t v = test_rng_next(rng);
        size_t bytes = len < sizeof v ? len : sizeof v;
        memcpy(at, &v, bytes);
        at += bytes;
        len -= bytes;
    }
}
