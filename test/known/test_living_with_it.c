/* SPDX-License-Identifier: Apache-2.0 */
/* Failures seen in other logs: living with it. README.md says which line of the list is where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/child.h"
#include "lib/tmp.h"
#include "varve/cursor.h"
#include "varve/inspect.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
    RECORD_BYTES = 100000,
    RECORDS = 1000
};

static char payload[RECORD_BYTES];

/* -- replay needs more memory than there is -- */

static uint64_t peak_kib(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "VmHWM: %llu kB", &kib);
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib;
}

/* 95 MiB of records; more memory is not needed for them than for a few. */
static int run_large_log(void *arg)
{
    const char *dir = arg;
    const struct varve_options options = {.size = sizeof options, .slot_bytes = 65536, .slot_count = 4};
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct varve_log *log;
    uint64_t before = peak_kib(), records = 0;
    TEST_CHILD_CHECK(before > 0);
    TEST_CHILD_CHECK(varve_verify(dir, &options, NULL, NULL, &result, NULL) == 0);
    TEST_CHILD_CHECK(result.found.records == RECORDS);
    TEST_CHILD_CHECK(varve_open(dir, &options, &log, NULL) == 0);
    TEST_CHILD_CHECK(varve_last_lsn(log) == RECORDS);
    TEST_CHILD_CHECK(varve_cursor_open(log, VARVE_POLICY_HALT, &cursor, NULL) == 0);
    while (varve_cursor_next(cursor, &entry) == 0) {
        records += entry.data_bytes == RECORD_BYTES;
    }
    varve_cursor_close(cursor);
    TEST_CHILD_CHECK(records == RECORDS);
    uint64_t after = peak_kib();
    fprintf(stderr, "%llu KiB more at the peak\n", (unsigned long long)(after - before));
    TEST_CHILD_CHECK(after - before < 8 * 1024);
    TEST_CHILD_CHECK(varve_close(log, NULL) == 0);
    return 0;
}

static int run_fill(void *arg)
{
    const struct varve_options options = {.size = sizeof options, .durability = VARVE_BUFFERED};
    const struct varve_record record = {.data = payload, .data_bytes = sizeof payload};
    struct varve_log *log;
    TEST_CHILD_CHECK(varve_open(arg, &options, &log, NULL) == 0);
    for (unsigned i = 0; i < RECORDS; i++) {
        TEST_CHILD_CHECK(varve_append_async(log, &record, NULL) == 0);
    }
    TEST_CHILD_CHECK(varve_sync(log) == 0);
    /* Killed: what is not closed in order is read from its beginning to its end when it is opened. */
    test_child_exit(0);
}

static void test_known__replay_needs_more_memory_than_there_is(void **state)
{
    (void)state;
    if (SANITIZED) {
        skip();
    }
    char *dir = test_tmp_new();
    assert_int_equal(test_child_run(run_fill, dir), 0);
    assert_int_equal(test_child_run(run_large_log, dir), 0);
    test_tmp_free(dir);
}

/* -- writers that did not ask for durability wait for those who did -- */

static void test_known__who_did_not_ask_does_not_wait(void **state)
{
    (void)state;
    static const struct {
        enum varve_durability mode;
        int op; /* the call that hangs */
    } cases[] = {
        {VARVE_GROUP, TEST_OP_WRITE_DSYNC}, {VARVE_BUFFERED, TEST_OP_SYNC}, {VARVE_INTERVAL, TEST_OP_SYNC}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_bed bed;
        struct test_gate gate = {.op = cases[i].op};
        const struct varve_record record = {.data = payload, .data_bytes = 1000};
        uint64_t lsn = 0;
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){.durability = cases[i].mode,
                                          .slot_bytes = 65536,
                                          .slot_count = 8,
                                          .sync_interval_ms = 1,
                                          .mark_idle_ms = UINT32_MAX},
                  1000);
        test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
        atomic_store(&gate.shut, 1);
        assert_int_equal(varve_append_async(bed.log, &record, &lsn), 0);
        /* Somebody wants it durable, and the disk hangs. */
        if (cases[i].mode == VARVE_BUFFERED) {
            assert_int_equal(varve_wait(bed.log, lsn, 1), VARVE_E_TIMEOUT);
        }
        BED_UNTIL(atomic_load(&gate.waiting) == 1);
        for (unsigned k = 0; k < 100; k++) {
            assert_int_equal(varve_append_async(bed.log, &record, &lsn), 0);
        }
        assert_int_equal(lsn, 101);
        assert_int_equal(varve_durable_lsn(bed.log), 0);
        atomic_store(&gate.shut, 0);
        assert_int_equal(varve_wait(bed.log, lsn, -1), 0);
        assert_int_equal(varve_durable_lsn(bed.log), 101);
        test_fault_set_hook(&bed.fault, NULL, NULL);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known__replay_needs_more_memory_than_there_is),
        cmocka_unit_test(test_known__who_did_not_ask_does_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
