/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/contract.h"
#include "lib/tmp.h"

static void test_clock__stands_still_until_moved(void **state)
{
    (void)state;
    struct test_clock clock;
    struct varve_io *io = &clock.pass.io;
    test_clock_init(&clock, NULL, 1000000, 0, 1);
    assert_int_equal(io->realtime_us(io), 1000000);
    assert_int_equal(io->realtime_us(io), 1000000);
    uint64_t start = io->monotonic_us(io);
    test_clock_advance(&clock, 250);
    assert_int_equal(io->realtime_us(io), 1000250);
    assert_int_equal(io->monotonic_us(io), start + 250);
    assert_int_equal(io->monotonic_coarse_us(io), start + 250);
    test_clock_set_realtime(&clock, 5);
    assert_int_equal(io->realtime_us(io), 5);
    assert_int_equal(io->monotonic_us(io), start + 250);
    test_clock_close(&clock);
}

static void test_clock__steps(void **state)
{
    (void)state;
    struct test_clock clock;
    struct varve_io *io = &clock.pass.io;
    test_clock_init(&clock, NULL, 100, 7, 1);
    assert_int_equal(io->realtime_us(io), 100);
    assert_int_equal(io->realtime_us(io), 107);
    assert_int_equal(io->monotonic_us(io), 1 + 14);
    test_clock_close(&clock);
}

static void test_clock__same_seed_same_bytes(void **state)
{
    (void)state;
    unsigned char bytes[3][40];
    static const uint64_t seeds[3] = {9, 9, 10};
    for (int i = 0; i < 3; i++) {
        struct test_clock clock;
        struct varve_io *io = &clock.pass.io;
        test_clock_init(&clock, NULL, 0, 0, seeds[i]);
        assert_int_equal(io->random(io, bytes[i], 16), 0);
        assert_int_equal(io->random(io, bytes[i] + 16, 24), 0);
        test_clock_close(&clock);
    }
    assert_memory_equal(bytes[0], bytes[1], 40);
    assert_memory_not_equal(bytes[0], bytes[2], 40);
    assert_memory_not_equal(bytes[0], bytes[0] + 16, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock__stands_still_until_moved),
        cmocka_unit_test(test_clock__steps),
        cmocka_unit_test(test_clock__same_seed_same_bytes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    struct test_clock clock;
    char *tmp = test_tmp_new();
    char *path = test_tmp_join(tmp, "");
    test_clock_init(&clock, NULL, 1, 1, 1);
    failed += test_contract_run("clock on the system's table", &clock.pass.io, path);
    test_clock_close(&clock);
    free(path);
    test_tmp_free(tmp);
    return failed;
}
