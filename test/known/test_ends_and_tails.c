/* SPDX-License-Identifier: Apache-2.0 */
/* Failures seen in other logs: where a log ends. README.md says which line of the list is where. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/fault.h"
#include "lib/judge.h"
#include "lib/sample.h"

enum {
    RECORDS = 6,
    SEGMENT_BYTES = 1 << 20
};

static struct test_verdict torn_at(const struct test_sample *s, uint64_t lsn)
{
    const struct test_sample_frame *frame = test_sample_frame_of(s, lsn);
    return (struct test_verdict){.verdict = VARVE_VERDICT_TORN,
                                 .segment = frame->segment,
                                 .offset = frame->offset,
                                 .sound_last = lsn - 1,
                                 .last = lsn - 1};
}

/* What of a frame did not arrive is zero, in a file that has its full size: a tear, and the log opens. */
static void test_known__torn_record_in_a_preallocated_file(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, 3000, RECORDS, false);
    test_sample_map(&s);
    uint64_t sectors = test_sample_frame_of(&s, RECORDS)->bytes / 512;
    test_sample_close(&s);
    for (uint64_t arrived = 1; arrived < sectors; arrived++) {
        test_sample_make(&s, 3000, RECORDS, false);
        test_sample_map(&s);
        struct test_verdict v = torn_at(&s, RECORDS);
        test_sample_zero(&s, 1, v.offset + arrived * 512, (sectors - arrived) * 512);
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* Behind the last record stand zeros, or garbage that a power cut left. */
static void test_known__zeros_or_garbage_behind_the_end(void **state)
{
    (void)state;
    for (int garbage = 0; garbage < 2; garbage++) {
        struct test_sample s;
        unsigned char bytes[2048];
        struct test_rng rng;
        test_sample_make(&s, 100, RECORDS, false);
        test_sample_map(&s);
        const struct test_sample_frame *last = test_sample_frame_of(&s, RECORDS);
        uint64_t end = last->offset + last->bytes;
        struct test_verdict v = {.sound_last = RECORDS, .last = RECORDS};
        test_rng_init(&rng, 1);
        test_rng_fill(&rng, bytes, sizeof bytes);
        if (garbage) {
            v.verdict = VARVE_VERDICT_TORN;
            v.segment = 1;
            v.offset = end;
            test_sample_patch(&s, 1, end, bytes, sizeof bytes);
        } else {
            test_sample_zero(&s, 1, end, SEGMENT_BYTES - end);
        }
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* The file ends in the middle of the last record. */
static void test_known__half_written_last_record(void **state)
{
    (void)state;
    for (uint64_t bytes = 100; bytes < 3000; bytes += 700) {
        struct test_sample s;
        test_sample_make(&s, 3000, RECORDS, false);
        test_sample_map(&s);
        struct test_verdict v = torn_at(&s, RECORDS);
        test_sample_truncate(&s, 1, v.offset + bytes);
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* After a tear, what is appended next follows on the last sound record, and stays through tear after tear. */
static void test_known__going_on_behind_a_hole(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, 3000, RECORDS, false);
    uint64_t last = RECORDS;
    for (int i = 0; i < 3; i++) {
        test_sample_map(&s);
        const struct test_sample_frame *frame = test_sample_frame_of(&s, last);
        test_sample_zero(&s, frame->segment, frame->offset + 512, frame->bytes - 512);
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
        assert_int_equal(varve_last_lsn(log), last - 1);
        test_sample_next_life(&s, last);
        test_sample_append(&s, log, 4);
        last += 3;
        test_sample_crash(&s, log);
    }
    test_judge_verify(&s, &(struct test_verdict){.sound_last = last, .last = last});
    test_judge_read_only(&s, &(struct test_verdict){.sound_last = last, .last = last});
    test_sample_close(&s);
}

/* Damage in the middle is damage, and what is behind it is not dropped in silence. */
static void test_known__middle_damage_taken_for_the_end(void **state)
{
    (void)state;
    for (uint64_t lsn = 1; lsn < RECORDS; lsn++) {
        struct test_sample s;
        test_sample_make(&s, 3000, RECORDS, false);
        test_sample_map(&s);
        struct test_verdict v = torn_at(&s, lsn);
        v.verdict = VARVE_VERDICT_CORRUPT;
        v.gone_last = lsn;
        v.last = RECORDS;
        test_sample_zero(&s, 1, v.offset, test_sample_frame_of(&s, lsn)->bytes);
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* Each read of an opening and of a cursor fails once: never an end, and never a log that is shorter. */
static void test_known__read_error_is_the_end(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, TEST_SAMPLE_BIG, 12, false);
    for (long after = 0;; after++) {
        struct test_fault fault;
        struct varve_verify_result result = {.size = sizeof result};
        struct varve_options options = {.size = sizeof options};
        test_fault_init(&fault, &s.memory.io);
        options.io = &fault.pass.io;
        int rule = test_fault_arm(
            &fault, &(struct test_fault_rule){
                        .op = TEST_OP_PREAD, .prefix = "wal-", .after = after, .action = TEST_FAULT_FAIL});
        int rc = varve_verify("log", &options, NULL, NULL, &result, NULL);
        bool hit = test_fault_hits(&fault, rule) > 0;
        if (rc == 0) {
            assert_int_equal(result.found.verdict, VARVE_VERDICT_CLEAN_END);
            assert_int_equal(result.found.records, 12);
        } else {
            assert_true(hit && rc == VARVE_E_IO);
        }
        test_fault_close(&fault);
        if (!hit) {
            assert_true(after > 5);
            break;
        }
    }
    test_sample_close(&s);
}

/* Every shape that a sound log can have is accepted, also by the policy that refuses most. */
static void test_known__sound_log_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 431, 432, 433, 944, 3000, TEST_SAMPLE_BIG};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned records = 0; records < 8; records += 7) {
            for (int clean = 0; clean < 2; clean++) {
                struct test_sample s;
                test_sample_make(&s, sizes[i], records, clean);
                test_judge(&s, &(struct test_verdict){.sound_last = records, .last = records});
                test_sample_close(&s);
            }
        }
    }
}

/* A torn record holds an image of the log's own frames, salt and all. It is a payload, and no evidence that
 * the log goes on. */
static void test_known__record_image_in_a_torn_payload(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, 3000, RECORDS, false);
    test_sample_map(&s);
    struct test_verdict v = torn_at(&s, RECORDS);
    unsigned char *content = test_sample_read(&s, 1, NULL);
    /* Frames 1 to 5, from the second sector of the torn one on; of that only its header's sector is older. */
    test_sample_patch(&s, 1, v.offset + 512, content + 4096, (size_t)(v.offset - 4096));
    free(content);
    test_judge(&s, &v);
    test_sample_close(&s);
}

/* Payloads of zeros, also over whole sectors, in the middle and at the end. */
static void test_known__zero_payloads_are_no_tear(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 432, 4096, 100000};
    static const unsigned char zeros[100000];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int clean = 0; clean < 2; clean++) {
            struct test_sample s;
            struct varve_cursor *cursor = NULL;
            struct varve_entry entry;
            test_sample_init(&s, 0);
            struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
            for (int k = 0; k < 5; k++) {
                assert_int_equal(varve_append(log, zeros, sizes[i], NULL), 0);
            }
            if (clean) {
                assert_int_equal(varve_close(log, NULL), 0);
            } else {
                test_sample_crash(&s, log);
            }
            log = test_sample_open(&s, VARVE_POLICY_HALT);
            assert_int_equal(varve_last_lsn(log), 5);
            assert_int_equal(varve_cursor_open(log, VARVE_POLICY_HALT, &cursor, NULL), 0);
            for (uint64_t lsn = 1; lsn <= 5; lsn++) {
                assert_int_equal(varve_cursor_next(cursor, &entry), 0);
                assert_int_equal(entry.lsn, lsn);
                assert_int_equal(entry.data_bytes, sizes[i]);
                assert_memory_equal(entry.data, zeros, sizes[i]);
            }
            assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_END);
            varve_cursor_close(cursor);
            assert_int_equal(varve_close(log, NULL), 0);
            test_sample_close(&s);
        }
    }
}

/* Empty records are records, and the zeros behind them are none. */
static void test_known__zeros_are_no_empty_records(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct test_sample s;
        test_sample_make(&s, 0, RECORDS, clean);
        test_judge(&s, &(struct test_verdict){.sound_last = RECORDS, .last = RECORDS});
        /* Zeros in place of one of them. */
        test_sample_map(&s);
        struct test_verdict v = torn_at(&s, 3);
        v.verdict = VARVE_VERDICT_CORRUPT;
        v.gone_last = 3;
        v.last = RECORDS;
        test_sample_zero(&s, 1, v.offset, 512);
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known__torn_record_in_a_preallocated_file),
        cmocka_unit_test(test_known__zeros_or_garbage_behind_the_end),
        cmocka_unit_test(test_known__half_written_last_record),
        cmocka_unit_test(test_known__going_on_behind_a_hole),
        cmocka_unit_test(test_known__middle_damage_taken_for_the_end),
        cmocka_unit_test(test_known__read_error_is_the_end),
        cmocka_unit_test(test_known__sound_log_refused),
        cmocka_unit_test(test_known__record_image_in_a_torn_payload),
        cmocka_unit_test(test_known__zero_payloads_are_no_tear),
        cmocka_unit_test(test_known__zeros_are_no_empty_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
