/* SPDX-License-Identifier: Apache-2.0 */
/* Failures seen in other logs: bytes that were believed. README.md says which line of the list is where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "format/frame.h"
#include "format/segment.h"
#include "lib/child.h"
#include "lib/judge.h"
#include "lib/sample.h"

enum {
    RECORDS = 6
};

/* Lengths of nearly a gigabyte, under a header whose checksum is right, are read with hardly more memory than
 * the program has already. */
static int read_crafted(void *arg)
{
    struct test_sample *s = arg;
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_options options = {.size = sizeof options, .io = &s->memory.io};
    struct varve_visitor visitor = {.size = sizeof visitor};
    struct varve_log *log = NULL;
    struct rlimit limit;
    TEST_CHILD_CHECK(getrlimit(RLIMIT_DATA, &limit) == 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    limit.rlim_cur = (rlim_t)200 << 20;
    TEST_CHILD_CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
#endif
    TEST_CHILD_CHECK(varve_verify("log", &options, NULL, NULL, &result, NULL) == 0);
    TEST_CHILD_CHECK(result.found.verdict == VARVE_VERDICT_CORRUPT && result.found.lost_records == 1);
    TEST_CHILD_CHECK(varve_inspect("log", &s->memory.io, &visitor, NULL) == 0);
    TEST_CHILD_CHECK(test_sample_try(s, VARVE_POLICY_TRUNCATE, 0, &log, NULL) == VARVE_E_CORRUPT);
    return 0;
}

static void test_known__crafted_length_reserves_memory(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0x3fffff00, 0x40000000, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct test_sample s;
        struct vv_segment_header segment;
        struct vv_frame_header frame;
        uint8_t bytes[VV_FRAME_HEADER_BYTES];
        test_sample_make(&s, 100, RECORDS, false);
        test_sample_map(&s);
        uint64_t offset = test_sample_frame_of(&s, 3)->offset;
        unsigned char *content = test_sample_read(&s, 1, NULL);
        assert_int_equal(vv_segment_decode(content, 4096, &segment), VV_SEGMENT_OK);
        struct vv_frame_place place = {vv_segment_seed(segment.salt), 512, 1, offset, segment.capacity};
        assert_int_equal(vv_frame_decode(content + offset, &place, &frame, NULL), VV_FRAME_OK);
        frame.stored_bytes = frame.raw_bytes = lengths[i];
        vv_frame_encode(&frame, place.seed, bytes);
        test_sample_patch(&s, 1, offset, bytes, sizeof bytes);
        free(content);
        assert_int_equal(test_child_run(read_crafted, &s), 0);
        test_sample_close(&s);
    }
}

/* Each bit of a length, in a frame's header and in a record's: what comes behind it is there. */
static void test_known__flipped_length_drops_what_follows(void **state)
{
    (void)state;
    static const unsigned offsets[] = {12, 16, 20, 64 + 4};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            struct test_sample s;
            test_sample_make(&s, 100, RECORDS, false);
            test_sample_map(&s);
            uint64_t offset = test_sample_frame_of(&s, 2)->offset;
            test_sample_flip(&s, 1, offset + offsets[i] + bit / 8, bit % 8);
            struct test_verdict v = {.verdict = VARVE_VERDICT_CORRUPT,
                                     .segment = 1,
                                     .offset = offset,
                                     .sound_last = 1,
                                     .gone_last = 2,
                                     .saved = i < 3 ? 1 : 0,
                                     .last = RECORDS};
            test_judge_verify(&s, &v);
            test_judge_read_only(&s, &v);
            test_sample_close(&s);
        }
    }
}

/* A torn tail, appends after it, another torn tail, zeros: opened again and again. */
static void test_known__recovery_panics(void **state)
{
    (void)state;
    for (unsigned zeroed = 0; zeroed < 2; zeroed++) {
        struct test_sample s;
        test_sample_make(&s, 3000, RECORDS, false);
        for (int i = 0; i < 3; i++) {
            test_sample_map(&s);
            const struct test_sample_frame *last = &s.frames[s.frame_count - 1];
            uint64_t lsn = last->first_lsn;
            test_sample_zero(&s, last->segment, last->offset + (zeroed ? 0 : 512),
                             last->bytes - (zeroed ? 0 : 512));
            struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
            assert_int_equal(varve_last_lsn(log), lsn - 1);
            test_sample_next_life(&s, lsn);
            test_sample_append(&s, log, 3);
            test_sample_crash(&s, log);
        }
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_HALT);
        assert_int_equal(varve_last_lsn(log), RECORDS + 6);
        assert_int_equal(varve_close(log, NULL), 0);
        test_sample_close(&s);
    }
}

/* Names carry a number and no fact: a log whose end has moved on since a file got its name opens as well. */
static int no_fact_in_name(void *arg, const char *name)
{
    unsigned *segments = arg;
    uint64_t number;
    if (vv_segment_name_parse(name, &number)) {
        ++*segments;
        return number > 0 && number < 10 ? 0 : -1;
    }
    return strcmp(name, "LOCK") == 0 || strcmp(name, "MANIFEST") == 0 ||
                   (strncmp(name, "new-", 4) == 0 && strstr(name, ".tmp") != NULL)
               ? 0
               : -1;
}

static void test_known__stale_fact_in_a_name(void **state)
{
    (void)state;
    struct test_sample s;
    unsigned segments = 0;
    test_sample_make(&s, TEST_SAMPLE_BIG, 12, false);
    struct varve_dir *dir = test_sample_dir(&s);
    assert_int_equal(s.memory.io.dir_list(&s.memory.io, dir, no_fact_in_name, &segments), 0);
    s.memory.io.dir_close(&s.memory.io, dir);
    assert_true(segments >= 3);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_HALT);
    test_sample_append(&s, log, 5);
    test_sample_crash(&s, log);
    test_judge_verify(&s, &(struct test_verdict){.sound_last = 17, .last = 17});
    test_sample_close(&s);
}

/* Numbers of every length, and nothing that only looks like one. */
static void test_known__six_digits_of_a_number(void **state)
{
    (void)state;
    char name[VV_SEGMENT_NAME_BYTES], before[VV_SEGMENT_NAME_BYTES] = "";
    for (uint64_t number = 1; number != 0; number = number < UINT64_C(1) << 63 ? number * 2 + 1 : 0) {
        uint64_t back = 0;
        vv_segment_name(number, name);
        assert_true(vv_segment_name_parse(name, &back));
        assert_int_equal(back, number);
        /* In a listing they stand in the order of their numbers. */
        assert_true(strcmp(before, name) < 0);
        memcpy(before, name, sizeof before);
    }
    uint64_t back;
    assert_false(vv_segment_name_parse("wal-000001.seg", &back));
    assert_false(vv_segment_name_parse("wal-00000000000000001.seg", &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known__crafted_length_reserves_memory),
        cmocka_unit_test(test_known__flipped_length_drops_what_follows),
        cmocka_unit_test(test_known__recovery_panics),
        cmocka_unit_test(test_known__stale_fact_in_a_name),
        cmocka_unit_test(test_known__six_digits_of_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
