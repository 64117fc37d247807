/* SPDX-License-Identifier: Apache-2.0 */
#include "io/system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static void test_system_clock__realtime(void **state)
{
    (void)state;
    struct varve_io *io = varve_io_system();
    time_t before = time(NULL);
    uint64_t us = io->realtime_us(io);
    time_t after = time(NULL);
    /* time() looks at a coarser clock, which may be a tick behind. */
    assert_true(us / 1000000 + 1 >= (uint64_t)before);
    assert_true(us / 1000000 <= (uint64_t)after + 1);
}

static void test_system_clock__monotonic(void **state)
{
    (void)state;
    struct varve_io *io = varve_io_system();
    uint64_t last = io->monotonic_us(io);
    for (int i = 0; i < 10000; i++) {
        uint64_t now = io->monotonic_us(io);
        assert_true(now >= last);
        last = now;
    }
}

/* Behind, never ahead: what is measured from one clock to the other is never negative. */
static void test_system_clock__coarse(void **state)
{
    (void)state;
    struct varve_io *io = varve_io_system();
    for (int i = 0; i < 10000; i++) {
        uint64_t coarse = io->monotonic_coarse_us(io);
        uint64_t fine = io->monotonic_us(io);
        assert_true(coarse <= fine);
        assert_true(coarse + 10000000 > fine);
    }
}

/* More than getrandom gives in one piece, and nothing past the end. */
static void test_system_clock__random(void **state)
{
    (void)state;
    struct varve_io *io = varve_io_system();
    static unsigned char buf[100001];
    unsigned counts[256] = {0};
    assert_int_equal(io->random(io, buf, sizeof buf - 1), 0);
    assert_int_equal(buf[sizeof buf - 1], 0);
    for (size_t i = 0; i < sizeof buf - 1; i++) {
        counts[buf[i]]++;
    }
    for (size_t i = 0; i < 256; i++) {
        assert_true(counts[i] > 200 && counts[i] < 600);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system_clock__realtime),
        cmocka_unit_test(test_system_clock__monotonic),
        cmocka_unit_test(test_system_clock__coarse),
        cmocka_unit_test(test_system_clock__random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
