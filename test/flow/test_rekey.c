/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of logs under other codecs and keys: what they keep, what is refused, and what a failure at any call
 * or a power cut then leaves. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bytes.h"
#include "lib/child.h"
#include "lib/codecs.h"
#include "lib/fault.h"
#include "lib/memory.h"
#include "varve/varve.h"

enum {
    BYTES = 700
};

static struct varve_options options_of(struct varve_io *io, const char *codec, struct varve_keys *keys)
{
    struct varve_options options = {.size = sizeof options, .io = io, .codec = codec, .keys = keys};
    options.segment_bytes = 1 << 20;
    options.mark_idle_ms = UINT32_MAX;
    return options;
}

/* A record that says in all its fields which one it is; every hundredth is larger than a slot. */
static void fill(uint64_t lsn, unsigned char *bytes, struct varve_record *ret_record)
{
    size_t length = lsn % 100 == 50 ? 150000 : BYTES - lsn % 64;
    test_codecs_fill(bytes, length, lsn);
    *ret_record = (struct varve_record){.data = bytes, .data_bytes = length, .type = (uint8_t)lsn};
    if (lsn % 3 == 0) {
        ret_record->flags = VARVE_RECORD_TXN;
        ret_record->txn_id = lsn * 7;
        memset(ret_record->origin, (int)(lsn & 0xff), sizeof ret_record->origin);
    }
}

static void append(const char *path, const struct varve_options *options, unsigned count)
{
    static unsigned char bytes[150000];
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    struct varve_record record;
    if (varve_open(path, options, &log, &error) != 0) {
        fail_msg("%s", error.message);
    }
    for (unsigned i = 0; i < count; i++) {
        fill(varve_last_lsn(log) + 1, bytes, &record);
        assert_int_equal(varve_append_async(log, &record, NULL), 0);
        if (i % 7 == 6) {
            assert_int_equal(varve_sync(log), 0);
        }
    }
    assert_int_equal(varve_close(log, NULL), 0);
}

/* Reads both side by side; of `other` NULL only how many there are. */
static uint64_t compare(const char *path, struct varve_io *io, struct varve_keys *keys, const char *other,
                        struct varve_io *other_io, struct varve_keys *other_keys)
{
    const char *const paths[2] = {path, other};
    struct varve_io *const ios[2] = {io, other_io};
    struct varve_keys *const key_sets[2] = {keys, other_keys};
    struct varve_log *logs[2] = {NULL, NULL};
    struct varve_cursor *cursors[2] = {NULL, NULL};
    struct varve_error error = {0};
    uint64_t count = 0;
    for (int i = 0; i < (other != NULL ? 2 : 1); i++) {
        struct varve_options options = options_of(ios[i], NULL, key_sets[i]);
        options.flags = VARVE_OPEN_READ_ONLY | VARVE_OPEN_MUST_EXIST;
        if (varve_open(paths[i], &options, &logs[i], &error) != 0 ||
            varve_cursor_open(logs[i], VARVE_POLICY_HALT, &cursors[i], &error) != 0) {
            fail_msg("%s", error.message);
        }
    }
    for (;; count++) {
        struct varve_entry a, b;
        int rc = varve_cursor_next(cursors[0], &a);
        assert_true(rc == 0 || rc == VARVE_END);
        if (other != NULL) {
            assert_int_equal(varve_cursor_next(cursors[1], &b), rc);
        }
        if (rc != 0) {
            break;
        }
        if (other == NULL) {
            continue;
        }
        assert_int_equal(a.lsn, b.lsn);
        assert_int_equal(a.time_us, b.time_us);
        assert_int_equal(a.type, b.type);
        assert_int_equal(a.flags, b.flags);
        assert_int_equal(a.txn_id, b.txn_id);
        assert_memory_equal(a.origin, b.origin, sizeof a.origin);
        assert_int_equal(a.data_bytes, b.data_bytes);
        assert_memory_equal(a.data, b.data, a.data_bytes);
    }
    for (int i = 0; i < 2; i++) {
        varve_cursor_close(cursors[i]);
        assert_int_equal(varve_close(logs[i], NULL), 0);
    }
    return count;
}

static void check_clean(const char *path, struct varve_io *io, struct varve_keys *keys, uint64_t records)
{
    const struct varve_options options = options_of(io, NULL, keys);
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_error error = {0};
    if (varve_verify(path, &options, NULL, NULL, &result, &error) != 0) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(result.found.verdict, VARVE_VERDICT_CLEAN_END);
    assert_int_equal(result.damages, 0);
    assert_int_equal(result.unread_records, 0);
    assert_int_equal(result.clean_shutdown, 1);
    assert_int_equal(result.found.records, records);
}

/* From each codec to each other one, of a log that was trimmed and has several segments. */
static void test_rekey__every_codec(void **state)
{
    (void)state;
    struct varve_keys *keys = test_codecs_keys(2);
    const char *names[8] = {"identity"};
    unsigned count = 1;
    while (test_codecs_at(count - 1) != NULL) {
        names[count] = test_codecs_at(count - 1);
        count++;
    }
    for (unsigned i = 0; i < count; i++) {
        struct test_memory memory;
        struct varve_error error = {0};
        struct varve_log *log = NULL;
        uint64_t first = 0;
        test_memory_init(&memory, 512);
        struct varve_options options = options_of(&memory.io, names[i], keys);
        append("log", &options, 1200);
        assert_int_equal(varve_open("log", &options, &log, NULL), 0);
        assert_int_equal(varve_trim(log, 600, &first), 0);
        assert_true(first > 1);
        const struct varve_pin pin = {.size = sizeof pin, .name = "keeper", .lsn = 700};
        assert_int_equal(varve_pin_set(log, &pin, &error), 0);
        assert_int_equal(varve_close(log, NULL), 0);
        for (unsigned j = 0; j < count; j++) {
            struct varve_options to = options_of(&memory.io, names[j], keys);
            struct varve_rekey_result result = {.size = sizeof result};
            struct varve_info info = {.size = sizeof info};
            char path[32];
            snprintf(path, sizeof path, "to-%u", j);
            to.segment_bytes = 0;
            if (varve_rekey("log", path, &to, &result, &error) != 0) {
                fail_msg("%s to %s: %s", names[i], names[j], error.message);
            }
            assert_int_equal(result.records, 1201 - first);
            assert_int_equal(result.first_lsn, first);
            assert_int_equal(result.last_lsn, 1200);
            assert_int_equal(compare("log", &memory.io, keys, path, &memory.io, keys), 1201 - first);
            check_clean(path, &memory.io, keys, 1201 - first);
            assert_int_equal(varve_info_get(path, &memory.io, &info, NULL), 0);
            assert_string_equal(info.codec_name, names[j]);
            assert_int_equal(info.segment_bytes, 1 << 20);
            /* It goes on, and keeps what it was given. */
            to.codec = NULL;
            append(path, &to, 20);
            assert_int_equal(compare(path, &memory.io, keys, NULL, NULL, NULL), 1221 - first);
            check_clean(path, &memory.io, keys, 1221 - first);
        }
        test_memory_close(&memory);
    }
    varve_keys_free(keys);
}

/* A log with nothing in it: new, and one that was trimmed to its end. */
static void test_rekey__empty(void **state)
{
    (void)state;
    struct test_memory memory;
    struct varve_error error = {0};
    uint64_t first;
    test_memory_init(&memory, 512);
    struct varve_options options = options_of(&memory.io, NULL, NULL);
    append("log", &options, 0);
    assert_int_equal(varve_rekey("log", "copy", &options, NULL, &error), 0);
    check_clean("copy", &memory.io, NULL, 0);
    append("copy", &options, 10);
    assert_int_equal(compare("copy", &memory.io, NULL, NULL, NULL, NULL), 10);
    append("log", &options, 2500);
    struct varve_log *log = NULL;
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    assert_int_equal(varve_trim(log, 2501, &first), 0);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(varve_rekey("log", "last", &options, NULL, &error), 0);
    check_clean("last", &memory.io, NULL, 2501 - first);
    append("last", &options, 1);
    assert_int_equal(compare("last", &memory.io, NULL, NULL, NULL, NULL), 2502 - first);
    test_memory_close(&memory);
}

static void refuse(const char *from, const char *to, const struct varve_options *options, int code,
                   const char *text)
{
    struct varve_error error = {0};
    int rc = varve_rekey(from, to, options, NULL, &error);
    if (rc != code || strstr(error.message, text) == NULL) {
        fail_msg("%d, not %d: %s", rc, code, error.message);
    }
}

static void test_rekey__refused(void **state)
{
    (void)state;
    struct test_memory memory;
    struct varve_log *log = NULL;
    struct varve_dir *dir = NULL;
    int created;
    test_memory_init(&memory, 512);
    struct varve_options options = options_of(&memory.io, NULL, NULL);
    append("log", &options, 30);
    refuse(NULL, "new", &options, VARVE_E_INVALID, "two paths");
    refuse("log", "", &options, VARVE_E_INVALID, "two paths");
    refuse("nothing", "new", &options, VARVE_E_NOT_FOUND, "nothing");
    refuse("log", "log", &options, VARVE_E_EXISTS, "log: is there already");
    refuse("log", "no/new", &options, VARVE_E_NOT_FOUND, "directory above");
    options.codec = "none";
    refuse("log", "new", &options, VARVE_E_CODEC, "'none'");
    options.codec = "identity";
    options.dictionary = "x";
    options.dictionary_bytes = 1;
    refuse("log", "new", &options, VARVE_E_INVALID, "takes none");
    options = options_of(&memory.io, NULL, NULL);
    options.policy = VARVE_POLICY_SKIP;
    refuse("log", "new", &options, VARVE_E_INVALID, "policy");
    options.policy = VARVE_POLICY_TRUNCATE;
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    refuse("log", "new", &options, VARVE_E_LOCKED, "open for writing");
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(memory.io.dir_open(&memory.io, NULL, "new", 0, &dir, &created), -ENOENT);
    /* Damage is found by the way: what was begun is no log. */
    assert_int_equal(memory.io.dir_open(&memory.io, NULL, "log", 0, &dir, &created), 0);
    test_bytes_io_flip(&memory.io, dir, "wal-0000000000000001.seg", 10000, 1);
    memory.io.dir_close(&memory.io, dir);
    refuse("log", "new", &options, VARVE_E_CORRUPT, "new, not finished");
    assert_int_equal(varve_open("new", &options, &log, NULL), VARVE_E_INCOMPLETE);
    refuse("log", "new", &options, VARVE_E_EXISTS, "remove it");
    refuse("new", "other", &options, VARVE_E_INCOMPLETE, "not finished");
    test_memory_close(&memory);
}

/* Progress goes up to its end, and stops the copy. */
static int on_progress(void *arg, uint64_t done, uint64_t total)
{
    uint64_t *last = arg;
    assert_true(done >= last[0] && done <= total);
    last[0] = done;
    last[1]++;
    return last[2] != 0 && last[1] == last[2];
}

static void test_rekey__progress(void **state)
{
    (void)state;
    struct test_memory memory;
    uint64_t facts[3] = {0};
    test_memory_init(&memory, 512);
    struct varve_options options = options_of(&memory.io, NULL, NULL);
    append("log", &options, 9000);
    options.progress = on_progress;
    options.progress_arg = facts;
    assert_int_equal(varve_rekey("log", "copy", &options, NULL, NULL), 0);
    assert_true(facts[1] >= 3);
    const uint64_t calls = facts[1];
    facts[0] = facts[1] = 0;
    facts[2] = calls / 2;
    refuse("log", "stopped", &options, VARVE_E_CLOSED, "stopped by the caller");
    struct varve_log *log = NULL;
    options.progress = NULL;
    assert_int_equal(varve_open("stopped", &options, &log, NULL), VARVE_E_INCOMPLETE);
    test_memory_close(&memory);
}

/* The process dies at one of its calls of progress: in the first pass or in the second. */
struct death {
    unsigned left; /* calls */
    char path[16];
};

static int die_at(void *arg, uint64_t done, uint64_t total)
{
    struct death *death = arg;
    (void)done, (void)total;
    return --death->left > 0 ? 0 : raise(SIGKILL);
}

static int copy_and_die(void *arg)
{
    struct death *death = arg;
    struct varve_options options = options_of(NULL, "identity", NULL);
    options.progress = die_at;
    options.progress_arg = arg;
    return varve_rekey("log", death->path, &options, NULL, NULL) == 0 ? 1 : 2;
}

static void test_rekey__killed(void **state)
{
    (void)state;
    struct varve_options options = options_of(NULL, NULL, NULL);
    append("log", &options, 9000);
    for (unsigned at = 1; at <= 3; at++) {
        struct varve_log *log = NULL;
        struct varve_verify_result result = {.size = sizeof result};
        struct death death = {.left = at};
        snprintf(death.path, sizeof death.path, "part-%u", at);
        assert_int_equal(test_child_run(copy_and_die, &death), -SIGKILL);
        assert_int_equal(varve_open(death.path, &options, &log, NULL), VARVE_E_INCOMPLETE);
        options.flags = VARVE_OPEN_READ_ONLY;
        assert_int_equal(varve_open(death.path, &options, &log, NULL), VARVE_E_INCOMPLETE);
        options.flags = 0;
        options.policy = VARVE_POLICY_SKIP;
        assert_int_equal(varve_open(death.path, &options, &log, NULL), VARVE_E_INCOMPLETE);
        options.policy = VARVE_POLICY_TRUNCATE;
        assert_int_equal(varve_verify(death.path, NULL, NULL, NULL, &result, NULL), VARVE_E_INCOMPLETE);
        refuse("log", death.path, &options, VARVE_E_EXISTS, "remove it");
    }
    assert_int_equal(varve_rekey("log", "copy", &options, NULL, NULL), 0);
    assert_int_equal(compare("log", NULL, NULL, "copy", NULL, NULL), 9000);
}

/* Whatever call fails, and wherever the power is cut then: the source is whole, and the target is whole, or
 * refused by every way of opening. */
static unsigned refusals;

static void fail_at(long calls, struct test_memory *memory, struct test_fault *fault,
                    struct varve_options *options, struct varve_keys *keys, bool *ret_done)
{
    static const enum test_crash hows[] = {TEST_CRASH_NOTHING, TEST_CRASH_ALL};
    struct varve_error error = {0};
    char path[32];
    snprintf(path, sizeof path, "to-%ld", calls);
    test_fault_fail_after(fault, calls, EIO);
    int rc = varve_rekey("log", path, options, NULL, &error);
    *ret_done = test_fault_left(fault) >= 0;
    test_fault_fail_after(fault, -1, 0);
    for (unsigned i = 0; i < 2; i++) {
        struct test_memory cut;
        struct varve_log *log = NULL;
        test_memory_crash(memory, hows[i], NULL, &cut);
        struct varve_options reading = options_of(&cut.io, NULL, keys);
        assert_int_equal(compare("log", &cut.io, keys, NULL, NULL, NULL), 40);
        reading.flags = VARVE_OPEN_READ_ONLY;
        int opened = varve_open(path, &reading, &log, NULL);
        if (opened == 0) {
            assert_int_equal(varve_close(log, NULL), 0);
            assert_int_equal(compare("log", &cut.io, keys, path, &cut.io, keys), 40);
            check_clean(path, &cut.io, keys, 40);
        } else {
            assert_true(rc != 0);
            assert_true(opened == VARVE_E_INCOMPLETE || opened == VARVE_E_NOT_FOUND);
            refusals += opened == VARVE_E_INCOMPLETE;
        }
        test_memory_close(&cut);
    }
}

static void test_rekey__failures(void **state)
{
    (void)state;
    struct test_memory memory;
    struct test_fault fault;
    struct varve_keys *keys = test_codecs_keys(1);
    const char *codec = varve_codec_get("aes-256-gcm") != NULL ? "aes-256-gcm" : "identity";
    bool done = false;
    test_memory_init(&memory, 512);
    test_fault_init(&fault, &memory.io);
    struct varve_options options = options_of(&memory.io, "identity", keys);
    append("log", &options, 40);
    options = options_of(&fault.pass.io, codec, keys);
    for (long calls = 0; !done; calls++) {
        fail_at(calls, &memory, &fault, &options, keys, &done);
        assert_true(calls < 2000);
    }
    assert_true(refusals > 50);
    for (long n = 0;; n++) {
        char path[32];
        snprintf(path, sizeof path, "mem-%ld", n);
        vv_alloc_fail_after(n);
        int rc = varve_rekey("log", path, &options, NULL, NULL);
        vv_alloc_fail_after(-1);
        if (rc == 0) {
            break;
        }
        assert_int_equal(rc, VARVE_E_NOMEM);
    }
    test_fault_close(&fault);
    test_memory_close(&memory);
    varve_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rekey__every_codec), cmocka_unit_test(test_rekey__empty),
        cmocka_unit_test(test_rekey__refused),     cmocka_unit_test(test_rekey__progress),
        cmocka_unit_test(test_rekey__killed),      cmocka_unit_test(test_rekey__failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
