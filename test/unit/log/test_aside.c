/* SPDX-License-Identifier: Apache-2.0 */
#include "log/aside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/codecs.h"
#include "lib/sample.h"

static int keep(void *arg, const struct varve_lost_entry *entry)
{
    struct varve_lost_entry *out = arg;
    while (out->id != 0) {
        out++;
    }
    *out = *entry;
    return 0;
}

/* Fills `entries`, which is zero, and returns how many lines did not check. */
static uint64_t list(struct test_sample *s, struct varve_lost_entry entries[8])
{
    uint64_t unread = 0;
    struct varve_error error = {0};
    memset(entries, 0, 8 * sizeof *entries);
    if (varve_lost_list("log", &s->memory.io, keep, entries, &unread, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return unread;
}

struct seen {
    struct test_sample *sample;
    unsigned records;
    uint64_t first;
};

static int see(void *arg, const struct varve_entry *record)
{
    struct seen *seen = arg;
    assert_true(test_sample_is(seen->sample, record->lsn, record->data, record->data_bytes));
    if (seen->records++ == 0) {
        seen->first = record->lsn;
    }
    return 0;
}

static int read_entry(struct test_sample *s, uint64_t id, struct seen *ret)
{
    const struct varve_options options = {.size = sizeof options, .io = &s->memory.io};
    *ret = (struct seen){.sample = s};
    return varve_lost_read("log", &options, id, see, ret, NULL);
}

/* A record is kept with its reason, whatever becomes of the log, and of that only. */
static void test_aside__record(void **state)
{
    (void)state;
    struct varve_lost_entry e[8];
    struct varve_error error = {0};
    struct test_sample s;
    struct seen seen;
    uint64_t id = 0, second = 0;
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 3);
    test_sample_append_batch(&s, log, 5);
    assert_int_equal(list(&s, e), 0);
    assert_int_equal(e[0].id, 0);
    assert_int_equal(varve_set_aside(log, 6, "cannot be parsed", &id, &error), 0);
    assert_int_equal(varve_set_aside(log, 6, NULL, &second, &error), 0);
    assert_int_equal(id, 1);
    assert_int_equal(second, 2);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(list(&s, e), 0);
    assert_int_equal(e[0].id, 1);
    assert_int_equal(e[0].kind, VARVE_LOST_SET_ASIDE);
    assert_int_equal(e[0].state, VARVE_LOST_PENDING);
    assert_int_equal(e[0].first_lsn, 6);
    assert_int_equal(e[0].last_lsn, 6);
    assert_string_equal(e[0].reason, "cannot be parsed");
    assert_string_equal(e[0].file, "record-1.seg");
    assert_true(e[0].bytes > 0 && e[0].time_us > 0);
    assert_string_equal(e[1].reason, "");
    assert_int_equal(e[2].id, 0);
    test_sample_unlink_segment(&s, 1);
    assert_int_equal(read_entry(&s, 1, &seen), 0);
    assert_int_equal(seen.records, 1);
    assert_int_equal(seen.first, 6);
    assert_int_equal(read_entry(&s, 3, &seen), VARVE_E_INVALID);
    test_sample_close(&s);
}

static void test_aside__refused(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_log *log;
    uint64_t id = 77;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 4, true);
    assert_int_equal(test_sample_try(&s, VARVE_POLICY_TRUNCATE, VARVE_OPEN_READ_ONLY, &log, NULL), 0);
    assert_int_equal(varve_set_aside(log, 1, "x", &id, NULL), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_lost_drop(log, 1, NULL), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_lost_requeue(log, 1, 0, NULL, NULL, NULL), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_close(log, NULL), 0);
    log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    assert_int_equal(varve_set_aside(log, 0, "x", &id, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_set_aside(log, 5, "x", &id, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_set_aside(log, 1, "a\nb", &id, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_lost_drop(log, 1, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_lost_requeue(log, 1, 0, NULL, NULL, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_lost_requeue(log, 1, 8, NULL, NULL, NULL), VARVE_E_INVALID);
    assert_int_equal(id, 77);
    assert_false(test_sample_has(&s, "lost"));
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* A copy that rotted is told, and nothing of it is given. A line that rotted takes its entry with it, but not
 * its file, and not the others. */
static void test_aside__damaged(void **state)
{
    (void)state;
    struct varve_lost_entry e[8];
    struct test_sample s;
    struct varve_dir *dir, *sub;
    struct seen seen;
    uint64_t id = 0;
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 4);
    assert_int_equal(varve_set_aside(log, 2, "a", NULL, NULL), 0);
    assert_int_equal(varve_set_aside(log, 3, "b", NULL, NULL), 0);
    dir = test_sample_dir(&s);
    assert_int_equal(s.memory.io.dir_open(&s.memory.io, dir, "lost", 0, &sub, NULL), 0);
    test_bytes_io_flip(&s.memory.io, sub, "record-1.seg", 4096 + 512 + 64 + 16 + 3, 1);
    assert_int_equal(read_entry(&s, 1, &seen), VARVE_E_CORRUPT);
    assert_int_equal(seen.records, 0);
    /* The line of the second: it is the last one, so its number is given again, but not its file's name. */
    size_t bytes;
    char *index = test_bytes_io_read(&s.memory.io, sub, "index", &bytes);
    test_bytes_io_flip(&s.memory.io, sub, "index", (uint64_t)(strchr(index, '\n') - index) + 9, 0);
    free(index);
    assert_int_equal(list(&s, e), 1);
    assert_int_equal(e[0].id, 1);
    assert_int_equal(e[1].id, 0);
    assert_int_equal(varve_set_aside(log, 4, "c", &id, NULL), 0);
    assert_int_equal(id, 3);
    assert_int_equal(list(&s, e), 1);
    assert_int_equal(e[1].id, 3);
    assert_int_equal(read_entry(&s, 3, &seen), 0);
    assert_int_equal(seen.first, 4);
    s.memory.io.dir_close(&s.memory.io, sub);
    s.memory.io.dir_close(&s.memory.io, dir);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* What is kept is encoded as it was: without the key there is nothing to read, and nothing stands in the
 * clear.
 */
static void test_aside__encoded(void **state)
{
    (void)state;
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        int seals = test_codecs_seals(test_codecs_at(i));
        struct varve_keys *keys = test_codecs_keys(1);
        struct varve_options options = {.size = sizeof options};
        struct varve_dir *dir, *sub;
        struct test_sample s;
        char content[TEST_SAMPLE_SMALL];
        struct seen seen = {.sample = &s};
        size_t bytes;
        test_sample_init(&s, TEST_SAMPLE_SMALL);
        s.options.codec = test_codecs_at(i);
        s.options.keys = keys;
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
        test_sample_append_batch(&s, log, 16);
        assert_int_equal(varve_set_aside(log, 7, "encoded", NULL, NULL), 0);
        assert_int_equal(varve_close(log, NULL), 0);
        test_sample_unlink_segment(&s, 1);
        options.io = &s.memory.io;
        options.keys = keys;
        assert_int_equal(varve_lost_read("log", &options, 1, see, &seen, NULL), 0);
        assert_int_equal(seen.records, 1);
        assert_int_equal(seen.first, 7);
        options.keys = NULL;
        assert_int_equal(varve_lost_read("log", &options, 1, see, &seen, NULL),
                         seals ? VARVE_E_KEY_MISSING : 0);
        dir = test_sample_dir(&s);
        assert_int_equal(s.memory.io.dir_open(&s.memory.io, dir, "lost", 0, &sub, NULL), 0);
        char *copy = test_bytes_io_read(&s.memory.io, sub, "record-1.seg", &bytes);
        test_sample_fill(&s, 7, content, sizeof content);
        assert_true(!seals || memmem(copy, bytes, content, 16) == NULL);
        free(copy);
        s.memory.io.dir_close(&s.memory.io, sub);
        s.memory.io.dir_close(&s.memory.io, dir);
        test_sample_close(&s);
        varve_keys_free(keys);
    }
}

struct cut {
    struct test_sample *sample;
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
        test_memory_crash(&cut->sample->memory, TEST_CRASH_NOTHING, NULL, &cut->crashed.memory);
        cut->done = true;
    }
}

/* A power cut at any moment leaves no entry, or one whose record can be read; and nothing keeps the next one
 * from being made. */
static void test_aside__power_cuts(void **state)
{
    (void)state;
    struct cut cut = {.done = true};
    unsigned cuts = 0;
    for (long after = 0; cut.done; after++) {
        struct varve_lost_entry e[8];
        struct test_sample s;
        struct seen seen;
        uint64_t id;
        test_sample_init(&s, TEST_SAMPLE_SMALL);
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
        test_sample_append(&s, log, 4);
        assert_int_equal(varve_set_aside(log, 1, "before", NULL, NULL), 0);
        cut = (struct cut){.sample = &s, .left = after};
        test_memory_set_hook(&s.memory, cut_power, &cut);
        assert_int_equal(varve_set_aside(log, 3, "at it", NULL, NULL), 0);
        test_memory_set_hook(&s.memory, NULL, NULL);
        assert_int_equal(varve_close(log, NULL), 0);
        test_sample_close(&s);
        if (!cut.done) {
            break;
        }
        cuts++;
        log = test_sample_open(&cut.crashed, VARVE_POLICY_TRUNCATE);
        (void)list(&cut.crashed, e);
        assert_int_equal(e[0].id, 1);
        for (unsigned i = 0; e[i].id != 0; i++) {
            assert_int_equal(read_entry(&cut.crashed, e[i].id, &seen), 0);
            assert_int_equal(seen.records, 1);
        }
        assert_int_equal(varve_set_aside(log, 4, "after", &id, NULL), 0);
        assert_int_equal(read_entry(&cut.crashed, id, &seen), 0);
        assert_int_equal(seen.first, 4);
        assert_int_equal(varve_close(log, NULL), 0);
        test_sample_close(&cut.crashed);
    }
    assert_true(cuts >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aside__record),     cmocka_unit_test(test_aside__refused),
        cmocka_unit_test(test_aside__damaged),    cmocka_unit_test(test_aside__encoded),
        cmocka_unit_test(test_aside__power_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
