/* SPDX-License-Identifier: Apache-2.0 */
#include "log/verdict.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/sample.h"

enum {
    FIRST = 4096, /* offset of the first frame */
};

static struct test_sample s;

/* Walks to where the log does not go on. Returns what stands there. */
static struct vv_damage walk_to_damage(bool live)
{
    struct varve_dir *dir = test_sample_dir(&s);
    struct vv_scan_frame frame;
    struct vv_damage damage;
    struct vv_chain chain;
    struct vv_walk walk;
    int rc;
    assert_int_equal(vv_chain_load(&chain, &s.memory.io, dir, NULL), 0);
    assert_int_equal(vv_walk_init(&walk, &chain, 0, VARVE_POLICY_TRUNCATE), 0);
    walk.live = live;
    do {
        rc = vv_walk_next(&walk, &frame, NULL);
    } while (rc == 0);
    damage = walk.damage;
    assert_int_equal(rc, damage.verdict <= VARVE_VERDICT_TORN ? VARVE_END : vv_walk_code(damage.verdict));
    vv_walk_free(&walk);
    vv_chain_free(&chain);
    s.memory.io.dir_close(&s.memory.io, dir);
    return damage;
}

static void expect(enum varve_verdict verdict, uint64_t offset, uint64_t first, uint64_t last,
                   const char *words)
{
    struct vv_damage damage = walk_to_damage(false);
    assert_int_equal(damage.verdict, verdict);
    assert_int_equal(damage.offset, offset);
    assert_int_equal(damage.lsn_first, first);
    assert_int_equal(damage.lsn_last, last);
    if (strstr(damage.message, words) == NULL) {
        fail_msg("no '%s' in '%s'", words, damage.message);
    }
}

/* The same damage, as what stands behind it says more or less about it. */
static void test_verdict__who_vouches(void **state)
{
    (void)state;
    const uint64_t fourth = FIRST + 3 * 512, fifth = fourth + 512;
    for (int clean = 0; clean < 2; clean++) {
        test_sample_make(&s, TEST_SAMPLE_SMALL, 5, clean);
        test_sample_flip(&s, 1, fourth + 100, 1);
        /* The fifth frame was sealed when the fourth was durable. */
        expect(VARVE_VERDICT_CORRUPT, fourth, 4, 4, "the body of a frame does not check");
        test_sample_flip(&s, 1, fourth + 100, 1);
        test_sample_flip(&s, 1, fifth + 100, 1);
        /* Nothing is behind it but MANIFEST. */
        if (clean) {
            expect(VARVE_VERDICT_CORRUPT, fifth, 5, 5, "the body of a frame does not check");
        } else {
            expect(VARVE_VERDICT_TORN, fifth, 5, 4, "never acknowledged");
        }
        test_sample_zero(&s, 1, fifth, 512);
        if (clean) {
            expect(VARVE_VERDICT_MISSING_SEGMENT, fifth, 5, 5, "closed with more than this");
        } else {
            expect(VARVE_VERDICT_CLEAN_END, fifth, 5, 4, "");
        }
        test_sample_close(&s);
    }
}

/* What a message says stands there. */
static void test_verdict__what_is_broken(void **state)
{
    (void)state;
    const uint64_t second = FIRST + 512;
    static const struct {
        unsigned at, len;
        const char *words;
    } cases[] = {
        {24, 0, "the header of a frame does not check"},
        {80, 0, "the body of a frame does not check"},
        {0, 0, "no frame where one should be"},
        {0, 512, "zeros where a frame should be"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_sample_make(&s, TEST_SAMPLE_SMALL, 3, true);
        if (cases[i].len != 0) {
            test_sample_zero(&s, 1, second, cases[i].len);
        } else {
            test_sample_flip(&s, 1, second + cases[i].at, 1);
        }
        expect(VARVE_VERDICT_CORRUPT, second, 2, 2, cases[i].words);
        test_sample_close(&s);
    }
    /* There is no frame at all any more. */
    test_sample_make(&s, TEST_SAMPLE_BIG, 3, true);
    test_sample_unlink_segment(&s, 1);
    expect(VARVE_VERDICT_MISSING_SEGMENT, 0, 1, 3, "missing");
    test_sample_close(&s);
}

static void test_verdict__between_segments(void **state)
{
    (void)state;
    struct vv_damage damage;
    /* A number is skipped. */
    test_sample_make(&s, TEST_SAMPLE_BIG, 13, true);
    test_sample_unlink_segment(&s, 2);
    expect(VARVE_VERDICT_MISSING_SEGMENT, 0, 6, 10, "the segment before it is missing");
    test_sample_close(&s);
    /* None is, and records are. */
    test_sample_make(&s, TEST_SAMPLE_BIG, 13, true);
    test_sample_map(&s);
    uint64_t offset = test_sample_frame_of(&s, 4)->offset;
    test_sample_zero(&s, 1, offset, (1 << 20) - offset);
    damage = walk_to_damage(false);
    assert_int_equal(damage.verdict, VARVE_VERDICT_HOLE);
    assert_int_equal(damage.lsn_first, 4);
    assert_int_equal(damage.lsn_last, 5);
    test_sample_close(&s);
    /* The file is there, and its header is not what it was. */
    test_sample_make(&s, TEST_SAMPLE_BIG, 13, true);
    test_sample_flip(&s, 2, 60, 1);
    expect(VARVE_VERDICT_CORRUPT, 0, 6, 10, "the header of the segment does not check");
    test_sample_zero(&s, 2, 0, 4096);
    expect(VARVE_VERDICT_HOLE, 0, 6, 10, "the segment has no header");
    test_sample_close(&s);
}

/* The last segment has lost its header: what its frames say, and if nothing, MANIFEST. */
static void test_verdict__headless(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        for (int zeroed = 0; zeroed < 2; zeroed++) {
            test_sample_make(&s, TEST_SAMPLE_BIG, 13, clean);
            if (zeroed) {
                test_sample_zero(&s, 3, 0, 4096);
            } else {
                test_sample_flip(&s, 3, 60, 1);
            }
            /* 12 and 13 vouch for 11, or MANIFEST for all. */
            struct vv_damage damage = walk_to_damage(false);
            assert_int_equal(damage.verdict, VARVE_VERDICT_CORRUPT);
            assert_int_equal(damage.segment, 3);
            assert_int_equal(damage.lsn_first, 11);
            assert_int_equal(damage.lsn_last, 13);
            test_sample_close(&s);
        }
    }
    /* One frame, of which nobody was told. */
    test_sample_make(&s, TEST_SAMPLE_BIG, 11, false);
    test_sample_flip(&s, 3, 60, 1);
    expect(VARVE_VERDICT_TORN, 0, 11, 10, "never acknowledged");
    test_sample_close(&s);
}

/* Beside a live writer only so much is looked through; what is further on will be there soon. */
static void test_verdict__live(void **state)
{
    (void)state;
    test_sample_make(&s, TEST_SAMPLE_BIG, 4, false);
    test_sample_map(&s);
    uint64_t second = test_sample_frame_of(&s, 2)->offset, third = test_sample_frame_of(&s, 3)->offset;
    test_sample_flip(&s, 1, second + 100, 1);
    assert_int_equal(walk_to_damage(true).verdict, VARVE_VERDICT_CORRUPT);
    test_sample_zero(&s, 1, third, 512);
    assert_int_equal(walk_to_damage(true).verdict, VARVE_VERDICT_TORN);
    assert_int_equal(walk_to_damage(false).verdict, VARVE_VERDICT_CORRUPT);
    test_sample_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdict__who_vouches),
        cmocka_unit_test(test_verdict__what_is_broken),
        cmocka_unit_test(test_verdict__between_segments),
        cmocka_unit_test(test_verdict__headless),
        cmocka_unit_test(test_verdict__live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
