/* SPDX-License-Identifier: Apache-2.0 */
/* Damage to whole segments and to MANIFEST: what it is called, by every way of reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "lib/judge.h"
#include "lib/sample.h"

/* Three segments: LSN 1 to 5, 6 to 10, 11 to 13. */
enum {
    RECORDS = 13,
    SEGMENT_BYTES = 1 << 20
};

static void make(struct test_sample *s, bool clean)
{
    test_sample_make(s, TEST_SAMPLE_BIG, RECORDS, clean);
    test_sample_map(s);
    assert_int_equal(test_sample_frame_of(s, 6)->segment, 2);
    assert_int_equal(test_sample_frame_of(s, 11)->segment, 3);
    assert_int_equal(test_sample_frame_of(s, RECORDS)->segment, 3);
}

static struct test_verdict sound(uint64_t last)
{
    return (struct test_verdict){.sound_last = last, .last = last};
}

static struct test_verdict damage(enum varve_verdict verdict, uint64_t sound_last, uint64_t gone_last,
                                  uint64_t last)
{
    return (struct test_verdict){
        .verdict = verdict, .sound_last = sound_last, .gone_last = gone_last, .last = last};
}

static void judge(struct test_sample *s, struct test_verdict v)
{
    test_judge(s, &v);
    test_sample_close(s);
}

static void test_verdict_segment__sound(void **state)
{
    (void)state;
    struct test_sample s;
    for (int clean = 0; clean < 2; clean++) {
        make(&s, clean);
        judge(&s, sound(RECORDS));
    }
}

static void test_verdict_segment__first_missing(void **state)
{
    (void)state;
    struct test_sample s;
    for (int clean = 0; clean < 2; clean++) {
        make(&s, clean);
        test_sample_unlink_segment(&s, 1);
        judge(&s, damage(VARVE_VERDICT_MISSING_SEGMENT, 0, 5, RECORDS));
    }
}

static void test_verdict_segment__middle_missing(void **state)
{
    (void)state;
    struct test_sample s;
    for (int clean = 0; clean < 2; clean++) {
        make(&s, clean);
        test_sample_unlink_segment(&s, 2);
        judge(&s, damage(VARVE_VERDICT_MISSING_SEGMENT, 5, 10, RECORDS));
    }
}

static void test_verdict_segment__last_missing(void **state)
{
    (void)state;
    struct test_sample s;
    make(&s, true);
    test_sample_unlink_segment(&s, 3);
    judge(&s, damage(VARVE_VERDICT_MISSING_SEGMENT, 5 + 5, RECORDS, RECORDS));
    /* After a crash nothing on the disk says that it was there. */
    make(&s, false);
    test_sample_unlink_segment(&s, 3);
    judge(&s, sound(10));
}

static void test_verdict_segment__all_missing(void **state)
{
    (void)state;
    struct test_sample s;
    make(&s, true);
    for (uint64_t i = 1; i <= 3; i++) {
        test_sample_unlink_segment(&s, i);
    }
    judge(&s, damage(VARVE_VERDICT_MISSING_SEGMENT, 0, RECORDS, RECORDS));
}

/* A log that was trimmed has a first segment, whatever happened. */
static void test_verdict_segment__all_missing_of_a_trimmed_log(void **state)
{
    (void)state;
    struct test_sample s;
    uint64_t first = 0;
    struct varve_log *log;
    test_sample_make(&s, TEST_SAMPLE_BIG, RECORDS, true);
    log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    assert_int_equal(varve_trim(log, 12, &first), 0);
    assert_int_equal(first, 11);
    test_sample_crash(&s, log);
    test_sample_unlink_segment(&s, 3);
    assert_int_equal(test_sample_try(&s, VARVE_POLICY_TRUNCATE, 0, &log, NULL), VARVE_E_MISSING_SEGMENT);
    test_sample_close(&s);
}

/* The fields of a segment's header. */
static const unsigned fields[] = {0, 8, 12, 16, 32, 40, 48, 56, 64, 72, 76, 100, 124};

static void test_verdict_segment__header_of_the_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct test_sample s;
        make(&s, i % 2);
        test_sample_flip(&s, 1, fields[i], (unsigned)i % 8);
        struct test_verdict v = damage(VARVE_VERDICT_CORRUPT, 0, 5, RECORDS);
        v.saved = 5;
        judge(&s, v);
    }
}

static void test_verdict_segment__header_of_a_middle_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct test_sample s;
        make(&s, i % 2);
        test_sample_flip(&s, 2, fields[i], (unsigned)i % 8);
        struct test_verdict v = damage(VARVE_VERDICT_CORRUPT, 5, 10, RECORDS);
        v.saved = 5;
        judge(&s, v);
    }
}

/* Its frames say that they were acknowledged, and how far they go: no LSN of theirs is given again. */
static void test_verdict_segment__header_of_the_last(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct test_sample s;
        make(&s, i % 2);
        test_sample_flip(&s, 3, fields[i], (unsigned)i % 8);
        struct test_verdict v = damage(VARVE_VERDICT_CORRUPT, 10, RECORDS, RECORDS);
        v.saved = 3;
        v.segment = 3;
        judge(&s, v);
    }
}

static void test_verdict_segment__header_of_the_only_one(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct test_sample s;
        test_sample_make(&s, TEST_SAMPLE_SMALL, 4, clean);
        test_sample_flip(&s, 1, 65, 1);
        struct test_verdict v = damage(VARVE_VERDICT_CORRUPT, 0, 4, 4);
        v.saved = 4;
        judge(&s, v);
    }
}

/* Zeros where the header was, and all the frames are there. */
static void test_verdict_segment__header_zeroed(void **state)
{
    (void)state;
    for (uint64_t segment = 1; segment <= 3; segment++) {
        struct test_sample s;
        uint64_t first = 5 * (segment - 1), last = segment == 3 ? RECORDS : first + 5;
        make(&s, segment == 2);
        test_sample_zero(&s, segment, 0, 4096);
        struct test_verdict v =
            damage(segment == 3 ? VARVE_VERDICT_CORRUPT : VARVE_VERDICT_HOLE, first, last, RECORDS);
        v.saved = last - first;
        judge(&s, v);
    }
}

/* A whole file of one kind. */
static void content(uint64_t segment, int kind, bool clean)
{
    static unsigned char bytes[SEGMENT_BYTES];
    struct test_sample s;
    struct test_rng rng;
    uint64_t first = 5 * (segment - 1);
    memset(bytes, 0, sizeof bytes);
    if (kind == 2) {
        test_rng_init(&rng, segment);
        test_rng_fill(&rng, bytes, sizeof bytes);
    }
    make(&s, clean);
    test_sample_write_segment(&s, segment, bytes, kind == 0 ? 0 : sizeof bytes);
    struct test_verdict v = damage(VARVE_VERDICT_HOLE, first, first + 5, RECORDS);
    if (kind == 2) {
        v.verdict = VARVE_VERDICT_CORRUPT;
    }
    if (segment == 3 && clean) {
        v = damage(kind == 2 ? VARVE_VERDICT_CORRUPT : VARVE_VERDICT_MISSING_SEGMENT, first, RECORDS,
                   RECORDS);
    } else if (segment == 3) {
        /* What a power cut leaves of a first write, for all that can be told. */
        v = sound(first);
        v.verdict = kind == 2 ? VARVE_VERDICT_TORN : VARVE_VERDICT_CLEAN_END;
    }
    judge(&s, v);
}

static void test_verdict_segment__length_0(void **state)
{
    (void)state;
    for (uint64_t segment = 1; segment <= 3; segment++) {
        content(segment, 0, false);
        content(segment, 0, true);
    }
}

static void test_verdict_segment__zeros(void **state)
{
    (void)state;
    for (uint64_t segment = 1; segment <= 3; segment++) {
        content(segment, 1, false);
        content(segment, 1, true);
    }
}

static void test_verdict_segment__random_bytes(void **state)
{
    (void)state;
    for (uint64_t segment = 1; segment <= 3; segment++) {
        content(segment, 2, false);
        content(segment, 2, true);
    }
}

/* A header, and nothing else yet. */
static void test_verdict_segment__no_frame_in_the_last(void **state)
{
    (void)state;
    struct test_sample s;
    make(&s, false);
    test_sample_zero(&s, 3, 4096, SEGMENT_BYTES - 4096);
    judge(&s, sound(10));
    make(&s, false);
    test_sample_zero(&s, 3, 4096 + 512, SEGMENT_BYTES - 4096 - 512);
    struct test_verdict v = sound(10);
    v.verdict = VARVE_VERDICT_TORN;
    v.segment = 3;
    v.offset = 4096;
    judge(&s, v);
}

/* -- files in the wrong place -- */

static void copy_segment(struct test_sample *s, uint64_t from, uint64_t to)
{
    size_t bytes;
    void *content = test_sample_read(s, from, &bytes);
    test_sample_write_segment(s, to, content, bytes);
    free(content);
}

static void test_verdict_segment__duplicate_in_the_middle(void **state)
{
    (void)state;
    struct test_sample s;
    for (int clean = 0; clean < 2; clean++) {
        make(&s, clean);
        copy_segment(&s, 1, 2);
        judge(&s, damage(VARVE_VERDICT_CORRUPT, 5, 10, RECORDS));
    }
}

/* A copy behind the last one holds nothing that is missing: the log is sound. */
static void test_verdict_segment__duplicate_behind_the_last(void **state)
{
    (void)state;
    struct test_sample s;
    for (uint64_t from = 1; from <= 3; from++) {
        make(&s, true);
        copy_segment(&s, from, 4);
        judge(&s, sound(RECORDS));
    }
}

static void test_verdict_segment__foreign(void **state)
{
    (void)state;
    for (uint64_t segment = 1; segment <= 4; segment++) {
        struct test_sample s, other;
        struct varve_verify_result result = {.size = sizeof result};
        make(&s, segment % 2);
        test_sample_make(&other, TEST_SAMPLE_BIG, RECORDS, true);
        size_t bytes;
        void *content = test_sample_read(&other, segment < 4 ? segment : 3, &bytes);
        test_sample_write_segment(&s, segment, content, bytes);
        free(content);
        struct varve_options options = {.size = sizeof options, .io = &s.memory.io};
        assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, NULL), 0);
        assert_int_equal(result.found.verdict, VARVE_VERDICT_FOREIGN);
        assert_true(result.damages > 0);
        struct varve_error error = {0};
        struct varve_log *log = NULL;
        uint64_t before = test_sample_sum(&s);
        for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
            assert_int_equal(test_sample_try(&s, (enum varve_policy)policy, 0, &log, &error),
                             VARVE_E_FOREIGN);
            assert_int_equal(test_sample_try(&s, (enum varve_policy)policy, VARVE_OPEN_READ_ONLY, &log,
                                             &error),
                             VARVE_E_FOREIGN);
        }
        assert_int_equal(test_sample_sum(&s), before);
        test_sample_close(&other);
        test_sample_close(&s);
    }
}

/* Frames of an earlier life of the file stand behind the end, and are never read. */
static void test_verdict_segment__recycled(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct test_sample s;
        struct varve_stats stats = {.size = sizeof stats};
        uint64_t first = 0;
        size_t small = kind % 2 ? 3000 : TEST_SAMPLE_BIG;
        test_sample_make(&s, small, kind % 2 ? 900 : RECORDS, true);
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
        uint64_t last = varve_last_lsn(log);
        assert_int_equal(varve_trim(log, last, &first), 0);
        assert_true(first > 1);
        /* Into the file that was the first one, and a little way into it only. */
        do {
            test_sample_append(&s, log, 1);
            last++;
            assert_int_equal(varve_stats_get(log, &stats), 0);
        } while (stats.spares_used < 1 || stats.segments_opened < 2);
        if (kind < 2) {
            assert_int_equal(varve_close(log, NULL), 0);
        } else {
            test_sample_crash(&s, log);
        }
        struct test_verdict v = sound(last);
        v.first = first;
        test_judge_verify(&s, &v);
        test_judge_read_only(&s, &v);
        for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
            test_judge_open(&s, &v, (enum varve_policy)policy);
        }
        test_sample_close(&s);
    }
}

/* -- what is not for us to read -- */

static void patch_header(struct test_sample *s, uint64_t segment, unsigned offset, uint32_t value)
{
    unsigned char *content = test_sample_read(s, segment, NULL);
    vv_put_u32(content + offset, value);
    vv_put_u32(content + 124, vv_crc32c(0, content, 124));
    test_sample_patch(s, segment, 0, content, 128);
    free(content);
}

static void test_verdict_segment__newer_version(void **state)
{
    (void)state;
    for (uint64_t segment = 1; segment <= 3; segment++) {
        struct test_sample s;
        make(&s, segment == 2);
        patch_header(&s, segment, 8, 2);
        test_judge_refused(&s, VARVE_E_VERSION);
        test_sample_close(&s);
    }
}

static void test_verdict_segment__unknown_flags(void **state)
{
    (void)state;
    struct test_sample s;
    make(&s, false);
    patch_header(&s, 2, 76, 1);
    test_judge_refused(&s, VARVE_E_VERSION);
    test_sample_close(&s);
}

static void test_verdict_segment__unknown_codec(void **state)
{
    (void)state;
    struct test_sample s;
    make(&s, false);
    patch_header(&s, 2, 72, 7);
    test_judge_refused(&s, VARVE_E_CODEC);
    test_sample_close(&s);
}

/* A header that checks and says what cannot be. */
static void test_verdict_segment__impossible_header(void **state)
{
    (void)state;
    static const struct {
        unsigned offset;
        uint32_t value;
    } cases[] = {{12, 0}, {12, 513}, {12, 8192}, {48, 4096}, {52, 2}, {64, 0}, {8, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_sample s;
        make(&s, false);
        patch_header(&s, 2, cases[i].offset, cases[i].value);
        struct varve_log *log;
        assert_int_equal(test_sample_try(&s, VARVE_POLICY_TRUNCATE, 0, &log, NULL), VARVE_E_CORRUPT);
        test_sample_map(&s);
        test_sample_close(&s);
    }
}

/* -- MANIFEST -- */

static void test_verdict_segment__manifest(void **state)
{
    (void)state;
    static const char *const texts[] = {NULL, "", "varve manifest 1\n", "\xff\xfe",
                                        "varve manifest 1\nuuid 00\ncrc32c 00000000\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct test_sample s;
        make(&s, i % 2);
        if (texts[i] == NULL) {
            test_sample_unlink(&s, "MANIFEST");
        } else {
            test_sample_write(&s, "MANIFEST", texts[i], strlen(texts[i]));
        }
        struct test_verdict v = damage(VARVE_VERDICT_CORRUPT, RECORDS, RECORDS, RECORDS);
        v.without_manifest = true;
        judge(&s, v);
    }
}

static void test_verdict_segment__manifest_newer(void **state)
{
    (void)state;
    struct test_sample s;
    char text[256];
    make(&s, true);
    int len = snprintf(text, sizeof text, "varve manifest 2\nanything 1\n");
    len += snprintf(text + len, sizeof text - (size_t)len, "crc32c %08x\n", vv_crc32c(0, text, (size_t)len));
    test_sample_write(&s, "MANIFEST", text, (size_t)len);
    test_judge_refused(&s, VARVE_E_VERSION);
    test_sample_close(&s);
}

/* Two reasons to refuse: the one that is not accepted comes before the one that would be mended. */
static void test_verdict_segment__manifest_missing_and_newer_segment(void **state)
{
    (void)state;
    struct test_sample s;
    make(&s, true);
    test_sample_unlink(&s, "MANIFEST");
    patch_header(&s, 3, 8, 9);
    test_judge_refused(&s, VARVE_E_VERSION);
    test_sample_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdict_segment__sound),
        cmocka_unit_test(test_verdict_segment__first_missing),
        cmocka_unit_test(test_verdict_segment__middle_missing),
        cmocka_unit_test(test_verdict_segment__last_missing),
        cmocka_unit_test(test_verdict_segment__all_missing),
        cmocka_unit_test(test_verdict_segment__all_missing_of_a_trimmed_log),
        cmocka_unit_test(test_verdict_segment__header_of_the_first),
        cmocka_unit_test(test_verdict_segment__header_of_a_middle_one),
        cmocka_unit_test(test_verdict_segment__header_of_the_last),
        cmocka_unit_test(test_verdict_segment__header_of_the_only_one),
        cmocka_unit_test(test_verdict_segment__header_zeroed),
        cmocka_unit_test(test_verdict_segment__length_0),
        cmocka_unit_test(test_verdict_segment__zeros),
        cmocka_unit_test(test_verdict_segment__random_bytes),
        cmocka_unit_test(test_verdict_segment__no_frame_in_the_last),
        cmocka_unit_test(test_verdict_segment__duplicate_in_the_middle),
        cmocka_unit_test(test_verdict_segment__duplicate_behind_the_last),
        cmocka_unit_test(test_verdict_segment__foreign),
        cmocka_unit_test(test_verdict_segment__recycled),
        cmocka_unit_test(test_verdict_segment__newer_version),
        cmocka_unit_test(test_verdict_segment__unknown_flags),
        cmocka_unit_test(test_verdict_segment__unknown_codec),
        cmocka_unit_test(test_verdict_segment__impossible_header),
        cmocka_unit_test(test_verdict_segment__manifest),
        cmocka_unit_test(test_verdict_segment__manifest_newer),
        cmocka_unit_test(test_verdict_segment__manifest_missing_and_newer_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
