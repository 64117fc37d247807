/* SPDX-License-Identifier: Apache-2.0 */
#include "varve/inspect.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/fault.h"
#include "lib/sample.h"

enum {
    FIRST = 4096, /* offset of the first frame */
};

/* What is shown, a letter each: S segment, F frame, R record, G gap; in lower case what is not sound. */
struct seen {
    char text[200];
    unsigned stop_at; /* the call that ends the walk with 77 */
    uint64_t gap_offset, gap_bytes;
    enum varve_verdict gap_verdict;
    enum varve_segment_state segment_state;
    enum varve_frame_state frame_state;
    uint64_t number;
};

static int see(struct seen *seen, char letter)
{
    size_t used = strlen(seen->text);
    assert_true(used + 1 < sizeof seen->text);
    seen->text[used] = letter;
    return used + 1 == seen->stop_at ? 77 : 0;
}

static int see_segment(void *arg, const struct varve_segment_info *info)
{
    struct seen *seen = arg;
    seen->segment_state = info->state;
    seen->number = info->number;
    return see(seen, info->state == VARVE_SEGMENT_SOUND ? 'S' : 's');
}

static int see_frame(void *arg, const struct varve_frame_info *info)
{
    struct seen *seen = arg;
    seen->frame_state = info->state;
    return see(seen, info->state == VARVE_FRAME_SOUND ? 'F' : 'f');
}

static int see_record(void *arg, const struct varve_record_info *info)
{
    return see(arg, info->sound ? 'R' : 'r');
}

static int see_gap(void *arg, uint64_t segment, uint64_t offset, uint64_t bytes, enum varve_verdict verdict)
{
    struct seen *seen = arg;
    (void)segment;
    seen->gap_offset = offset;
    seen->gap_bytes = bytes;
    seen->gap_verdict = verdict;
    return see(seen, 'G');
}

static int look(struct test_sample *s, const char *path, struct seen *seen, struct varve_error *ret_error)
{
    const struct varve_visitor visitor = {.size = sizeof visitor,
                                          .arg = seen,
                                          .segment = see_segment,
                                          .frame = see_frame,
                                          .record = see_record,
                                          .gap = see_gap};
    memset(seen->text, 0, sizeof seen->text);
    return varve_inspect(path, &s->memory.io, &visitor, ret_error);
}

static void test_inspect__order(void **state)
{
    (void)state;
    struct test_sample s;
    struct seen seen = {.stop_at = 0};
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 2);
    test_sample_append_batch(&s, log, 3);
    assert_int_equal(varve_close(log, NULL), 0);
    uint64_t sum = test_sample_sum(&s);
    assert_int_equal(look(&s, "log", &seen, NULL), 0);
    assert_string_equal(seen.text, "SFRFRFRRRG");
    assert_int_equal(seen.gap_offset, FIRST + 2 * 512 + 512);
    assert_int_equal(seen.gap_offset + seen.gap_bytes, 1 << 20);
    assert_int_equal(seen.gap_verdict, VARVE_VERDICT_CLEAN_END);
    assert_int_equal(look(&s, "log/wal-0000000000000001.seg", &seen, NULL), 0);
    assert_string_equal(seen.text, "SFRFRFRRRG");
    assert_int_equal(test_sample_sum(&s), sum);
    /* Whoever is called may end it, at each call; what it returns comes back. */
    for (seen.stop_at = 1; seen.stop_at <= 10; seen.stop_at++) {
        assert_int_equal(look(&s, "log", &seen, NULL), 77);
        assert_int_equal(strlen(seen.text), seen.stop_at);
    }
    test_sample_close(&s);
}

/* Each may be missing, and a caller's struct may end before those that came later. */
static void test_inspect__visitor(void **state)
{
    (void)state;
    struct test_sample s;
    struct seen seen = {.stop_at = 0};
    test_sample_make(&s, TEST_SAMPLE_SMALL, 2, true);
    struct varve_visitor visitor = {.size = sizeof visitor, .arg = &seen};
    assert_int_equal(varve_inspect("log", &s.memory.io, &visitor, NULL), 0);
    assert_string_equal(seen.text, "");
    visitor.record = see_record;
    assert_int_equal(varve_inspect("log", &s.memory.io, &visitor, NULL), 0);
    assert_string_equal(seen.text, "RR");
    visitor.size = offsetof(struct varve_visitor, record);
    assert_int_equal(varve_inspect("log", &s.memory.io, &visitor, NULL), 0);
    assert_string_equal(seen.text, "RR");
    visitor.size = 0;
    assert_int_equal(varve_inspect("log", &s.memory.io, &visitor, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_inspect("log", &s.memory.io, NULL, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_inspect("", &s.memory.io, &visitor, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_inspect(NULL, &s.memory.io, &visitor, NULL), VARVE_E_INVALID);
    test_sample_close(&s);
}

/* Damage is shown, and what is sound behind it too. */
static void test_inspect__damage(void **state)
{
    (void)state;
    struct test_sample s;
    struct seen seen = {.stop_at = 0};
    test_sample_make(&s, TEST_SAMPLE_SMALL, 4, false);
    test_sample_flip(&s, 1, FIRST + 512 + 90, 1);
    assert_int_equal(look(&s, "log", &seen, NULL), 0);
    assert_string_equal(seen.text, "SFRfrGFRFRG");
    test_sample_flip(&s, 1, FIRST + 512 + 90, 1);
    /* A frame's header: its record speaks for itself. */
    test_sample_flip(&s, 1, FIRST + 512 + 40, 1);
    assert_int_equal(look(&s, "log", &seen, NULL), 0);
    assert_string_equal(seen.text, "SFRfRGFRFRG");
    test_sample_zero(&s, 1, FIRST + 512, 512);
    assert_int_equal(look(&s, "log", &seen, NULL), 0);
    assert_string_equal(seen.text, "SFRGFRFRG");
    /* The file ends in the middle of the last frame's header. */
    test_sample_truncate(&s, 1, FIRST + 3 * 512 + 50);
    assert_int_equal(look(&s, "log", &seen, NULL), 0);
    assert_string_equal(seen.text, "SFRGFRfG");
    assert_int_equal(seen.gap_verdict, VARVE_VERDICT_TORN);
    test_sample_close(&s);
}

/* The header of a segment does not check: frames are found all the same, or if the salt is damaged, records.
 */
static void test_inspect__headless(void **state)
{
    (void)state;
    static const struct {
        unsigned at;
        const char *seen;
    } cases[] = {{60, "sFRFRFR"}, {41, "sfRfRfR"}, {126, "sFRFRFR"}, {13, "sFRFRFR"}, {0, "sFRFRFR"}};
    struct test_sample s;
    struct seen seen = {.stop_at = 0};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_sample_make(&s, TEST_SAMPLE_SMALL, 3, true);
        test_sample_flip(&s, 1, cases[i].at, 1);
        for (int alone = 0; alone < 2; alone++) {
            assert_int_equal(look(&s, alone ? "log/wal-0000000000000001.seg" : "log", &seen, NULL), 0);
            assert_string_equal(seen.text, cases[i].seen);
            assert_int_equal(seen.segment_state, VARVE_SEGMENT_DAMAGED);
            assert_int_equal(seen.number, 1);
        }
        test_sample_close(&s);
    }
    /* No header and no frame: in a directory a damaged segment, by itself anything. */
    test_sample_make(&s, TEST_SAMPLE_SMALL, 3, true);
    test_sample_flip(&s, 1, 60, 1);
    test_sample_zero(&s, 1, FIRST, 3 * 512);
    assert_int_equal(look(&s, "log", &seen, NULL), 0);
    assert_string_equal(seen.text, "s");
    assert_int_equal(look(&s, "log/wal-0000000000000001.seg", &seen, NULL), VARVE_E_FORMAT);
    test_sample_close(&s);
}

static void test_inspect__superseded(void **state)
{
    (void)state;
    struct test_sample s;
    struct seen seen = {.stop_at = 0};
    test_sample_make(&s, TEST_SAMPLE_SMALL, 3, false);
    test_sample_flip(&s, 1, FIRST + 2 * 512 + 90, 1);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    assert_int_equal(varve_append(log, "x", 1, NULL), 0);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_flip(&s, 1, FIRST + 2 * 512 + 90, 1);
    assert_int_equal(look(&s, "log/wal-0000000000000001.seg", &seen, NULL), 0);
    assert_string_equal(seen.text, "SFRFRFRG"); /* alone it is not known */
    assert_int_equal(look(&s, "log", &seen, NULL), 0);
    assert_string_equal(seen.text, "SFRFRfRGSFRG");
    test_sample_close(&s);
}

static void test_inspect__errors(void **state)
{
    (void)state;
    struct test_sample s;
    struct test_fault fault;
    struct varve_error error = {0};
    struct seen seen = {.stop_at = 0};
    struct varve_dir *dir;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 2, true);
    assert_int_equal(look(&s, "nowhere", &seen, &error), VARVE_E_NOT_FOUND);
    assert_int_equal(look(&s, "log/nowhere", &seen, &error), VARVE_E_NOT_FOUND);
    assert_int_equal(look(&s, "log/MANIFEST", &seen, &error), VARVE_E_FORMAT);
    assert_int_equal(s.memory.io.dir_open(&s.memory.io, NULL, "empty", 1, &dir, NULL), 0);
    s.memory.io.dir_close(&s.memory.io, dir);
    assert_int_equal(look(&s, "empty", &seen, &error), VARVE_E_FORMAT);
    test_fault_init(&fault, &s.memory.io);
    const struct varve_visitor visitor = {.size = sizeof visitor, .arg = &seen, .record = see_record};
    test_fault_fail_always(&fault, TEST_OP_PREAD, 3, EIO);
    assert_int_equal(varve_inspect("log", &fault.pass.io, &visitor, &error), VARVE_E_IO);
    assert_int_equal(error.sys_errno, EIO);
    test_fault_disarm(&fault);
    long n = 0;
    int rc;
    do {
        vv_alloc_fail_after(n++);
        rc = varve_inspect("log", &fault.pass.io, &visitor, &error);
        assert_true(rc == 0 || rc == VARVE_E_NOMEM || rc == VARVE_E_IO);
    } while (vv_alloc_fail_left() < 0);
    vv_alloc_fail_after(-1);
    assert_int_equal(rc, 0);
    assert_int_equal(atomic_load(&fault.open_files), 0);
    assert_int_equal(atomic_load(&fault.open_dirs), 0);
    test_fault_close(&fault);
    test_sample_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspect__order),      cmocka_unit_test(test_inspect__visitor),
        cmocka_unit_test(test_inspect__damage),     cmocka_unit_test(test_inspect__headless),
        cmocka_unit_test(test_inspect__superseded), cmocka_unit_test(test_inspect__errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
