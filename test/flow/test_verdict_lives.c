/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage in a log that has been torn before. Behind a tear frames are left that were never acknowledged, and
 * whose LSNs were given again in a later segment. When that segment cannot be read, they must not come back
 * in its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "format/segment.h"
#include "lib/judge.h"
#include "lib/sample.h"

/* Frames of three records. Segment 1: LSN 1 to 6, then 7 to 9 torn and 10 to 15 left. Segment 2: 7 to 12,
 * then 13 to 15 torn and 16 to 21 left. Segment 3: 13 to 24. */
enum {
    RECORD_BYTES = 1200,
    BATCH = 3,
    FIRST_LAST = 6,
    SECOND_LAST = 12,
    RECORDS = 24,
    SEGMENT_BYTES = 1 << 20
};

enum tear {
    HEAD_LOST, /* of the torn frame's sectors the first did not arrive */
    TAIL_LOST, /* the last two: two of three records are sound */
};

/* A life that ends in a tear: two frames that were acknowledged, and three on their way, of which the first
 * did not arrive whole. */
static void torn_life(struct test_sample *s, enum tear tear)
{
    s->options.durability = VARVE_BUFFERED;
    s->options.slot_bytes = 4096;
    struct varve_log *log = test_sample_open(s, VARVE_POLICY_TRUNCATE);
    uint64_t last = varve_last_lsn(log) + 2 * BATCH;
    for (int i = 0; i < 5; i++) {
        test_sample_append_batch(s, log, BATCH);
        if (i == 1 || i == 4) {
            assert_int_equal(varve_sync(log), 0);
        }
    }
    test_sample_crash(s, log);
    test_sample_map(s);
    const struct test_sample_frame *torn = NULL;
    for (unsigned i = 0; i < s->frame_count; i++) {
        if (s->frames[i].first_lsn == last + 1) {
            torn = &s->frames[i];
        }
    }
    assert_true(torn != NULL && torn->records == BATCH && torn->durable_lsn == last);
    test_sample_zero(s, torn->segment, torn->offset + (tear == HEAD_LOST ? 0 : torn->bytes - 1024),
                     tear == HEAD_LOST ? 512 : 1024);
    test_sample_next_life(s, last + 1);
}

static void make(struct test_sample *s, enum tear tear, bool clean)
{
    test_sample_init(s, RECORD_BYTES);
    torn_life(s, tear);
    torn_life(s, tear);
    s->options.durability = VARVE_GROUP;
    struct varve_log *log = test_sample_open(s, VARVE_POLICY_TRUNCATE);
    assert_int_equal(varve_last_lsn(log), SECOND_LAST);
    while (varve_last_lsn(log) < RECORDS) {
        test_sample_append_batch(s, log, BATCH);
    }
    if (clean) {
        assert_int_equal(varve_close(log, NULL), 0);
    } else {
        test_sample_crash(s, log);
    }
}

/* Damages a segment, and says what must be said of the records that it held. */
enum damage {
    HEADER_BIT,
    HEADER_ZEROED,
    ALL_ZEROED,
    CUT_TO_NOTHING,
    GONE,
    FAR_AWAY, /* under another number */
    DAMAGES,
};

static void damage(struct test_sample *s, uint64_t segment, enum damage how)
{
    size_t bytes;
    void *content;
    switch (how) {
    case HEADER_BIT:
        test_sample_flip(s, segment, 64, 1);
        break;
    case HEADER_ZEROED:
        test_sample_zero(s, segment, 0, 4096);
        break;
    case ALL_ZEROED:
        test_sample_zero(s, segment, 0, SEGMENT_BYTES);
        break;
    case CUT_TO_NOTHING:
        test_sample_truncate(s, segment, 0);
        break;
    case FAR_AWAY:
        content = test_sample_read(s, segment, &bytes);
        test_sample_write_segment(s, segment + 100, content, bytes);
        free(content);
        test_sample_unlink_segment(s, segment);
        break;
    default:
        test_sample_unlink_segment(s, segment);
        break;
    }
}

static void test_verdict_lives__sound(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct test_sample s;
        make(&s, (enum tear)(i / 2), i % 2);
        test_judge(&s, &(struct test_verdict){.sound_last = RECORDS, .last = RECORDS});
        test_sample_close(&s);
    }
}

/* A later segment that is sound says what is gone. */
static void test_verdict_lives__in_the_middle(void **state)
{
    (void)state;
    static const struct {
        enum varve_verdict verdict;
        uint64_t saved;
    } expected[] = {
        [HEADER_BIT] = {VARVE_VERDICT_CORRUPT, 6},   [HEADER_ZEROED] = {VARVE_VERDICT_HOLE, 6},
        [ALL_ZEROED] = {VARVE_VERDICT_HOLE, 0},      [CUT_TO_NOTHING] = {VARVE_VERDICT_HOLE, 0},
        [GONE] = {VARVE_VERDICT_MISSING_SEGMENT, 0},
    };
    for (int i = 0; i < 4; i++) {
        for (enum damage how = HEADER_BIT; how <= GONE; how++) {
            struct test_sample s;
            make(&s, (enum tear)(i / 2), i % 2);
            damage(&s, 2, how);
            test_judge(&s, &(struct test_verdict){.verdict = expected[how].verdict,
                                                  .sound_last = FIRST_LAST,
                                                  .gone_last = SECOND_LAST,
                                                  .saved = expected[how].saved,
                                                  .last = RECORDS});
            test_sample_close(&s);
        }
    }
}

/* Two in a row: what of the older one is left behind its tear is as old. */
static void test_verdict_lives__two_in_a_row(void **state)
{
    (void)state;
    for (enum damage second = HEADER_BIT; second <= GONE; second++) {
        struct test_sample s;
        make(&s, HEAD_LOST, true);
        damage(&s, 2, HEADER_BIT);
        damage(&s, 3, second);
        test_sample_map(&s);
        for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
            struct varve_log *log = NULL;
            struct varve_cursor *cursor = NULL;
            struct varve_entry entry;
            assert_int_equal(test_sample_try(&s, (enum varve_policy)policy, VARVE_OPEN_READ_ONLY, &log, NULL),
                             0);
            assert_int_equal(varve_cursor_open(log, (enum varve_policy)policy, &cursor, NULL), 0);
            while (varve_cursor_next(cursor, &entry) == 0) {
                assert_true(test_sample_is(&s, entry.lsn, entry.data, entry.data_bytes));
            }
            varve_cursor_close(cursor);
            assert_int_equal(varve_close(log, NULL), 0);
        }
        test_sample_close(&s);
    }
}

/* MANIFEST says that there was more. */
static void test_verdict_lives__the_last_after_a_clean_close(void **state)
{
    (void)state;
    for (enum damage how = HEADER_BIT; how < DAMAGES; how++) {
        struct test_sample s;
        bool frames = how == HEADER_BIT || how == HEADER_ZEROED, far = how == FAR_AWAY;
        make(&s, HEAD_LOST, true);
        test_sample_map(&s);
        /* What was left behind the tear is damaged as well, and says less of how far the segment went. */
        for (unsigned i = 0; frames && i < s.frame_count; i++) {
            if (s.frames[i].segment == 2 && s.frames[i].first_lsn == SECOND_LAST + 3 * BATCH - 2) {
                test_sample_flip(&s, 2, s.frames[i].offset + 20, 0);
            }
        }
        damage(&s, 3, how);
        struct test_verdict v = {.verdict =
                                     frames || far ? VARVE_VERDICT_CORRUPT : VARVE_VERDICT_MISSING_SEGMENT,
                                 .sound_last = SECOND_LAST,
                                 .gone_last = RECORDS,
                                 .saved = frames ? RECORDS - SECOND_LAST : 0,
                                 .last = RECORDS};
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* The last frame before the tear is damaged too, and what is left behind the tear vouches for just that. */
static void test_verdict_lives__damage_beside_the_tear(void **state)
{
    (void)state;
    struct test_sample s;
    make(&s, HEAD_LOST, true);
    test_sample_map(&s);
    const struct test_sample_frame *frame = test_sample_frame_of(&s, FIRST_LAST);
    assert_int_equal(frame->segment, 1);
    test_sample_flip(&s, 1, frame->offset + 100, 3);
    damage(&s, 2, GONE);
    test_judge(&s, &(struct test_verdict){.verdict = VARVE_VERDICT_MISSING_SEGMENT,
                                          .sound_last = FIRST_LAST - BATCH,
                                          .gone_last = SECOND_LAST,
                                          .last = RECORDS});
    test_sample_close(&s);
}

/* All segments behind the first are gone without a trace, and MANIFEST alone says that there was more. What
 * is left behind the tear does not come back: not whole, not with damage of its own at its end, and not what
 * is sound in the torn frame itself. */
static void test_verdict_lives__nothing_behind_the_tear(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct test_sample s;
        make(&s, (enum tear)(i % 2), true);
        test_sample_map(&s);
        for (unsigned f = 0; f < s.frame_count; f++) {
            /* The body of the last of them, its header, or that of all. */
            bool last = s.frames[f].first_lsn == FIRST_LAST + 2 * BATCH + 1;
            if (s.frames[f].segment == 1 && s.frames[f].first_lsn > FIRST_LAST && (last || i / 2 == 3)) {
                test_sample_flip(&s, 1, s.frames[f].offset + (i / 2 == 1 ? 100 : 20), i / 2 == 0 ? 0 : 3);
            }
        }
        damage(&s, 2, GONE);
        damage(&s, 3, GONE);
        struct varve_log *log = NULL;
        struct varve_cursor *cursor = NULL;
        struct varve_entry entry;
        assert_int_equal(test_sample_try(&s, VARVE_POLICY_TRUNCATE, 0, &log, NULL),
                         i / 2 < 3 ? VARVE_E_MISSING_SEGMENT : VARVE_E_CORRUPT);
        /* Read as it is; gone on with, and read once more. */
        for (int life = 0; life < 3; life++) {
            uint64_t records = 0;
            assert_int_equal(
                test_sample_try(&s, VARVE_POLICY_SKIP, life == 1 ? 0 : VARVE_OPEN_READ_ONLY, &log, NULL), 0);
            if (life == 1) {
                assert_int_equal(varve_last_lsn(log), RECORDS);
                test_sample_append_batch(&s, log, BATCH);
            }
            assert_int_equal(varve_cursor_open(log, VARVE_POLICY_SKIP, &cursor, NULL), 0);
            while (varve_cursor_next(cursor, &entry) == 0) {
                assert_true(test_sample_is(&s, entry.lsn, entry.data, entry.data_bytes));
                records++;
            }
            assert_int_equal(records, FIRST_LAST + (life > 0 ? BATCH : 0));
            varve_cursor_close(cursor);
            assert_int_equal(varve_close(log, NULL), 0);
        }
        test_sample_close(&s);
    }
}

static uint64_t before_of(struct test_sample *s, uint64_t segment)
{
    struct vv_segment_header header;
    void *bytes = test_sample_read(s, segment, NULL);
    assert_int_equal(vv_segment_decode(bytes, VV_SEGMENT_HEADER_BYTES, &header), VV_SEGMENT_OK);
    free(bytes);
    return header.before;
}

/* A header says which segment was in use before: numbers alone do not, for one that was prepared when the
 * process died is never used. */
static void test_verdict_lives__the_one_before(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, TEST_SAMPLE_BIG, 13, false);
    test_sample_map(&s);
    assert_int_equal(before_of(&s, 1), 0);
    assert_int_equal(before_of(&s, 2), 1);
    assert_int_equal(before_of(&s, 3), 2);
    test_sample_write_segment(&s, 4, "", 0);
    test_sample_truncate(&s, 4, SEGMENT_BYTES);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 5);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_map(&s);
    const struct test_sample_frame *last = test_sample_frame_of(&s, 18);
    assert_true(last->segment > 4);
    assert_int_equal(before_of(&s, last->segment), 3);
    /* The end of segment 3 is gone: nothing else is missing, and what was there may be looked for. */
    const struct test_sample_frame *gone = test_sample_frame_of(&s, 15);
    assert_int_equal(gone->segment, 3);
    test_sample_flip(&s, 3, gone->offset + 20, 0);
    test_judge(&s, &(struct test_verdict){.verdict = VARVE_VERDICT_CORRUPT,
                                          .segment = 3,
                                          .offset = gone->offset,
                                          .sound_last = 14,
                                          .gone_last = 15,
                                          .saved = 1,
                                          .last = 18});
    test_sample_close(&s);
}

/* Damage that something vouches for, and behind it a tear that was not gone on from: what is left there is
 * not part of the log. */
static void test_verdict_lives__damage_before_the_last_tear(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_init(&s, RECORD_BYTES);
    torn_life(&s, HEAD_LOST);
    s.options.durability = VARVE_GROUP;
    test_sample_map(&s);
    const struct test_sample_frame *frame = test_sample_frame_of(&s, FIRST_LAST);
    struct test_verdict v = {.verdict = VARVE_VERDICT_CORRUPT,
                             .segment = 1,
                             .offset = frame->offset,
                             .sound_last = FIRST_LAST - BATCH,
                             .gone_last = FIRST_LAST,
                             .saved = 2,
                             .last = FIRST_LAST};
    test_sample_flip(&s, 1, frame->offset + 100, 3);
    test_judge(&s, &v);
    test_sample_close(&s);
}

/* A write of an earlier life went to the wrong place: its records bear the right LSNs, and are not those that
 * were acknowledged under them. */
static void test_verdict_lives__misdirected(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct test_sample s;
        struct test_sample_frame from = {0}, to = {0};
        make(&s, HEAD_LOST, i % 2);
        test_sample_map(&s);
        for (unsigned f = 0; f < s.frame_count; f++) {
            if (s.frames[f].first_lsn == FIRST_LAST + BATCH + 1 && s.frames[f].segment == 1) {
                from = s.frames[f];
            } else if (s.frames[f].first_lsn == FIRST_LAST + BATCH + 1) {
                to = s.frames[f];
            }
        }
        assert_true(from.segment == 1 && to.segment == 2 && from.bytes == to.bytes);
        unsigned char *content = test_sample_read(&s, 1, NULL);
        struct test_verdict v = {.verdict = VARVE_VERDICT_CORRUPT,
                                 .segment = 2,
                                 .offset = to.offset,
                                 .sound_last = FIRST_LAST + BATCH,
                                 .gone_last = SECOND_LAST,
                                 .last = RECORDS};
        if (i < 2) {
            test_sample_patch(&s, 2, to.offset, content + from.offset, from.bytes);
        } else {
            /* Into the middle of the frame before. */
            v.offset = 4096;
            v.sound_last = FIRST_LAST;
            test_sample_patch(&s, 2, v.offset + 512, content + from.offset, from.bytes);
        }
        free(content);
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* A segment that was prepared and not used is damaged as well: it is not the one before the next. */
static void test_verdict_lives__a_prepared_one_damaged(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 6, true);
    test_sample_map(&s);
    const struct test_sample_frame *last = test_sample_frame_of(&s, 6);
    struct test_verdict v = {.verdict = VARVE_VERDICT_CORRUPT,
                             .segment = 1,
                             .offset = last->offset,
                             .sound_last = 5,
                             .gone_last = 6,
                             .saved = 1,
                             .last = 6};
    test_sample_write_segment(&s, 2, "", 0);
    test_sample_truncate(&s, 2, SEGMENT_BYTES);
    test_sample_flip(&s, 2, 1000, 0);
    test_sample_flip(&s, 1, last->offset + 20, 0);
    test_judge(&s, &v);
    test_sample_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdict_lives__sound),
        cmocka_unit_test(test_verdict_lives__in_the_middle),
        cmocka_unit_test(test_verdict_lives__two_in_a_row),
        cmocka_unit_test(test_verdict_lives__the_last_after_a_clean_close),
        cmocka_unit_test(test_verdict_lives__damage_beside_the_tear),
        cmocka_unit_test(test_verdict_lives__nothing_behind_the_tear),
        cmocka_unit_test(test_verdict_lives__the_one_before),
        cmocka_unit_test(test_verdict_lives__a_prepared_one_damaged),
        cmocka_unit_test(test_verdict_lives__misdirected),
        cmocka_unit_test(test_verdict_lives__damage_before_the_last_tear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
