/* SPDX-License-Identifier: Apache-2.0 */
/* Damage to frames: what it is called, by every way of reading, and that the log goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/judge.h"
#include "lib/sample.h"

enum {
    RECORDS = 6
};

/* The fields of a frame's header, and the sizes. */
static const struct {
    unsigned offset, bytes;
} fields[] = {
    {0, 4},  /* magic */
    {4, 4},  /* header CRC */
    {8, 4},  /* body CRC */
    {12, 4}, /* stored */
    {16, 4}, /* raw */
    {20, 4}, /* count */
    {24, 8}, /* first LSN */
    {32, 8}, /* durable LSN */
    {40, 8}, /* time */
    {48, 8}, /* segment */
    {56, 4}, /* sector */
    {60, 1}, /* codec */
    {61, 1}, /* flags */
    {62, 2}, /* zero */
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

static struct test_verdict corrupt_at(const struct test_sample *s, uint64_t lsn, uint64_t gone_last,
                                      uint64_t last)
{
    const struct test_sample_frame *frame = test_sample_frame_of(s, lsn);
    return (struct test_verdict){.verdict = VARVE_VERDICT_CORRUPT,
                                 .segment = frame->segment,
                                 .offset = frame->offset,
                                 .sound_last = lsn - 1,
                                 .gone_last = gone_last,
                                 .last = last};
}

static void test_verdict_frame__sound(void **state)
{
    (void)state;
    struct test_sample s;
    for (int clean = 0; clean < 2; clean++) {
        test_sample_make(&s, TEST_SAMPLE_SMALL, RECORDS, clean);
        test_judge(&s, &(struct test_verdict){.sound_last = RECORDS, .last = RECORDS});
        test_sample_close(&s);
    }
}

static void test_verdict_frame__empty(void **state)
{
    (void)state;
    struct test_sample s;
    for (int clean = 0; clean < 2; clean++) {
        test_sample_make(&s, TEST_SAMPLE_SMALL, 0, clean);
        test_judge(&s, &(struct test_verdict){.last = 0});
        test_sample_close(&s);
    }
}

/* One bit in a field of the header of the frame that holds `lsn`. */
static void flip_header(uint64_t lsn, bool clean)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct test_sample s;
        test_sample_make(&s, TEST_SAMPLE_SMALL, RECORDS, clean);
        test_sample_map(&s);
        struct test_verdict v = corrupt_at(&s, lsn, lsn, RECORDS);
        v.saved = 1; /* the body is sound, and so is its record */
        if (lsn == RECORDS && !clean) {
            v = torn_at(&s, lsn);
        }
        test_sample_flip(&s, 1, test_sample_frame_of(&s, lsn)->offset + fields[i].offset, (unsigned)i % 8);
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

static void test_verdict_frame__header_in_the_middle(void **state)
{
    (void)state;
    flip_header(3, false);
}

static void test_verdict_frame__header_of_the_first(void **state)
{
    (void)state;
    flip_header(1, false);
}

static void test_verdict_frame__header_of_the_last(void **state)
{
    (void)state;
    flip_header(RECORDS, false);
}

static void test_verdict_frame__header_of_the_last_after_a_clean_close(void **state)
{
    (void)state;
    flip_header(RECORDS, true);
}

/* One bit in a field of a record's header, in a frame that something vouches for. */
static void test_verdict_frame__record_header(void **state)
{
    (void)state;
    static const unsigned offsets[] = {0, 4, 6, 8, 9, 10, 12, 16, 115};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        struct test_sample s;
        test_sample_make(&s, TEST_SAMPLE_SMALL, RECORDS, false);
        test_sample_map(&s);
        struct test_verdict v = corrupt_at(&s, 3, 3, RECORDS);
        test_sample_flip(&s, 1, v.offset + 64 + offsets[i], (unsigned)i % 8);
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* A tear: a header, and of its body only a part; or the other way round. */
static void test_verdict_frame__torn(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct test_sample s;
        test_sample_make(&s, 3000, RECORDS, false);
        test_sample_map(&s);
        struct test_verdict v = torn_at(&s, RECORDS);
        uint64_t end = v.offset + test_sample_frame_of(&s, RECORDS)->bytes;
        switch (i) {
        case 0: /* the header's sector only */
            test_sample_zero(&s, 1, v.offset + 512, end - v.offset - 512);
            break;
        case 1: /* all but the header's sector */
            test_sample_zero(&s, 1, v.offset, 512);
            break;
        case 2: /* all but the last sector */
            test_sample_zero(&s, 1, end - 512, 512);
            break;
        default: /* only a sector in the middle */
            test_sample_zero(&s, 1, v.offset, 1024);
            test_sample_zero(&s, 1, v.offset + 1536, end - v.offset - 1536);
            break;
        }
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

static void test_verdict_frame__nothing_of_it_arrived(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, 3000, RECORDS, false);
    test_sample_map(&s);
    struct test_verdict v = torn_at(&s, RECORDS);
    test_sample_zero(&s, 1, v.offset, test_sample_frame_of(&s, RECORDS)->bytes);
    v.verdict = VARVE_VERDICT_CLEAN_END;
    v.segment = v.offset = 0;
    test_judge(&s, &v);
    test_sample_close(&s);
}

/* Zeros where frames were that a later one vouches for. */
static void test_verdict_frame__zeroed_middle(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, 3000, RECORDS, false);
    test_sample_map(&s);
    struct test_verdict v = corrupt_at(&s, 2, 4, RECORDS);
    uint64_t end = test_sample_frame_of(&s, 5)->offset;
    test_sample_zero(&s, 1, v.offset, end - v.offset);
    test_judge(&s, &v);
    test_sample_close(&s);
}

/* The very first frame, of a log that was never closed. */
static void test_verdict_frame__zeroed_beginning(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, 3000, RECORDS, false);
    test_sample_map(&s);
    struct test_verdict v = corrupt_at(&s, 1, 2, RECORDS);
    test_sample_zero(&s, 1, v.offset, test_sample_frame_of(&s, 3)->offset - v.offset);
    test_judge(&s, &v);
    test_sample_close(&s);
}

/* Zeros at the end of a log that was closed: then it is known how far it went. */
static void test_verdict_frame__zeroed_end_after_a_clean_close(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, 3000, RECORDS, true);
    test_sample_map(&s);
    struct test_verdict v = corrupt_at(&s, 4, RECORDS, RECORDS);
    v.verdict = VARVE_VERDICT_MISSING_SEGMENT;
    test_sample_zero(&s, 1, v.offset, (1 << 20) - v.offset);
    test_judge(&s, &v);
    test_sample_close(&s);
}

/* Two frames on their way when the power failed: the second arrived and the first did not. */
static void test_verdict_frame__second_arrived_first(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct test_sample s;
        test_sample_init(&s, 3000);
        /* Buffered frames are sealed one after the other, and made durable together. */
        s.options.durability = VARVE_BUFFERED;
        s.options.slot_bytes = 4096;
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
        test_sample_append(&s, log, 2);
        assert_int_equal(varve_sync(log), 0);
        test_sample_append(&s, log, 3);
        assert_int_equal(varve_sync(log), 0);
        test_sample_crash(&s, log);
        s.options.durability = VARVE_GROUP;
        test_sample_map(&s);
        assert_int_equal(test_sample_frame_of(&s, 5)->durable_lsn, 2);
        struct test_verdict v = torn_at(&s, 3);
        test_sample_zero(&s, 1, v.offset, whole ? test_sample_frame_of(&s, 3)->bytes : 512);
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* A mark vouches for the newest frame: damage to that is damage, without a clean close. */
static void test_verdict_frame__marked(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct test_sample s;
        test_sample_init(&s, 3000);
        s.options.mark_idle_ms = 1;
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
        test_sample_append(&s, log, RECORDS);
        /* Each of the frames may have got a mark behind it; the last one will. */
        do {
            test_sample_map(&s);
        } while (s.frames[s.frame_count - 1].records != 0);
        test_sample_crash(&s, log);
        s.options.mark_idle_ms = UINT32_MAX;
        test_sample_map(&s);
        struct test_verdict v = corrupt_at(&s, RECORDS, RECORDS, RECORDS);
        switch (i) {
        case 0:
            test_sample_flip(&s, 1, v.offset + 100, 3);
            break;
        case 1:
            test_sample_flip(&s, 1, v.offset + 20, 3);
            v.saved = 1;
            break;
        default:
            test_sample_zero(&s, 1, v.offset, test_sample_frame_of(&s, RECORDS)->bytes);
            break;
        }
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* Damage to a mark costs nothing but the mark. */
static void test_verdict_frame__mark_damaged(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    s.options.mark_idle_ms = 1;
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 1);
    do {
        test_sample_map(&s);
    } while (s.frames[s.frame_count - 1].records != 0);
    test_sample_crash(&s, log);
    s.options.mark_idle_ms = UINT32_MAX;
    test_sample_map(&s);
    const struct test_sample_frame mark = s.frames[s.frame_count - 1];
    assert_int_equal(mark.durable_lsn, 1);
    assert_int_equal(mark.first_lsn, 2);
    test_sample_flip(&s, 1, mark.offset + 33, 0);
    test_judge(
        &s,
        &(struct test_verdict){
            .verdict = VARVE_VERDICT_TORN, .segment = 1, .offset = mark.offset, .sound_last = 1, .last = 1});
    test_sample_close(&s);
}

/* A damaged frame of many records gives up those that are sound. */
static void test_verdict_frame__sound_records_of_a_damaged_frame(void **state)
{
    (void)state;
    static const struct {
        unsigned offset;
        uint64_t saved;
    } cases[] = {
        {64 + 2 * 120 + 30, 7}, /* the content of the third */
        {64 + 2 * 120, 7},      /* its checksum */
        {64 + 2 * 120 + 8, 7},  /* its type */
        {64 + 2 * 120 + 7, 2},  /* its length: behind it nothing can be found */
        {20, 8},                /* the frame's count */
        {64 + 8 * 120 - 1, 8},  /* the padding of the last one */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_sample s;
        test_sample_init(&s, TEST_SAMPLE_SMALL);
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
        test_sample_append(&s, log, 2);
        test_sample_append_batch(&s, log, 8);
        test_sample_append(&s, log, 2);
        test_sample_crash(&s, log);
        test_sample_map(&s);
        struct test_verdict v = corrupt_at(&s, 3, 10, 12);
        v.saved = cases[i].saved;
        test_sample_flip(&s, 1, v.offset + cases[i].offset, 5);
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* Damage in two places: the first is told as such, and so is the second. */
static void test_verdict_frame__two_damages(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_verify_result result = {.size = sizeof result};
    test_sample_make(&s, TEST_SAMPLE_SMALL, 9, false);
    test_sample_map(&s);
    test_sample_flip(&s, 1, test_sample_frame_of(&s, 3)->offset + 90, 0);
    test_sample_flip(&s, 1, test_sample_frame_of(&s, 6)->offset + 90, 0);
    struct varve_options options = {.size = sizeof options, .io = &s.memory.io};
    assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, NULL), 0);
    assert_int_equal(result.damages, 2);
    assert_int_equal(result.found.lost_records, 2);
    assert_int_equal(result.found.lost_first, 3);
    assert_int_equal(result.found.lost_last, 6);
    assert_int_equal(result.found.offset, test_sample_frame_of(&s, 3)->offset);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_SKIP);
    assert_int_equal(varve_last_lsn(log), 9);
    assert_int_equal(varve_close(log, NULL), 0);
    log = test_sample_open(&s, VARVE_POLICY_HALT);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* What was accepted was this damage: the next one is refused again. */
static void test_verdict_frame__accepted_is_only_this(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_log *log;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 9, false);
    test_sample_map(&s);
    test_sample_flip(&s, 1, test_sample_frame_of(&s, 3)->offset + 90, 0);
    log = test_sample_open(&s, VARVE_POLICY_SKIP);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_flip(&s, 1, test_sample_frame_of(&s, 6)->offset + 90, 0);
    assert_int_equal(test_sample_try(&s, VARVE_POLICY_TRUNCATE, 0, &log, NULL), VARVE_E_CORRUPT);
    test_sample_close(&s);
}

/* Damage that is larger than what is looked through at a live end, with sound records behind it; MANIFEST
 * vouches for it, or only the log that is open. */
static void test_verdict_frame__large_damage_beside_a_writer(void **state)
{
    (void)state;
    for (int fresh = 0; fresh < 2; fresh++) {
        struct test_sample s;
        struct varve_log *reader = NULL;
        struct test_verdict v = {
            .verdict = VARVE_VERDICT_CORRUPT, .sound_last = 1, .gone_last = 2, .last = 3};
        test_sample_make(&s, 300000, fresh ? 0 : 3, true);
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
        if (fresh) {
            test_sample_append(&s, log, 3);
        }
        test_sample_map(&s);
        test_sample_zero(&s, 1, test_sample_frame_of(&s, 2)->offset, test_sample_frame_of(&s, 2)->bytes);
        (void)test_judge_read(&s, log, VARVE_POLICY_TRUNCATE, &v, VARVE_E_CORRUPT);
        (void)test_judge_read(&s, log, VARVE_POLICY_SKIP, &v, VARVE_END);
        assert_int_equal(test_sample_try(&s, VARVE_POLICY_SKIP, VARVE_OPEN_READ_ONLY, &reader, NULL), 0);
        if (!fresh) {
            (void)test_judge_read(&s, reader, VARVE_POLICY_TRUNCATE, &v, VARVE_E_CORRUPT);
            (void)test_judge_read(&s, reader, VARVE_POLICY_SKIP, &v, VARVE_END);
        }
        assert_int_equal(varve_close(reader, NULL), 0);
        assert_int_equal(varve_close(log, NULL), 0);
        test_sample_close(&s);
    }
}

/* Torn, gone on, torn again: what was superseded never comes back. */
static void test_verdict_frame__torn_again_and_again(void **state)
{
    (void)state;
    struct test_sample s;
    uint64_t last = 5;
    test_sample_make(&s, 3000, 5, false);
    for (unsigned i = 0; i < TEST_SAMPLE_LIVES - 1; i++) {
        test_sample_map(&s);
        const struct test_sample_frame *frame = test_sample_frame_of(&s, last);
        test_sample_zero(&s, frame->segment, frame->offset + 512, 512);
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
        assert_int_equal(varve_last_lsn(log), last - 1);
        test_sample_next_life(&s, last);
        test_sample_append(&s, log, 3);
        last += 2;
        (void)test_judge_read(&s, log, VARVE_POLICY_HALT, &(struct test_verdict){.last = last}, VARVE_END);
        test_sample_crash(&s, log);
    }
    test_sample_map(&s);
    test_judge_verify(&s, &(struct test_verdict){.last = last});
    test_judge_read_only(&s, &(struct test_verdict){.last = last});
    test_sample_close(&s);
}

/* A frame larger than what is read at once, cut off in its body. */
static void test_verdict_frame__large_and_truncated(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_init(&s, 3 << 20);
    s.options.segment_bytes = 4 << 20;
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 1);
    test_sample_crash(&s, log);
    test_sample_map(&s);
    struct test_verdict v = torn_at(&s, 1);
    test_sample_truncate(&s, 1, v.offset + (2 << 20));
    test_judge(&s, &v);
    test_sample_close(&s);
}

/* A file cut off anywhere in the last two frames. */
static void truncated(bool clean)
{
    struct test_sample s;
    test_sample_make(&s, TEST_SAMPLE_SMALL, RECORDS, clean);
    test_sample_map(&s);
    uint64_t start = test_sample_frame_of(&s, RECORDS - 1)->offset;
    for (unsigned cut = 0; cut <= 1024; cut++) {
        /* A frame that is there down to the last byte of its record (180 bytes) needs no more. */
        uint64_t there = RECORDS - 2 + (cut >= 180 ? 1U : 0U) + (cut >= 512 + 180 ? 1U : 0U);
        unsigned within = cut % 512;
        struct test_verdict v = {.sound_last = there, .last = there};
        struct test_sample copy;
        if (clean && there < RECORDS) {
            v.verdict = within == 0 || within >= 180 ? VARVE_VERDICT_MISSING_SEGMENT : VARVE_VERDICT_CORRUPT;
            v.gone_last = v.last = RECORDS;
        } else if (within != 0 && within < 180) {
            v.verdict = VARVE_VERDICT_TORN;
        }
        test_sample_copy(&s, &copy);
        test_sample_truncate(&copy, 1, start + cut);
        test_judge_verify(&copy, &v);
        test_judge_read_only(&copy, &v);
        /* Opening for writing is dearer, and what it decides does not change from byte to byte. */
        if (cut % 37 == 0 || (cut % 512 > 170 && cut % 512 < 190)) {
            test_judge(&copy, &v);
        }
        test_sample_close(&copy);
    }
    test_sample_close(&s);
}

static void test_verdict_frame__truncated_anywhere(void **state)
{
    (void)state;
    truncated(false);
}

static void test_verdict_frame__truncated_anywhere_after_a_clean_close(void **state)
{
    (void)state;
    truncated(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdict_frame__sound),
        cmocka_unit_test(test_verdict_frame__empty),
        cmocka_unit_test(test_verdict_frame__header_in_the_middle),
        cmocka_unit_test(test_verdict_frame__header_of_the_first),
        cmocka_unit_test(test_verdict_frame__header_of_the_last),
        cmocka_unit_test(test_verdict_frame__header_of_the_last_after_a_clean_close),
        cmocka_unit_test(test_verdict_frame__record_header),
        cmocka_unit_test(test_verdict_frame__torn),
        cmocka_unit_test(test_verdict_frame__nothing_of_it_arrived),
        cmocka_unit_test(test_verdict_frame__zeroed_middle),
        cmocka_unit_test(test_verdict_frame__zeroed_beginning),
        cmocka_unit_test(test_verdict_frame__zeroed_end_after_a_clean_close),
        cmocka_unit_test(test_verdict_frame__second_arrived_first),
        cmocka_unit_test(test_verdict_frame__marked),
        cmocka_unit_test(test_verdict_frame__mark_damaged),
        cmocka_unit_test(test_verdict_frame__sound_records_of_a_damaged_frame),
        cmocka_unit_test(test_verdict_frame__two_damages),
        cmocka_unit_test(test_verdict_frame__accepted_is_only_this),
        cmocka_unit_test(test_verdict_frame__large_damage_beside_a_writer),
        cmocka_unit_test(test_verdict_frame__torn_again_and_again),
        cmocka_unit_test(test_verdict_frame__large_and_truncated),
        cmocka_unit_test(test_verdict_frame__truncated_anywhere),
        cmocka_unit_test(test_verdict_frame__truncated_anywhere_after_a_clean_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
