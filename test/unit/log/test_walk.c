/* SPDX-License-Identifier: Apache-2.0 */
#include "log/walk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/sample.h"

enum {
    FIRST = 4096, /* offset of the first frame */
};

static struct test_sample s;
static struct varve_dir *dir;
static struct vv_chain chain;
static struct vv_walk walk;

static void open_walk(uint64_t lsn, enum varve_policy policy)
{
    dir = test_sample_dir(&s);
    assert_int_equal(vv_chain_load(&chain, &s.memory.io, dir, NULL), 0);
    assert_int_equal(vv_walk_init(&walk, &chain, lsn, policy), 0);
}

static void close_walk(void)
{
    vv_walk_free(&walk);
    vv_chain_free(&chain);
    s.memory.io.dir_close(&s.memory.io, dir);
}

static void expect(uint64_t first, uint64_t last)
{
    struct vv_scan_frame frame;
    struct varve_error error = {0};
    for (uint64_t lsn = first; lsn <= last; lsn++) {
        if (vv_walk_next(&walk, &frame, &error) != 0) {
            fail_msg("LSN %u: %s", (unsigned)lsn, error.message);
        }
        assert_int_equal(frame.header.first_lsn, lsn);
        assert_int_equal(walk.expected, lsn + 1);
    }
}

static void expect_end(enum varve_verdict verdict)
{
    struct vv_scan_frame frame;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vv_walk_next(&walk, &frame, NULL), VARVE_END);
        assert_int_equal(walk.damage.verdict, verdict);
    }
}

/* From the first record, and from the beginning of the segment that holds another one. */
static void test_walk__order(void **state)
{
    (void)state;
    static const uint64_t from[][2] = {{0, 1}, {1, 1}, {5, 1}, {6, 6}, {10, 6}, {11, 11}, {UINT64_MAX, 11}};
    test_sample_make(&s, TEST_SAMPLE_BIG, 13, true);
    for (unsigned i = 0; i < sizeof from / sizeof *from; i++) {
        open_walk(from[i][0], VARVE_POLICY_HALT);
        assert_int_equal(walk.expected, from[i][1]);
        expect(from[i][1], 13);
        expect_end(VARVE_VERDICT_CLEAN_END);
        assert_int_equal(walk.frames, 14 - from[i][1]);
        assert_int_equal(walk.records, walk.frames);
        assert_int_equal(walk.end_segment, 3);
        assert_int_equal(walk.vouched, 13); /* MANIFEST */
        close_walk();
    }
    test_sample_close(&s);
}

/* A tear and what was behind it: a later segment begins before its end, and wins. */
static void test_walk__a_later_segment_wins(void **state)
{
    (void)state;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 6, false);
    test_sample_zero(&s, 1, FIRST + 5 * 512, 512);
    test_sample_flip(&s, 1, FIRST + 4 * 512 + 80, 1); /* 5 is torn, 6 not there */
    open_walk(0, VARVE_POLICY_TRUNCATE);
    expect(1, 4);
    expect_end(VARVE_VERDICT_TORN);
    assert_int_equal(walk.damage.segment, 1);
    assert_int_equal(walk.damage.offset, FIRST + 4 * 512);
    assert_int_equal(walk.end_offset, FIRST + 4 * 512);
    close_walk();
    test_sample_next_life(&s, 5);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 3);
    assert_int_equal(varve_close(log, NULL), 0);
    /* Repaired, the superseded frame is sound, and no part of the log all the same. */
    test_sample_flip(&s, 1, FIRST + 4 * 512 + 80, 1);
    open_walk(0, VARVE_POLICY_HALT);
    expect(1, 7);
    assert_int_equal(walk.end_segment, 2);
    expect_end(VARVE_VERDICT_CLEAN_END);
    assert_int_equal(walk.segments, 2);
    close_walk();
    test_sample_close(&s);
}

struct damages {
    unsigned count;
    struct vv_damage last;
    int rc;
};

static int on_damage(void *arg, const struct vv_damage *damage)
{
    struct damages *damages = arg;
    damages->count++;
    damages->last = *damage;
    return damages->rc;
}

static void test_walk__policies(void **state)
{
    (void)state;
    struct vv_scan_frame frame;
    struct varve_error error = {0};
    struct damages damages = {0};
    test_sample_make(&s, TEST_SAMPLE_SMALL, 6, true);
    test_sample_flip(&s, 1, FIRST + 2 * 512 + 80, 1);
    for (enum varve_policy policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_HALT; policy++) {
        open_walk(0, policy);
        expect(1, 2);
        assert_int_equal(vv_walk_next(&walk, &frame, &error), VARVE_E_CORRUPT);
        assert_non_null(strstr(error.message, "LSN 3 "));
        assert_int_equal(walk.damage.offset, FIRST + 2 * 512);
        close_walk();
    }
    open_walk(0, VARVE_POLICY_SKIP);
    walk.damaged = on_damage;
    walk.damaged_arg = &damages;
    expect(1, 2);
    expect(4, 6);
    expect_end(VARVE_VERDICT_CLEAN_END);
    assert_int_equal(damages.count, 1);
    assert_int_equal(damages.last.lsn_first, 3);
    assert_int_equal(damages.last.lsn_last, 3);
    assert_int_equal(damages.last.end_offset, FIRST + 3 * 512);
    assert_int_equal(walk.lost, 1);
    close_walk();
    /* Who is told may end it. */
    open_walk(0, VARVE_POLICY_SKIP);
    damages.rc = VARVE_E_NOSPC;
    walk.damaged = on_damage;
    walk.damaged_arg = &damages;
    expect(1, 2);
    assert_int_equal(vv_walk_next(&walk, &frame, &error), VARVE_E_NOSPC);
    close_walk();
    /* What was accepted before is passed over under every policy. */
    struct vv_lost_range range = {.first = 3, .last = 3, false};
    struct vv_lost accepted = {.ranges = &range, .count = 1};
    open_walk(0, VARVE_POLICY_HALT);
    walk.accepted = &accepted;
    expect(1, 2);
    expect(4, 6);
    close_walk();
    test_sample_close(&s);
}

/* At the end it can be asked again, in the segment where it stands and in those that came. */
static void test_walk__resume(void **state)
{
    (void)state;
    test_sample_init(&s, TEST_SAMPLE_BIG);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 2);
    open_walk(0, VARVE_POLICY_TRUNCATE);
    walk.live = true;
    expect(1, 2);
    expect_end(VARVE_VERDICT_CLEAN_END);
    for (uint64_t lsn = 3; lsn < 15; lsn += 3) {
        test_sample_append(&s, log, 3);
        assert_int_equal(vv_chain_reload(&chain, NULL), 0);
        vv_walk_resume(&walk);
        expect(lsn, lsn + 2);
        expect_end(VARVE_VERDICT_CLEAN_END);
    }
    close_walk();
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* A frame vouches for those before it; the last one is vouched for by nothing. */
static void test_walk__vouched(void **state)
{
    (void)state;
    bool vouched;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 4, false);
    open_walk(0, VARVE_POLICY_TRUNCATE);
    for (uint64_t lsn = 1; lsn <= 4; lsn++) {
        uint64_t offset;
        expect(lsn, lsn);
        offset = walk.scan.offset;
        assert_int_equal(vv_walk_vouched(&walk, lsn, &vouched, NULL), 0);
        assert_int_equal(vouched, lsn < 4);
        assert_int_equal(walk.scan.offset, offset);
    }
    close_walk();
    test_sample_close(&s);
}

static void test_walk__codes(void **state)
{
    (void)state;
    assert_int_equal(vv_walk_code(VARVE_VERDICT_CLEAN_END), 0);
    assert_int_equal(vv_walk_code(VARVE_VERDICT_TORN), VARVE_E_TORN);
    assert_int_equal(vv_walk_code(VARVE_VERDICT_CORRUPT), VARVE_E_CORRUPT);
    assert_int_equal(vv_walk_code(VARVE_VERDICT_HOLE), VARVE_E_HOLE);
    assert_int_equal(vv_walk_code(VARVE_VERDICT_MISSING_SEGMENT), VARVE_E_MISSING_SEGMENT);
    assert_int_equal(vv_walk_code(VARVE_VERDICT_FOREIGN), VARVE_E_FOREIGN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk__order),    cmocka_unit_test(test_walk__a_later_segment_wins),
        cmocka_unit_test(test_walk__policies), cmocka_unit_test(test_walk__resume),
        cmocka_unit_test(test_walk__vouched),  cmocka_unit_test(test_walk__codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
