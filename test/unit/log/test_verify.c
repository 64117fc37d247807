/* SPDX-License-Identifier: Apache-2.0 */
#include "varve/inspect.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/fault.h"
#include "lib/sample.h"

enum {
    FIRST = 4096, /* offset of the first frame */
};

static struct test_sample s;

struct told {
    unsigned count;
    enum varve_verdict verdict;
    uint64_t segment, offset, first, last;
};

static void tell(void *arg, enum varve_verdict verdict, uint64_t segment, uint64_t offset, uint64_t lsn_first,
                 uint64_t lsn_last, const char *message)
{
    struct told *told = arg;
    assert_true(strlen(message) > 0);
    *told = (struct told){told->count + 1, verdict, segment, offset, lsn_first, lsn_last};
}

static struct varve_verify_result verify(struct told *told)
{
    const struct varve_options options = {.size = sizeof options, .io = &s.memory.io};
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_error error = {0};
    uint64_t sum = test_sample_sum(&s);
    *told = (struct told){0};
    if (varve_verify("log", &options, tell, told, &result, &error) != 0) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(test_sample_sum(&s), sum);
    return result;
}

static struct varve_info info(void)
{
    struct varve_info info = {.size = sizeof info};
    struct varve_error error = {0};
    if (varve_info_get("log", &s.memory.io, &info, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return info;
}

static void test_verify__sound(void **state)
{
    (void)state;
    struct told told;
    test_sample_make(&s, TEST_SAMPLE_BIG, 13, true);
    struct varve_verify_result result = verify(&told);
    assert_int_equal(told.count, 0);
    assert_int_equal(result.damages, 0);
    assert_int_equal(result.found.verdict, VARVE_VERDICT_CLEAN_END);
    assert_int_equal(result.found.segments, 3);
    assert_int_equal(result.found.records, 13);
    assert_int_equal(result.found.first_lsn, 1);
    assert_int_equal(result.found.last_lsn, 13);
    assert_true(result.clean_shutdown);
    assert_false(result.writer_alive);
    assert_int_equal(result.superseded_frames, 0);
    struct varve_info i = info();
    assert_int_equal(i.verdict, VARVE_VERDICT_CLEAN_END);
    assert_int_equal(i.segments, 3);
    assert_int_equal(i.first_segment, 1);
    assert_int_equal(i.last_segment, 3);
    assert_int_equal(i.records, 13);
    assert_int_equal(i.last_lsn, 13);
    assert_int_equal(i.durable_lsn, 13);
    assert_int_equal(i.segment_bytes, 1 << 20);
    assert_int_equal(i.body_bytes, 13 * (TEST_SAMPLE_BIG + 16));
    assert_true(i.used_bytes > i.body_bytes && i.used_bytes < i.disk_bytes);
    assert_true(i.tail_free_bytes < 1 << 20);
    assert_int_equal(i.writer_pid, -1);
    assert_true(i.first_time_us > 0 && i.first_time_us <= i.last_time_us);
    test_sample_close(&s);
}

/* A writer has it open: that is told, and its number. */
static void test_verify__beside_a_writer(void **state)
{
    (void)state;
    struct told told;
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 3);
    struct varve_verify_result result = verify(&told);
    assert_true(result.writer_alive);
    assert_false(result.clean_shutdown);
    assert_int_equal(result.found.last_lsn, 3);
    assert_int_equal(told.count, 0);
    struct varve_info i = info();
    assert_true(i.writer_alive);
    assert_true(i.writer_pid > 0);
    assert_int_equal(i.durable_lsn, 2);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* One damage does not hide the next. */
static void test_verify__damages(void **state)
{
    (void)state;
    struct told told;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 8, true);
    test_sample_flip(&s, 1, FIRST + 512 + 90, 1);
    test_sample_flip(&s, 1, FIRST + 4 * 512 + 90, 1);
    test_sample_zero(&s, 1, FIRST + 5 * 512, 512);
    struct varve_verify_result result = verify(&told);
    assert_int_equal(told.count, 2);
    assert_int_equal(result.damages, 2);
    assert_int_equal(told.first, 5);
    assert_int_equal(told.last, 6);
    assert_int_equal(result.found.verdict, VARVE_VERDICT_CORRUPT);
    assert_int_equal(result.found.offset, FIRST + 512); /* the first */
    assert_int_equal(result.found.lost_records, 3);
    assert_int_equal(result.found.lost_first, 2);
    assert_int_equal(result.found.lost_last, 6);
    assert_int_equal(result.found.records, 5);
    assert_int_equal(info().verdict, VARVE_VERDICT_CORRUPT);
    test_sample_unlink(&s, "MANIFEST");
    result = verify(&told);
    assert_int_equal(told.count, 3);
    test_sample_close(&s);
}

/* A tear is told and counts as no damage; what it left behind is counted when a later segment wins over it.
 */
static void test_verify__torn(void **state)
{
    (void)state;
    struct told told;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 4, false);
    test_sample_flip(&s, 1, FIRST + 3 * 512 + 90, 1);
    struct varve_verify_result result = verify(&told);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.verdict, VARVE_VERDICT_TORN);
    assert_int_equal(result.damages, 0);
    assert_int_equal(result.found.verdict, VARVE_VERDICT_TORN);
    assert_int_equal(result.found.lost_records, 0);
    assert_int_equal(result.found.last_lsn, 3);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 1);
    assert_int_equal(varve_close(log, NULL), 0);
    result = verify(&told);
    assert_int_equal(told.count, 0);
    assert_int_equal(result.found.verdict, VARVE_VERDICT_CLEAN_END);
    test_sample_close(&s);
}

static int stop_second(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    unsigned *calls = arg;
    assert_true(done_bytes <= total_bytes);
    return ++*calls == 2;
}

static void test_verify__progress(void **state)
{
    (void)state;
    struct varve_verify_result result = {.size = sizeof result, .damages = 77};
    unsigned calls = 0;
    test_sample_make(&s, TEST_SAMPLE_BIG, 130, true);
    const struct varve_options options = {
        .size = sizeof options, .io = &s.memory.io, .progress = stop_second, .progress_arg = &calls};
    assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, NULL), VARVE_E_CLOSED);
    assert_int_equal(calls, 2);
    assert_int_equal(result.damages, 77);
    test_sample_close(&s);
}

/* Results of callers that know less are filled as far as they go. */
static void test_verify__sizes(void **state)
{
    (void)state;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 3, true);
    const struct varve_options options = {.size = sizeof options, .io = &s.memory.io};
    struct varve_verify_result result;
    struct varve_info i;
    memset(&result, 0x55, sizeof result);
    result.size = offsetof(struct varve_verify_result, damages);
    assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, NULL), 0);
    assert_int_equal(result.size, offsetof(struct varve_verify_result, damages));
    assert_int_equal(result.found.records, 3);
    assert_int_equal(result.damages, 0x5555555555555555);
    memset(&i, 0x55, sizeof i);
    i.size = offsetof(struct varve_info, segments);
    assert_int_equal(varve_info_get("log", &s.memory.io, &i, NULL), 0);
    assert_int_equal(i.size, offsetof(struct varve_info, segments));
    assert_int_equal(i.segments, 0x5555555555555555);
    result.size = i.size = 0;
    assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_info_get("log", &s.memory.io, &i, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_verify("", &options, NULL, NULL, &result, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_info_get(NULL, &s.memory.io, &i, NULL), VARVE_E_INVALID);
    test_sample_close(&s);
}

/* Whatever fails is told, and nothing stays open. */
static void test_verify__faults(void **state)
{
    (void)state;
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_error error;
    struct test_fault fault;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 3, true);
    test_fault_init(&fault, &s.memory.io);
    const struct varve_options options = {.size = sizeof options, .io = &fault.pass.io};
    assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, &error), 0);
    long reads = (long)test_fault_calls(&fault, TEST_OP_PREAD);
    uint64_t records = result.found.records;
    for (long i = 0; i < reads; i++) {
        test_fault_fail_always(&fault, TEST_OP_PREAD, i, EIO);
        error = (struct varve_error){0};
        int rc = varve_verify("log", &options, NULL, NULL, &result, &error);
        /* What is only read ahead, and fails there, is no error yet. */
        assert_true(rc == VARVE_E_IO || (rc == 0 && i > 2 && result.found.records == records));
        assert_true(rc == 0 || strncmp(error.message, "log: ", 5) == 0);
        test_fault_disarm(&fault);
    }
    long n = 0;
    int rc;
    do {
        vv_alloc_fail_after(n++);
        rc = varve_verify("log", &options, NULL, NULL, &result, &error);
        assert_true(rc == 0 || rc == VARVE_E_NOMEM || rc == VARVE_E_IO);
    } while (vv_alloc_fail_left() < 0);
    vv_alloc_fail_after(-1);
    assert_int_equal(rc, 0);
    assert_int_equal(varve_verify("nowhere", &options, NULL, NULL, &result, &error), VARVE_E_NOT_FOUND);
    assert_int_equal(atomic_load(&fault.open_files), 0);
    assert_int_equal(atomic_load(&fault.open_dirs), 0);
    test_fault_close(&fault);
    test_sample_close(&s);
}

/* Frames that lie across the end of what was read before are not read twice. */
static void test_verify__reads_once(void **state)
{
    (void)state;
    struct told told;
    test_sample_make(&s, TEST_SAMPLE_BIG, 5, true);
    struct varve_verify_result result = verify(&told);
    assert_int_equal(result.found.records, 5);
    assert_int_equal(result.found.segments, 1);
    assert_in_range(result.found.bytes, 5 * TEST_SAMPLE_BIG, 1 << 20);
    test_sample_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify__reads_once),
        cmocka_unit_test(test_verify__sound),
        cmocka_unit_test(test_verify__beside_a_writer),
        cmocka_unit_test(test_verify__damages),
        cmocka_unit_test(test_verify__torn),
        cmocka_unit_test(test_verify__progress),
        cmocka_unit_test(test_verify__sizes),
        cmocka_unit_test(test_verify__faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
