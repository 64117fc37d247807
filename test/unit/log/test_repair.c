/* SPDX-License-Identifier: Apache-2.0 */
#include "varve/repair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/sample.h"
#include "varve/pin.h"

enum {
    RECORDS = 12, /* five to a segment */
};

/* What is done to a log. */
static void flip_a_body(struct test_sample *s)
{
    const struct test_sample_frame *f = test_sample_frame_of(s, 3);
    test_sample_flip(s, f->segment, f->offset + 500, 1);
}

static void flip_two(struct test_sample *s)
{
    flip_a_body(s);
    const struct test_sample_frame *f = test_sample_frame_of(s, 7);
    test_sample_flip(s, f->segment, f->offset + 5, 1);
}

static void zero_between(struct test_sample *s)
{
    const struct test_sample_frame *f = test_sample_frame_of(s, 4);
    test_sample_zero(s, f->segment, f->offset, f->bytes);
}

static void remove_first(struct test_sample *s)
{
    test_sample_unlink_segment(s, test_sample_frame_of(s, 1)->segment);
}

static void remove_middle(struct test_sample *s)
{
    test_sample_unlink_segment(s, test_sample_frame_of(s, 7)->segment);
}

static void remove_last(struct test_sample *s)
{
    test_sample_unlink_segment(s, test_sample_frame_of(s, RECORDS)->segment);
}

static void spoil_a_header(struct test_sample *s)
{
    test_sample_flip(s, test_sample_frame_of(s, 7)->segment, 20, 1);
}

static void spoil_the_last_header(struct test_sample *s)
{
    test_sample_flip(s, test_sample_frame_of(s, RECORDS)->segment, 20, 1);
}

static void spoil_manifest(struct test_sample *s)
{
    test_sample_write(s, "MANIFEST", "varve manifest 1\nspoilt", 22);
}

static void remove_manifest(struct test_sample *s)
{
    test_sample_unlink(s, "MANIFEST");
}

static void spoil_pins(struct test_sample *s)
{
    test_sample_write(s, "PINS", "spoilt", 6);
}

static void put_in_another(struct test_sample *s)
{
    struct test_sample other;
    size_t bytes;
    test_sample_make(&other, TEST_SAMPLE_BIG, RECORDS, true);
    uint64_t segment = test_sample_frame_of(s, 7)->segment;
    char *content = test_sample_read(&other, segment, &bytes);
    test_sample_write_segment(s, segment, content, bytes);
    free(content);
    test_sample_close(&other);
}

static void spoil_everything(struct test_sample *s)
{
    flip_two(s);
    spoil_manifest(s);
    spoil_pins(s);
    remove_last(s);
}

static const struct harm {
    const char *name;
    void (*fn)(struct test_sample *s);
    unsigned files; /* that are kept under another name */
} harms[] = {
    {"a body", flip_a_body, 0},
    {"a body and a header of a frame", flip_two, 0},
    {"zeros", zero_between, 0},
    {"the first segment missing", remove_first, 0},
    {"a segment missing", remove_middle, 0},
    {"the last segment missing", remove_last, 0},
    {"a header of a segment", spoil_a_header, 0},
    {"the last header", spoil_the_last_header, 0},
    {"MANIFEST", spoil_manifest, 1},
    {"no MANIFEST", remove_manifest, 0},
    {"PINS", spoil_pins, 1},
    {"another log's segment", put_in_another, 1},
    {"all", spoil_everything, 2},
};

enum {
    HARMS = sizeof harms / sizeof *harms
};

static void make(struct test_sample *s, const struct harm *harm)
{
    test_sample_make(s, TEST_SAMPLE_BIG, RECORDS, true);
    test_sample_map(s);
    harm->fn(s);
}

static int repair(struct test_sample *s, unsigned flags, struct varve_repair_result *ret,
                  struct varve_error *ret_error)
{
    const struct varve_options options = {.size = sizeof options, .io = &s->memory.io};
    *ret = (struct varve_repair_result){.size = sizeof *ret};
    return varve_repair("log", NULL, &options, flags, NULL, NULL, NULL, ret, ret_error);
}

/* The records that the policy skip gives, bit n for LSN n. */
static uint64_t readable(struct test_sample *s)
{
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct varve_log *log;
    uint64_t mask = 0;
    int rc;
    if (test_sample_try(s, VARVE_POLICY_SKIP, VARVE_OPEN_READ_ONLY, &log, NULL) != 0) {
        return 0; /* with a file of another log nothing is */
    }
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_SKIP, &cursor, NULL), 0);
    while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
        assert_true(test_sample_is(s, entry.lsn, entry.data, entry.data_bytes));
        mask |= UINT64_C(1) << entry.lsn;
    }
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    return mask;
}

/* It opens under the strictest policy, verify has nothing to say, and what could be read can be. */
static void check_repaired(struct test_sample *s, uint64_t before)
{
    const struct varve_options options = {.size = sizeof options, .io = &s->memory.io};
    struct varve_verify_result found = {.size = sizeof found};
    struct varve_error error = {0};
    struct varve_log *log;
    if (test_sample_try(s, VARVE_POLICY_HALT, 0, &log, &error) != 0) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(varve_verify("log", &options, NULL, NULL, &found, NULL), 0);
    assert_int_equal(found.damages, 0);
    assert_int_equal(found.found.verdict, VARVE_VERDICT_CLEAN_END);
    assert_int_equal(readable(s) & before, before);
}

static void test_repair__harms(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HARMS; i++) {
        struct varve_repair_result result;
        struct varve_error error = {0};
        struct test_sample s;
        print_message("%s\n", harms[i].name);
        make(&s, &harms[i]);
        uint64_t before = readable(&s), sum = test_sample_sum(&s);
        assert_int_equal(repair(&s, VARVE_REPAIR_DRY_RUN, &result, &error), 0);
        assert_true(result.damages > 0 && result.left == result.damages);
        assert_int_equal(result.files, harms[i].files);
        assert_int_equal(test_sample_sum(&s), sum);
        if (repair(&s, 0, &result, &error) != 0) {
            fail_msg("%s", error.message);
        }
        assert_int_equal(result.left, 0);
        assert_int_equal(result.files, harms[i].files);
        check_repaired(&s, before);
        assert_int_equal(repair(&s, 0, &result, &error), 0);
        assert_int_equal(result.damages, 0);
        /* It is a log like any other, and goes on. */
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_HALT);
        test_sample_append(&s, log, 1);
        assert_int_equal(varve_close(log, NULL), 0);
        check_repaired(&s, before);
        test_sample_close(&s);
    }
}

/* New damage is told as ever, beside what was repaired. */
static void test_repair__damaged_again(void **state)
{
    (void)state;
    struct varve_verify_result found = {.size = sizeof found};
    struct varve_repair_result result;
    struct varve_error error = {0};
    struct varve_log *log;
    struct test_sample s;
    make(&s, &harms[0]);
    assert_int_equal(repair(&s, 0, &result, &error), 0);
    const struct test_sample_frame *f = test_sample_frame_of(&s, 8);
    test_sample_flip(&s, f->segment, f->offset + 500, 1);
    const struct varve_options options = {.size = sizeof options, .io = &s.memory.io};
    assert_int_equal(varve_verify("log", &options, NULL, NULL, &found, NULL), 0);
    assert_int_equal(found.damages, 1);
    assert_int_equal(found.found.lost_records, 1);
    assert_int_equal(found.found.lost_first, 8);
    assert_int_equal(found.repaired, 1);
    assert_int_equal(found.repaired_records, 1);
    assert_int_equal(test_sample_try(&s, VARVE_POLICY_TRUNCATE, 0, &log, NULL), VARVE_E_CORRUPT);
    assert_int_equal(repair(&s, 0, &result, &error), 0);
    assert_int_equal(result.left, 0);
    check_repaired(&s, 0);
    test_sample_close(&s);
}

/* What pins held stays held, though nobody can say what that was. */
static int note_pin(void *arg, const struct varve_pin *pin)
{
    *(struct varve_pin *)arg = *pin;
    return 0;
}

static void test_repair__pins(void **state)
{
    (void)state;
    struct varve_repair_result result;
    struct varve_pin pin = {.size = 0};
    uint64_t first = 0;
    struct test_sample s;
    make(&s, &harms[10]);
    assert_int_equal(repair(&s, 0, &result, NULL), 0);
    assert_int_equal(result.pins_made, 1);
    assert_true(test_sample_has(&s, "PINS.before-repair"));
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    assert_int_equal(varve_pin_list(log, note_pin, &pin, NULL), 0);
    assert_string_equal(pin.name, "repair");
    assert_int_equal(pin.lsn, 1);
    assert_int_equal(varve_trim(log, RECORDS, &first), 0);
    assert_int_equal(first, 1);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

static void test_repair__refused(void **state)
{
    (void)state;
    struct varve_repair_result result;
    struct varve_error error = {0};
    struct test_sample s;
    make(&s, &harms[0]);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_SKIP);
    assert_int_equal(repair(&s, 0, &result, &error), VARVE_E_LOCKED);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(varve_repair("log", NULL, NULL, 8, NULL, NULL, NULL, &result, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_repair("", NULL, NULL, 0, NULL, NULL, NULL, &result, NULL), VARVE_E_INVALID);
    test_sample_close(&s);
    /* Nothing says whose log that was. */
    make(&s, &harms[0]);
    test_sample_unlink(&s, "MANIFEST");
    for (uint64_t i = 1; i <= test_sample_frame_of(&s, RECORDS)->segment; i++) {
        test_sample_flip(&s, i, 20, 1);
    }
    uint64_t sum = test_sample_sum(&s);
    assert_int_equal(repair(&s, 0, &result, &error), VARVE_E_CORRUPT);
    assert_int_equal(test_sample_sum(&s), sum);
    test_sample_close(&s);
    /* One that is sound stays as it is. */
    test_sample_make(&s, TEST_SAMPLE_BIG, RECORDS, true);
    sum = test_sample_sum(&s);
    assert_int_equal(repair(&s, 0, &result, &error), 0);
    assert_int_equal(result.damages, 0);
    assert_int_equal(result.found.records, RECORDS);
    assert_int_equal(test_sample_sum(&s), sum);
    test_sample_close(&s);
}

struct cut {
    struct test_sample *sample;
    enum test_crash how;
    long left;
    bool done;
    struct test_sample crashed;
};

static void cut_power(void *arg, const char *name)
{
    struct cut *cut = arg;
    (void)name;
    if (cut->left-- == 0) {
        cut->crashed = *cut->sample;
        test_memory_crash(&cut->sample->memory, cut->how, NULL, &cut->crashed.memory);
        cut->done = true;
    }
}

/* A crash at any moment of a repair leaves a log that the next one repairs, with everything in it that could
 * be read before. */
static unsigned crash_everywhere(const struct harm *harm, enum test_crash how)
{
    struct cut cut = {.done = true};
    unsigned cuts = 0;
    for (long after = 0; cut.done; after++) {
        struct varve_repair_result result;
        struct varve_error error = {0};
        struct test_sample s;
        make(&s, harm);
        uint64_t before = readable(&s);
        cut = (struct cut){.sample = &s, .how = how, .left = after};
        test_memory_set_hook(&s.memory, cut_power, &cut);
        assert_int_equal(repair(&s, 0, &result, &error), 0);
        test_memory_set_hook(&s.memory, NULL, NULL);
        test_sample_close(&s);
        if (!cut.done) {
            break;
        }
        cuts++;
        assert_int_equal(readable(&cut.crashed) & before, before);
        if (repair(&cut.crashed, 0, &result, &error) != 0) {
            fail_msg("%s, cut %ld: %s", harm->name, after, error.message);
        }
        assert_int_equal(result.left, 0);
        check_repaired(&cut.crashed, before);
        test_sample_close(&cut.crashed);
    }
    return cuts;
}

static void test_repair__power_cuts(void **state)
{
    (void)state;
    assert_true(crash_everywhere(&harms[0], TEST_CRASH_NOTHING) >= 8);
    (void)crash_everywhere(&harms[11], TEST_CRASH_NOTHING);
    (void)crash_everywhere(&harms[HARMS - 1], TEST_CRASH_NOTHING);
}

static void test_repair__kills(void **state)
{
    (void)state;
    (void)crash_everywhere(&harms[0], TEST_CRASH_ALL);
    (void)crash_everywhere(&harms[11], TEST_CRASH_ALL);
    (void)crash_everywhere(&harms[HARMS - 1], TEST_CRASH_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repair__harms),      cmocka_unit_test(test_repair__damaged_again),
        cmocka_unit_test(test_repair__pins),       cmocka_unit_test(test_repair__refused),
        cmocka_unit_test(test_repair__power_cuts), cmocka_unit_test(test_repair__kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
