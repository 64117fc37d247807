/* SPDX-License-Identifier: Apache-2.0 */
/* Damage to logs with codecs: the verdicts are those of a log without, also where the records cannot be read;
 * and what can be saved is saved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/codecs.h"
#include "lib/judge.h"
#include "lib/sample.h"

enum {
    BYTES = 8000, /* their second half repeats the first: they shrink */
    RECORDS = 6,
    BIG_RECORDS = 13 /* in three segments: LSN 1 to 5, 6 to 10, 11 to 13 */
};

static struct varve_keys *keys;

static void make(struct test_sample *s, const char *codec, size_t bytes, unsigned records, bool clean)
{
    test_sample_init(s, bytes);
    s->options.codec = codec;
    s->options.keys = keys;
    struct varve_log *log = test_sample_open(s, VARVE_POLICY_TRUNCATE);
    test_sample_append(s, log, records);
    if (clean) {
        assert_int_equal(varve_close(log, NULL), 0);
    } else {
        test_sample_crash(s, log);
    }
    s->options.codec = NULL;
    test_sample_map(s);
}

static void judge(struct test_sample *s, struct test_verdict v)
{
    test_judge(s, &v);
    test_sample_close(s);
}

static struct test_verdict corrupt(const struct test_sample *s, uint64_t lsn, uint64_t saved, uint64_t last)
{
    const struct test_sample_frame *frame = test_sample_frame_of(s, lsn);
    return (struct test_verdict){.verdict = VARVE_VERDICT_CORRUPT,
                                 .segment = frame->segment,
                                 .offset = frame->offset,
                                 .sound_last = lsn - 1,
                                 .gone_last = lsn,
                                 .saved = saved,
                                 .last = last};
}

static void test_verdict_codec__sound(void **state)
{
    (void)state;
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        for (int clean = 0; clean < 2; clean++) {
            struct test_sample s;
            make(&s, test_codecs_at(i), BYTES, RECORDS, clean);
            judge(&s, (struct test_verdict){.sound_last = RECORDS, .last = RECORDS});
        }
    }
}

/* An encoded body gives all of its records or none. */
static void test_verdict_codec__body(void **state)
{
    (void)state;
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        for (unsigned at = 0; at < 3; at += 2) {
            struct test_sample s;
            make(&s, test_codecs_at(i), BYTES, RECORDS, at == 2);
            const struct test_sample_frame frame = *test_sample_frame_of(&s, 3);
            assert_true(frame.stored_bytes != BYTES + 16);
            test_sample_flip(&s, 1, frame.offset + 64 + at * (frame.stored_bytes - 1) / 2, at);
            judge(&s, corrupt(&s, 3, 0, RECORDS));
        }
        /* The last one, which nothing vouches for. */
        struct test_sample s;
        make(&s, test_codecs_at(i), BYTES, RECORDS, false);
        const struct test_sample_frame *frame = test_sample_frame_of(&s, RECORDS);
        struct test_verdict v = {.verdict = VARVE_VERDICT_TORN,
                                 .segment = 1,
                                 .offset = frame->offset,
                                 .sound_last = RECORDS - 1,
                                 .last = RECORDS - 1};
        test_sample_flip(&s, 1, frame->offset + 64 + 100, 5);
        judge(&s, v);
    }
}

/* A bit of the header: the body is sound, and saved where the codec can do with the rest. What was sealed is
 * sealed with its header. */
static void test_verdict_codec__header(void **state)
{
    (void)state;
    static const unsigned fields[] = {4, 16, 40, 60};
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++) {
            struct test_sample s;
            unsigned at = fields[k];
            make(&s, test_codecs_at(i), BYTES, RECORDS, false);
            bool lengths = at == 12 || at == 16 || at == 60;
            bool lost = test_codecs_seals(test_codecs_at(i)) ? at >= 12 : lengths;
            test_sample_flip(&s, 1, test_sample_frame_of(&s, 3)->offset + at, 0);
            judge(&s, corrupt(&s, 3, !lost, RECORDS));
        }
    }
}

/* The segment's header, and with it perhaps the salt: frames agree with themselves, and say so to the
 * verdict; and whoever has the key gets all of them back. */
static void segment_header(struct test_sample *s, uint64_t segment, int how)
{
    if (how == 2) {
        test_sample_zero(s, segment, 0, 4096);
    } else {
        test_sample_flip(s, segment, how == 0 ? 48 : 42, 3); /* capacity; salt */
    }
}

static void test_verdict_codec__header_of_the_only_segment(void **state)
{
    (void)state;
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        for (int how = 0; how < 3; how++) {
            struct test_sample s;
            make(&s, test_codecs_at(i), BYTES, RECORDS, false);
            segment_header(&s, 1, how);
            judge(&s, (struct test_verdict){.verdict = VARVE_VERDICT_CORRUPT,
                                            .segment = 1,
                                            .gone_last = RECORDS,
                                            .saved = RECORDS,
                                            .last = RECORDS});
        }
    }
}

static void test_verdict_codec__header_of_a_segment(void **state)
{
    (void)state;
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        for (int how = 1; how < 3; how++) {
            for (uint64_t segment = 2; segment <= 3; segment++) {
                struct test_sample s;
                uint64_t first = 5 * (segment - 1), last = segment == 3 ? BIG_RECORDS : first + 5;
                make(&s, test_codecs_at(i), TEST_SAMPLE_BIG, BIG_RECORDS, false);
                assert_int_equal(test_sample_frame_of(&s, first + 1)->segment, segment);
                segment_header(&s, segment, how);
                judge(&s, (struct test_verdict){.verdict = how == 2 && segment == 2 ? VARVE_VERDICT_HOLE
                                                                                    : VARVE_VERDICT_CORRUPT,
                                                .sound_last = first,
                                                .gone_last = last,
                                                .saved = last - first,
                                                .last = BIG_RECORDS});
            }
        }
    }
}

/* The same verdict for who has no key. */
static void test_verdict_codec__without_the_key(void **state)
{
    (void)state;
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        if (!test_codecs_seals(test_codecs_at(i))) {
            continue;
        }
        for (int how = 0; how < 4; how++) {
            struct test_sample s;
            make(&s, test_codecs_at(i), BYTES, RECORDS, false);
            struct test_verdict v = corrupt(&s, 3, 0, RECORDS);
            if (how < 3) {
                segment_header(&s, 1, how);
                v = (struct test_verdict){
                    .verdict = VARVE_VERDICT_CORRUPT, .segment = 1, .gone_last = RECORDS, .last = RECORDS};
            } else {
                test_sample_flip(&s, 1, v.offset + 64 + 50, 1);
            }
            s.options.keys = NULL;
            test_judge_verify(&s, &v);
            test_sample_close(&s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdict_codec__sound),
        cmocka_unit_test(test_verdict_codec__body),
        cmocka_unit_test(test_verdict_codec__header),
        cmocka_unit_test(test_verdict_codec__header_of_the_only_segment),
        cmocka_unit_test(test_verdict_codec__header_of_a_segment),
        cmocka_unit_test(test_verdict_codec__without_the_key),
    };
    keys = test_codecs_keys(1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    varve_keys_free(keys);
    return failed;
}
