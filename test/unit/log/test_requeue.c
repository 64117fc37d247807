/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/sample.h"
#include "log/aside.h"

enum {
    FIRST = 4096, /* offset of the first frame */
    RECORDS = 5,
};

/* A log of which the first frame, with RECORDS records, is damaged in its header only, and passed over: entry
 * 1. Behind it one more record, which is set aside: entry 2. */
static struct varve_log *make(struct test_sample *s)
{
    test_sample_init(s, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(s, VARVE_POLICY_TRUNCATE);
    test_sample_append_batch(s, log, RECORDS);
    test_sample_append(s, log, 1);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_flip(s, 1, FIRST + 5, 1);
    log = test_sample_open(s, VARVE_POLICY_SKIP);
    assert_int_equal(varve_set_aside(log, RECORDS + 1, "later", NULL, NULL), 0);
    return log;
}

/* How often the record that was LSN `lsn` stands in the log behind the original ones. */
static unsigned copies(struct test_sample *s, struct varve_log *log, uint64_t lsn)
{
    struct varve_cursor *cursor;
    struct varve_entry entry;
    unsigned count = 0;
    int rc;
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_SKIP, &cursor, NULL), 0);
    assert_int_equal(varve_cursor_seek_lsn(cursor, RECORDS + 2), 0);
    while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
        count += test_sample_is(s, lsn, entry.data, entry.data_bytes);
    }
    assert_int_equal(rc, VARVE_END);
    varve_cursor_close(cursor);
    return count;
}

struct states {
    int of[8]; /* by id; -1 = there is none */
    uint64_t first[8], last[8];
    uint64_t bytes[8];
};

static int note(void *arg, const struct varve_lost_entry *entry)
{
    struct states *states = arg;
    assert_true(entry->id < 8);
    states->of[entry->id] = (int)entry->state;
    states->first[entry->id] = entry->requeued_first;
    states->last[entry->id] = entry->requeued_last;
    states->bytes[entry->id] = entry->bytes;
    return 0;
}

static struct states states_of(struct test_sample *s)
{
    struct states states;
    memset(&states, 0xff, sizeof states);
    assert_int_equal(varve_lost_list("log", &s->memory.io, note, &states, NULL, NULL), 0);
    return states;
}

static void test_requeue__once(void **state)
{
    (void)state;
    struct varve_error error = {0};
    struct test_sample s;
    struct varve_log *log = make(&s);
    uint64_t first = 0, last = 0;
    assert_int_equal(varve_lost_requeue(log, 1, 0, &first, &last, &error), 0);
    assert_int_equal(first, RECORDS + 2);
    assert_int_equal(last, 2 * RECORDS + 1);
    assert_int_equal(varve_lost_requeue(log, 2, 0, &first, &last, &error), 0);
    assert_int_equal(first, 2 * RECORDS + 2);
    assert_int_equal(last, first);
    for (uint64_t lsn = 1; lsn <= RECORDS + 1; lsn++) {
        assert_int_equal(copies(&s, log, lsn), 1);
    }
    struct states states = states_of(&s);
    assert_int_equal(states.of[1], VARVE_LOST_REQUEUED);
    assert_int_equal(states.first[1], RECORDS + 2);
    assert_int_equal(states.last[1], 2 * RECORDS + 1);
    assert_int_equal(states.of[2], VARVE_LOST_REQUEUED);
    /* It is recognised, and done again only where that is asked for. */
    assert_int_equal(varve_lost_requeue(log, 2, 0, NULL, NULL, &error), VARVE_E_INVALID);
    assert_non_null(strstr(error.message, "appended again, as LSN 12 to 12"));
    assert_int_equal(varve_lost_requeue(log, 2, VARVE_REQUEUE_AGAIN, NULL, NULL, &error), 0);
    assert_int_equal(copies(&s, log, RECORDS + 1), 2);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* What is dropped is gone, and its loss stays accepted. Its number is not given again. */
static void test_requeue__drop(void **state)
{
    (void)state;
    struct varve_error error = {0};
    struct test_sample s;
    struct varve_log *log = make(&s);
    uint64_t id;
    assert_int_equal(varve_lost_drop(log, 1, NULL), 0);
    assert_int_equal(varve_lost_drop(log, 2, NULL), 0);
    assert_int_equal(varve_lost_drop(log, 2, NULL), 0);
    struct states states = states_of(&s);
    assert_int_equal(states.of[1], VARVE_LOST_DROPPED);
    assert_int_equal(states.bytes[1], 0);
    assert_int_equal(states.of[2], VARVE_LOST_DROPPED);
    assert_int_equal(varve_lost_requeue(log, 1, VARVE_REQUEUE_AGAIN, NULL, NULL, &error), VARVE_E_INVALID);
    assert_int_equal(varve_set_aside(log, RECORDS + 1, NULL, &id, NULL), 0);
    assert_int_equal(id, 3);
    assert_int_equal(varve_close(log, NULL), 0);
    log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    /* The line of a record that was dropped goes when the index is written next. */
    assert_int_equal(varve_lost_drop(log, 3, NULL), 0);
    states = states_of(&s);
    assert_int_equal(states.of[1], VARVE_LOST_DROPPED);
    assert_int_equal(states.of[2], -1);
    assert_int_equal(varve_close(log, NULL), 0);
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

/* A crash at any moment: afterwards the entry is still there, a second requeue ends it, and each record has
 * been appended just once. */
static void crash_everywhere(enum test_crash how, uint64_t id)
{
    struct cut cut = {.done = true};
    unsigned cuts = 0, was[4] = {0};
    for (long after = 0; cut.done; after++) {
        struct varve_error error = {0};
        struct test_sample s;
        struct varve_log *log = make(&s);
        cut = (struct cut){.sample = &s, .how = how, .left = after};
        test_memory_set_hook(&s.memory, cut_power, &cut);
        assert_int_equal(varve_lost_requeue(log, id, 0, NULL, NULL, NULL), 0);
        test_memory_set_hook(&s.memory, NULL, NULL);
        assert_int_equal(varve_close(log, NULL), 0);
        test_sample_close(&s);
        if (!cut.done) {
            break;
        }
        cuts++;
        log = test_sample_open(&cut.crashed, VARVE_POLICY_TRUNCATE);
        struct states states = states_of(&cut.crashed);
        assert_in_range(states.of[id], VARVE_LOST_PENDING, VARVE_LOST_REQUEUED);
        was[states.of[id]]++;
        int rc = varve_lost_requeue(log, id, 0, NULL, NULL, &error);
        assert_int_equal(rc, states.of[id] == VARVE_LOST_REQUEUED ? VARVE_E_INVALID : 0);
        states = states_of(&cut.crashed);
        assert_int_equal(states.of[id], VARVE_LOST_REQUEUED);
        for (uint64_t lsn = 1; lsn <= RECORDS + 1; lsn++) {
            assert_int_equal(copies(&cut.crashed, log, lsn), (id == 1) == (lsn <= RECORDS));
        }
        assert_int_equal(varve_close(log, NULL), 0);
        test_sample_close(&cut.crashed);
    }
    assert_true(cuts >= 4);
    assert_true(was[VARVE_LOST_PENDING] > 0 && was[VARVE_LOST_REQUEUING] > 0);
}

static void test_requeue__power_cuts(void **state)
{
    (void)state;
    crash_everywhere(TEST_CRASH_NOTHING, 1);
    crash_everywhere(TEST_CRASH_NOTHING, 2);
}

static void test_requeue__kills(void **state)
{
    (void)state;
    crash_everywhere(TEST_CRASH_ALL, 1);
    crash_everywhere(TEST_CRASH_ALL, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requeue__once),
        cmocka_unit_test(test_requeue__drop),
        cmocka_unit_test(test_requeue__power_cuts),
        cmocka_unit_test(test_requeue__kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
