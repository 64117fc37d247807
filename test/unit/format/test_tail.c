/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule that tells a torn tail from damage, on every format: files are records without a header, which is
 * all that the search sees.
 */
#include "format/tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "lib/build.h"
#include "lib/rng.h"
#include "lib/source.h"

enum {
    ROOM = 1 << 16,
    MIB = 1 << 20,
    OVERLAPS = 1 << 18 /* bytes, each of which costs the search as much as any can */
};

/* Where decoding stops, from `at` on. */
static size_t stop_of(const struct varve_format *f, const uint8_t *bytes, size_t len, size_t at)
{
    struct varve_format_entry entry;
    while (vv_format_decode(f, bytes + at, len - at, len - at, &entry) == VARVE_FOUND_RECORD)
        at += entry.bytes;
    return at;
}

static enum varve_verdict judge(const struct varve_format *f, const uint8_t *bytes, size_t len, size_t at)
{
    return test_source_judge(f, bytes, len, at).verdict;
}

static bool is_fixed(const struct varve_format *f)
{
    return f->traits & VARVE_FORMAT_FIXED;
}

#define EACH_FORMAT(f)                                                   \
    for (unsigned f##_i = 0; test_build_formats[f##_i] != NULL; f##_i++) \
        for (const struct varve_format *f = varve_format_get(test_build_formats[f##_i]); f != NULL; f = NULL)

/* The last record cut after each of its bytes, with nothing behind it, with zeros, and with garbage. */
static void test_tail__a_cut_record_is_torn(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t bytes[2048], cut[4096];
        size_t at[4], len = test_build_records(f, 3, 40, bytes, at);
        for (size_t keep = 1; at[2] + keep < len; keep++) {
            memset(cut, 0, sizeof cut);
            memcpy(cut, bytes, at[2] + keep);
            size_t zeros = at[2] + 700;
            if (stop_of(f, cut, zeros, 0) == at[2])
                assert_int_equal(judge(f, cut, zeros, at[2]), VARVE_VERDICT_TORN);
            if (is_fixed(f))
                continue;
            assert_int_equal(judge(f, cut, at[2] + keep, at[2]), VARVE_VERDICT_TORN);
            memset(cut + at[2] + keep, 0xa5, 29);
            assert_int_equal(judge(f, cut, at[2] + keep + 29, at[2]), VARVE_VERDICT_TORN);
        }
    }
}

/* Each bit of the first record turned: what follows it tells. */
static void test_tail__a_turned_bit_before_records_is_damage(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t bytes[2048];
        size_t at[4], len = test_build_records(f, 3, 33, bytes, at);
        for (size_t bit = 0; bit < 8 * at[1]; bit++) {
            struct varve_format_entry entry;
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            enum varve_found found = vv_format_decode(f, bytes, len, len, &entry);
            assert_int_not_equal(found, VARVE_FOUND_RECORD);
            assert_int_not_equal(found, VARVE_FOUND_END);
            assert_non_null(entry.reason);
            if (found != VARVE_FOUND_VERSION) {
                struct vv_format_judgement j = test_source_judge(f, bytes, len, 0);
                assert_int_equal(j.verdict, VARVE_VERDICT_CORRUPT);
                assert_int_equal(j.beyond, at[1]);
                assert_int_equal(j.records_beyond, 2);
                assert_false(j.reordered);
            }
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* In a file that is not the last, nothing is torn. */
static void test_tail__not_the_last_file(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t bytes[512];
        size_t at[2], len = test_build_records(f, 1, 20, bytes, at);
        struct test_source source = {.bytes = bytes, .len = len - 1, .fail_after = 0};
        struct vv_format_search *search = test_source_search(&source, f);
        struct vv_format_judgement j;
        assert_int_equal(vv_format_judge(search, 0, false, &j), 0);
        assert_int_equal(j.verdict, VARVE_VERDICT_CORRUPT);
        assert_int_equal(j.records_beyond, 0);
        free(search);
    }
}

/* A payload may hold copies of log bytes. Cut within it, or behind one of them but before the next: torn. */
static void test_tail__a_record_inside_a_torn_payload_is_no_evidence(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t inner[1024], *bytes = calloc(1, ROOM);
        size_t at[6], inner_len = test_build_records(f, 5, 30, inner, at);
        memset(inner + inner_len, 'x', 50);
        size_t len = test_build_record(f, inner, inner_len + 50, 1, bytes);
        size_t image = 0;
        assert_non_null(bytes);
        while (memcmp(bytes + image, inner, inner_len) != 0)
            image++;
        for (size_t cut = 1; cut < len; cut++) {
            bool ends_with_image = false;
            for (unsigned i = 1; i <= 5; i++)
                ends_with_image = ends_with_image || cut == image + at[i];
            if (is_fixed(f)) {
                uint8_t zeroed[2048] = {0};
                memcpy(zeroed, bytes, cut);
                if (stop_of(f, zeroed, sizeof zeroed, 0) == 0 && !ends_with_image)
                    assert_int_equal(judge(f, zeroed, sizeof zeroed, 0), VARVE_VERDICT_TORN);
            } else if (ends_with_image) {
                /* Then bytes alone cannot tell: records up to exactly the end of the file. */
                assert_int_equal(judge(f, bytes, cut, 0), VARVE_VERDICT_CORRUPT);
            } else {
                assert_int_equal(judge(f, bytes, cut, 0), VARVE_VERDICT_TORN);
            }
        }
        free(bytes);
    }
}

/* At or behind the claimed end one record is enough, whatever follows it. */
static void test_tail__a_record_at_the_claimed_end(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t bytes[4096] = {0};
        size_t at[3], len = test_build_records(f, 2, 30, bytes, at);
        bytes[at[1] - 6] ^= 1;
        memset(bytes + len, 0xa5, 100);
        struct vv_format_judgement j = test_source_judge(f, bytes, len + 100, 0);
        assert_int_equal(j.verdict, VARVE_VERDICT_CORRUPT);
        assert_int_equal(j.beyond, at[1]);
        assert_int_equal(j.records_beyond, 1);
        /* And one a little behind it: garbage lies between. */
        memmove(bytes + at[1] + 10, bytes + at[1], len - at[1]);
        memset(bytes + at[1], 0xa5, 10);
        j = test_source_judge(f, bytes, len + 100, 0);
        assert_int_equal(j.verdict, VARVE_VERDICT_CORRUPT);
        assert_int_equal(j.beyond, at[1] + 10);
        /* Without a length to believe, records that lead nowhere are none. */
        memset(bytes, 0xff, f->head_bytes);
        assert_int_equal(judge(f, bytes, len + 100, 0), VARVE_VERDICT_TORN);
    }
}

/* Records beyond a lost block: damage of its own kind. */
static void test_tail__a_lost_block_before_records(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t *bytes = calloc(1, ROOM);
        size_t at[31], len = test_build_records(f, 30, 90, bytes, at);
        assert_non_null(bytes);
        memset(bytes + 512, 0, 512);
        size_t stop = stop_of(f, bytes, len, 0);
        assert_true(stop <= 512);
        struct vv_format_judgement j = test_source_judge(f, bytes, len, stop);
        unsigned sound = 0;
        for (unsigned i = 0; i < 30; i++)
            sound += at[i] >= 1024;
        assert_int_equal(j.verdict, VARVE_VERDICT_CORRUPT);
        assert_true(j.reordered);
        assert_true(j.beyond >= 1024);
        assert_int_equal(j.records_beyond, sound);
        /* 511 zeros are no block, and neither are 512 that are not aligned. */
        bytes[1023] = 1;
        assert_false(test_source_judge(f, bytes, len, stop).reordered);
        bytes[1023] = 0;
        bytes[512] = 1;
        memset(bytes + 1024, 0, 1);
        stop = stop_of(f, bytes, len, 0);
        assert_false(test_source_judge(f, bytes, len, stop).reordered);
        free(bytes);
    }
}

/* Where two places are broken, those behind the second count too. */
static void test_tail__counts_over_further_breaks(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t bytes[4096];
        size_t at[11], len = test_build_records(f, 10, 60, bytes, at);
        bytes[at[3] - 6] ^= 1;
        bytes[at[7] - 6] ^= 1;
        struct vv_format_judgement j = test_source_judge(f, bytes, len, at[2]);
        assert_int_equal(j.verdict, VARVE_VERDICT_CORRUPT);
        assert_int_equal(j.beyond, at[3]);
        assert_int_equal(j.records_beyond, 6);
    }
}

/* Finds every record from every offset. */
static void test_tail__next(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t *bytes = calloc(1, ROOM);
        size_t at[21], len;
        assert_non_null(bytes);
        memset(bytes, 0xa5, 100);
        len = 100 + test_build_records(f, 20, 700, bytes + 100, at);
        memset(bytes + len, 0xa5, 100);
        struct test_source source = {.bytes = bytes, .len = len + 100, .fail_after = -1};
        struct vv_format_search *search = test_source_search(&source, f);
        unsigned next = 0;
        for (size_t from = 0; from < len + 200; from += 3) {
            uint64_t found = 0;
            while (next < 20 && from > 100 + at[next])
                next++;
            int rc = vv_format_search_next(search, from, &found);
            assert_int_equal(rc, next == 20 ? VARVE_END : 0);
            if (rc == 0)
                assert_int_equal(found, 100 + at[next]);
        }
        free(search);
        free(bytes);
    }
}

/* wlog alone: a run ends where the file is all zero, or too short for a head. */
static void test_tail__fixed_files_end_in_zeros(void **state)
{
    (void)state;
    const struct varve_format *f = varve_format_get("wlog");
    uint8_t bytes[4096];
    size_t at[4], len;

    for (size_t room = 0; room < 64; room++) {
        memset(bytes, 0, sizeof bytes);
        len = test_build_records(f, 3, 50, bytes, at);
        memset(bytes, 0xff, 8);
        assert_int_equal(judge(f, bytes, len + room, 0), VARVE_VERDICT_CORRUPT);
        /* A byte further on: the zeros are not the end, and the run leads nowhere. */
        if (room > 8) {
            bytes[len + room - 1] = 1;
            assert_int_equal(judge(f, bytes, len + room, 0), VARVE_VERDICT_TORN);
        }
    }
    /* Zeros where a record should be, and records behind them. */
    memset(bytes, 0, sizeof bytes);
    len = test_build_records(f, 3, 50, bytes, at);
    memset(bytes, 0, at[1]);
    assert_int_equal(judge(f, bytes, sizeof bytes, 0), VARVE_VERDICT_CORRUPT);
    memset(bytes, 0, at[2]);
    bytes[len - 1] ^= 1;
    assert_int_equal(judge(f, bytes, sizeof bytes, 0), VARVE_VERDICT_TORN);
}

static void test_tail__passes_on_errors(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t *bytes = calloc(1, ROOM);
        size_t at[31], len = test_build_records(f, 30, 1000, bytes, at);
        assert_non_null(bytes);
        bytes[at[1] - 6] ^= 1;
        bytes[at[5] - 6] ^= 1;
        for (int fail = 0;; fail++) {
            struct test_source source = {.bytes = bytes, .len = len, .fail_after = fail};
            struct vv_format_search *search = test_source_search(&source, f);
            struct vv_format_judgement j = {.records_beyond = 77};
            int rc = vv_format_judge(search, 0, true, &j);
            free(search);
            if (rc == 0) {
                assert_int_equal(j.records_beyond, 28);
                assert_true(fail > 10);
                break;
            }
            assert_int_equal(rc, VARVE_E_IO);
            assert_int_equal(j.records_beyond, 77);
        }
        free(bytes);
    }
}

/* -- bytes made to be slow -- */

/* What a judgement read, per byte of the file. */
static uint64_t cost(const struct varve_format *f, const uint8_t *bytes, size_t len,
                     struct vv_format_judgement *ret)
{
    struct test_source source = {.bytes = bytes, .len = len, .fail_after = -1};
    struct vv_format_search *search = test_source_search(&source, f);
    assert_int_equal(vv_format_judge(search, 0, true, ret), 0);
    free(search);
    return source.read_bytes / len;
}

/* Every offset begins a record, by its length: as many overlapping claims as there are bytes. */
static void test_tail__overlapping_lengths_cost_no_more(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(OVERLAPS);
    assert_non_null(bytes);
    EACH_FORMAT(f)
    {
        struct vv_format_judgement j;
        for (size_t i = 0; i < OVERLAPS; i++)
            bytes[i] = i % 4 == 2 ? 2 : 0; /* 0x00020000 or less at each offset, in either byte order */
        for (size_t i = 12; strcmp(f->name, "stra") == 0 && i < OVERLAPS; i += 4)
            bytes[i] = 1; /* and versions */
        memset(bytes, 0xff, 16);
        assert_true(cost(f, bytes, OVERLAPS, &j) < 1000);
        assert_int_equal(j.verdict, VARVE_VERDICT_TORN);
    }
    free(bytes);
}

/* Records within each other, `levels` deep; the outer half is broken. Returns their length. */
static size_t nest(const struct varve_format *f, unsigned levels, uint8_t *bytes)
{
    uint8_t *outer = calloc(1, (size_t)levels * TEST_BUILD_AROUND + 1);
    size_t len = 1, before = 0;

    assert_non_null(outer);
    bytes[0] = 'Q';
    for (unsigned i = 0; i < levels; i++) {
        len = test_build_record(f, bytes, len, 1, outer);
        for (; i == 0 && outer[before] != 'Q'; before++) {
        }
        memcpy(bytes, outer, len);
    }
    bytes[before * (levels / 2)] ^= 1;
    free(outer);
    return len;
}

/* Each record is valid and lies in another. A few levels are judged; of very many the search gives up, within
 * the same cost, and says damage: it must not say that it is safe to cut. */
static void test_tail__nested_records_cost_no_more(void **state)
{
    (void)state;
    static const unsigned levels[] = {8, 400};
    EACH_FORMAT(f)
    {
        for (unsigned i = 0; i < 2; i++) {
            uint8_t *bytes = calloc(1, (size_t)levels[i] * TEST_BUILD_AROUND + 32);
            struct vv_format_judgement j;
            assert_non_null(bytes);
            size_t len = nest(f, levels[i], bytes);
            memset(bytes + len, 0x5a, 16);
            assert_true(cost(f, bytes, len + 16, &j) < 2000);
            assert_int_equal(j.verdict,
                             i > 0 && f->check != NULL ? VARVE_VERDICT_CORRUPT : VARVE_VERDICT_TORN);
            free(bytes);
        }
    }
}

/* Copies of a log in a torn payload: each of their records begins a run that leads nowhere. */
static void test_tail__runs_that_lead_nowhere_cost_no_more(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        enum {
            COUNT = 4000
        };
        size_t *at = malloc((COUNT + 1) * sizeof *at);
        uint8_t *bytes = calloc(1, (size_t)COUNT * TEST_BUILD_AROUND + 256);
        struct vv_format_judgement j;
        assert_true(bytes != NULL && at != NULL);
        memset(bytes, 0xff, 64);
        size_t len = 64 + test_build_records(f, COUNT, 8, bytes + 64, at);
        memset(bytes + len, 0xa5, 100);
        assert_true(cost(f, bytes, len + 100, &j) < 100);
        assert_int_equal(j.verdict, VARVE_VERDICT_TORN);
        free(bytes);
        free(at);
    }
}

/* Zeros of a preallocated file go by fast, and random bytes cost little. */
static void test_tail__large_files(void **state)
{
    (void)state;
    uint8_t *bytes = calloc(1, 2 * MIB);
    struct test_rng rng;
    assert_non_null(bytes);
    test_rng_init(&rng, test_rng_seed());
    EACH_FORMAT(f)
    {
        struct vv_format_judgement j;
        memset(bytes, 0, 2 * MIB);
        memset(bytes, 0xff, 100);
        assert_true(cost(f, bytes, 2 * MIB, &j) < 4);
        assert_int_equal(j.verdict, VARVE_VERDICT_TORN);
        test_rng_fill(&rng, bytes + 16, MIB / 4);
        assert_true(cost(f, bytes, 2 * MIB, &j) < 20);
        assert_int_equal(j.verdict, VARVE_VERDICT_TORN);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tail__a_cut_record_is_torn),
        cmocka_unit_test(test_tail__a_turned_bit_before_records_is_damage),
        cmocka_unit_test(test_tail__not_the_last_file),
        cmocka_unit_test(test_tail__a_record_inside_a_torn_payload_is_no_evidence),
        cmocka_unit_test(test_tail__a_record_at_the_claimed_end),
        cmocka_unit_test(test_tail__a_lost_block_before_records),
        cmocka_unit_test(test_tail__counts_over_further_breaks),
        cmocka_unit_test(test_tail__next),
        cmocka_unit_test(test_tail__fixed_files_end_in_zeros),
        cmocka_unit_test(test_tail__passes_on_errors),
        cmocka_unit_test(test_tail__overlapping_lengths_cost_no_more),
        cmocka_unit_test(test_tail__nested_records_cost_no_more),
        cmocka_unit_test(test_tail__runs_that_lead_nowhere_cost_no_more),
        cmocka_unit_test(test_tail__large_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
