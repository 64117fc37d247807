/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/child.h"

/* A seed must give the same numbers for ever, or old failures cannot be had again. */
static void test_rng__numbers_of_a_seed(void **state)
{
    (void)state;
    struct test_rng rng;
    test_rng_init(&rng, 0);
    /* The first output of splitmix64 from 0, published by its author. */
    assert_true(rng.state[0] == UINT64_C(0xe220a8397b1dcdaf));
    rng = (struct test_rng){{1, 2, 3, 4}};
    assert_true(test_rng_next(&rng) == 11520);
    assert_true(test_rng_next(&rng) == 0);
    assert_true(test_rng_next(&rng) == 1509978240);
    assert_true(test_rng_next(&rng) == UINT64_C(1215971899390074240));
}

static void test_rng__bounds(void **state)
{
    (void)state;
    struct test_rng rng;
    unsigned counts[10] = {0};
    test_rng_init(&rng, test_rng_seed());
    for (int i = 0; i < 10000; i++) {
        counts[test_rng_below(&rng, 10)]++;
        uint64_t v = test_rng_range(&rng, 5, 7);
        assert_true(v >= 5 && v <= 7);
        assert_int_equal(test_rng_below(&rng, 1), 0);
        assert_true(test_rng_once_in(&rng, 1));
    }
    for (int i = 0; i < 10; i++) {
        assert_true(counts[i] > 700 && counts[i] < 1300);
    }
    assert_true(test_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

static void test_rng__fill(void **state)
{
    (void)state;
    struct test_rng rng;
    unsigned char buf[100];
    for (size_t len = 0; len < 99; len++) {
        test_rng_init(&rng, 1);
        memset(buf, 0xee, sizeof buf);
        test_rng_fill(&rng, buf, len);
        assert_int_equal(buf[len], 0xee);
        unsigned char again[100];
        test_rng_init(&rng, 1);
        test_rng_fill(&rng, again, len);
        assert_memory_equal(buf, again, len);
    }
}

static int seed_from_environment(void *arg)
{
    (void)arg;
    TEST_CHILD_CHECK(setenv("VARVE_TEST_SEED", "0x1234", 1) == 0);
    TEST_CHILD_CHECK(test_rng_seed() == 0x1234);
    TEST_CHILD_CHECK(setenv("VARVE_TEST_SEED", "1", 1) == 0);
    TEST_CHILD_CHECK(test_rng_seed() == 0x1234);
    return 0;
}

static int seed_that_is_none(void *arg)
{
    (void)arg;
    (void)setenv("VARVE_TEST_SEED", "12x", 1);
    (void)test_rng_seed();
    return 0;
}

static void test_rng__seed_from_environment(void **state)
{
    (void)state;
    assert_int_equal(test_child_run(seed_from_environment, NULL), 0);
    assert_int_equal(test_child_run(seed_that_is_none, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: a child must not inherit a seed that was chosen already. */
        cmocka_unit_test(test_rng__seed_from_environment),
        cmocka_unit_test(test_rng__numbers_of_a_seed),
        cmocka_unit_test(test_rng__bounds),
        cmocka_unit_test(test_rng__fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
