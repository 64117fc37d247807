/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flusher's quiet moments: records that come just when it writes a mark, and records that come while it
 * dozes until the next one. flush.c is compiled in here, to stand in the way between its last look and the
 * mark.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/crew.h"
#include "lib/memory.h"
#include "log/stages.h"

static bool interposed_mark(struct varve_log *log, struct vv_slot **ret_slot);

#define vv_reserve_mark interposed_mark
#include "log/flush.c"
#undef vv_reserve_mark

static _Atomic uint32_t armed;
static _Atomic uint64_t sneaked_lsn;

/* Appends between the flusher's last look at the ring and the mark, as any other thread could. The record
 * takes a slot for itself, so the mark comes into the one behind it. */
static bool interposed_mark(struct varve_log *log, struct vv_slot **ret_slot)
{
    if (atomic_exchange(&armed, 0)) {
        const struct varve_record record = {.data = "sneaked in", .data_bytes = 10};
        uint64_t lsn = 0;

        if (varve_append_batch(log, &record, 1, VARVE_STRICT, 0, &lsn) == 0)
            atomic_store(&sneaked_lsn, lsn);
    }
    return vv_reserve_mark(log, ret_slot);
}

static void sneak(enum varve_durability durability)
{
    struct test_memory memory;
    struct varve_options options = {.size = sizeof options, .durability = durability, .mark_idle_ms = 1};
    struct varve_log *log;
    uint64_t lsn;

    test_memory_init(&memory, 512);
    options.io = &memory.io;
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    test_watchdog_start("a record that comes just before a mark", 20);
    for (unsigned i = 0; i < 20; i++) {
        atomic_store(&sneaked_lsn, 0);
        /* Before there is anything to mark: on a busy machine the mark may be written as soon as there is. */
        atomic_store(&armed, 1);
        assert_int_equal(varve_append(log, "x", 1, NULL), 0);
        assert_int_equal(varve_sync(log), 0);
        while ((lsn = atomic_load(&sneaked_lsn)) == 0)
            (void)poll(NULL, 0, 1);
        assert_int_equal(varve_wait(log, lsn, 10000), 0);
        test_watchdog_alive();
    }
    assert_int_equal(varve_close(log, NULL), 0);
    test_watchdog_stop();
    test_memory_close(&memory);
}

static void test_thread_mark__record_before_it(void **state)
{
    (void)state;
    sneak(VARVE_STRICT);
    sneak(VARVE_GROUP);
    sneak(VARVE_INTERVAL);
    sneak(VARVE_BUFFERED);
}

/* In interval mode a record is synced in time, however far off the next mark is. */
static void test_thread_mark__far_off(void **state)
{
    struct test_memory memory;
    struct varve_options options = {
        .size = sizeof options, .durability = VARVE_INTERVAL, .mark_idle_ms = 3600000, .sync_interval_ms = 5};
    struct varve_log *log;
    struct pollfd p = {.events = POLLIN};
    uint64_t lsn;

    (void)state;
    test_memory_init(&memory, 512);
    options.io = &memory.io;
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    assert_int_equal(varve_eventfd(log, &p.fd), 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(varve_append(log, "x", 1, &lsn), 0);
        while (varve_durable_lsn(log) < lsn) {
            uint64_t count;

            assert_int_equal(poll(&p, 1, 10000), 1);
            assert_int_equal(read(p.fd, &count, sizeof count), sizeof count);
        }
    }
    assert_int_equal(varve_close(log, NULL), 0);
    test_memory_close(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_mark__record_before_it),
        cmocka_unit_test(test_thread_mark__far_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
