/* SPDX-License-Identifier: Apache-2.0 */
#include "log/device.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

/* What a log gets on a file system with this alignment (0: no direct I/O). */
static int choose(uint32_t direct_align, enum varve_backend backend, uint32_t sector_bytes, int error,
                  struct varve_stats *ret_stats)
{
    struct test_memory memory;
    struct test_fault fault;
    struct varve_options options = {
        .size = sizeof options, .segment_bytes = 1 << 20, .backend = backend, .sector_bytes = sector_bytes};
    struct varve_log *log;
    struct varve_error failure = {.message = ""};
    test_memory_init(&memory, direct_align);
    test_fault_init(&fault, &memory.io);
    options.io = &fault.pass.io;
    if (error != 0) {
        test_fault_arm(
            &fault, &(struct test_fault_rule){.op = TEST_OP_CREATE, .prefix = "new-probe", .error = error});
    }
    ret_stats->size = sizeof *ret_stats;
    int rc = varve_open("log", &options, &log, &failure);
    if (rc == 0) {
        assert_int_equal(varve_append(log, "12345678", 8, NULL), 0);
        assert_int_equal(varve_stats_get(log, ret_stats), 0);
        assert_int_equal(varve_close(log, NULL), 0);
    } else {
        assert_string_not_equal(failure.message, "");
    }
    assert_int_equal(atomic_load(&fault.open_files), 0);
    /* The file that was tried with is gone. */
    struct varve_io_stat stat;
    struct varve_dir *dir;
    assert_int_equal(memory.io.dir_open(&memory.io, NULL, "log", 0, &dir, NULL), 0);
    assert_int_equal(memory.io.stat_name(&memory.io, dir, "new-probe.tmp", &stat), -ENOENT);
    memory.io.dir_close(&memory.io, dir);
    test_fault_close(&fault);
    test_memory_close(&memory);
    return rc;
}

static void test_device__choice(void **state)
{
    (void)state;
    struct varve_stats s;
    for (uint32_t align = 512; align <= 4096; align *= 2) {
        assert_int_equal(choose(align, VARVE_BACKEND_AUTO, 0, 0, &s), 0);
        assert_int_equal(s.backend, VARVE_BACKEND_DIRECT);
        assert_int_equal(s.sector_bytes, align);
        assert_int_equal(choose(align, VARVE_BACKEND_DIRECT, 4096, 0, &s), 0);
        assert_int_equal(s.sector_bytes, 4096);
        assert_int_equal(choose(align, VARVE_BACKEND_BUFFERED, 0, 0, &s), 0);
        assert_int_equal(s.backend, VARVE_BACKEND_BUFFERED);
        assert_int_equal(s.sector_bytes, 512);
        /* Less than the device writes at once. */
        assert_int_equal(choose(align, VARVE_BACKEND_DIRECT, 512, 0, &s), align == 512 ? 0 : VARVE_E_INVALID);
    }
    assert_int_equal(choose(0, VARVE_BACKEND_AUTO, 0, 0, &s), 0);
    assert_int_equal(s.backend, VARVE_BACKEND_BUFFERED);
    assert_int_equal(choose(0, VARVE_BACKEND_DIRECT, 0, 0, &s), VARVE_E_UNSUPPORTED);
    assert_int_equal(choose(8192, VARVE_BACKEND_AUTO, 0, 0, &s), 0);
    assert_int_equal(s.backend, VARVE_BACKEND_BUFFERED);
    assert_int_equal(choose(8192, VARVE_BACKEND_DIRECT, 0, 0, &s), VARVE_E_UNSUPPORTED);
}

static void test_device__faults(void **state)
{
    (void)state;
    struct varve_stats s;
    assert_int_equal(choose(512, VARVE_BACKEND_AUTO, 0, EOPNOTSUPP, &s), 0);
    assert_int_equal(s.backend, VARVE_BACKEND_BUFFERED);
    assert_int_equal(choose(512, VARVE_BACKEND_DIRECT, 0, EINVAL, &s), VARVE_E_UNSUPPORTED);
    assert_int_equal(choose(512, VARVE_BACKEND_AUTO, 0, EIO, &s), VARVE_E_IO);
    assert_int_equal(choose(512, VARVE_BACKEND_AUTO, 0, ENOSPC, &s), VARVE_E_NOSPC);
    assert_int_equal(choose(512, VARVE_BACKEND_BUFFERED, 0, EIO, &s), 0);
}

struct flight {
    _Atomic int now, most;
};

static int flight_hook(void *arg, const struct test_fault_call *call)
{
    struct flight *flight = arg;
    if (call->op != TEST_OP_WRITE_DSYNC) {
        return 0;
    }
    int now = atomic_fetch_add(&flight->now, 1) + 1;
    int most = atomic_load(&flight->most);
    while (now > most && !atomic_compare_exchange_weak(&flight->most, &most, now)) {
    }
    bed_pause();
    atomic_fetch_sub(&flight->now, 1);
    return 0;
}

/* An error of the page cache is told to one caller of sync only. So only one may be under way. */
static void test_device__one_sync_at_a_time_through_the_page_cache(void **state)
{
    (void)state;
    for (int backend = VARVE_BACKEND_DIRECT; backend <= VARVE_BACKEND_BUFFERED; backend++) {
        struct test_bed bed;
        struct flight flight = {0};
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){
                      .backend = (enum varve_backend)backend, .writes_in_flight = 4, .slot_bytes = 4096},
                  2000);
        test_fault_set_hook(&bed.fault, flight_hook, &flight);
        assert_int_equal(bed_crowd(&bed, 8, 50), 0);
        test_fault_set_hook(&bed.fault, NULL, NULL);
        if (backend == VARVE_BACKEND_DIRECT) {
            assert_int_equal(bed_stats(&bed).writes_in_flight, 4);
            assert_true(atomic_load(&flight.most) > 1);
        } else {
            assert_int_equal(bed_stats(&bed).writes_in_flight, 1);
            assert_int_equal(atomic_load(&flight.most), 1);
        }
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device__choice),
        cmocka_unit_test(test_device__faults),
        cmocka_unit_test(test_device__one_sync_at_a_time_through_the_page_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
