/* SPDX-License-Identifier: Apache-2.0 */
#include "varve/kv.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bed.h"
#include "lib/rng.h"
#include "lib/store.h"

#define KEY(text) text, sizeof(text) - 1

static const struct varve_kv_write none = {.size = sizeof none};

static struct varve_kv_write how(uint32_t flags)
{
    struct varve_kv_write h = none;
    h.flags = flags;
    return h;
}

static void test_kv__set_get_delete(void **state)
{
    struct test_store s;
    struct varve_kv_value old = {.data = NULL};
    struct varve_kv_write h = none;
    uint64_t first, second, gone;
    (void)state;
    store_start(&s);
    store_expect(&s, "a", NULL);
    first = store_set(&s, "a", "one");
    store_expect(&s, "a", "one");
    h.old = &old;
    assert_int_equal(varve_kv_set(s.kv, KEY("a"), "two", 3, &h, &second), 0);
    assert_true(second > first);
    assert_int_equal(old.version, first);
    assert_memory_equal(old.data, "one", 3);
    store_set(&s, "empty", "");
    store_expect(&s, "empty", "");
    assert_int_equal(varve_kv_count(s.kv), 2);
    assert_int_equal(varve_kv_delete(s.kv, KEY("a"), &h, &gone), 0);
    assert_int_equal(old.version, second);
    assert_true(gone > second);
    store_expect(&s, "a", NULL);
    assert_int_equal(varve_kv_delete(s.kv, KEY("a"), NULL, NULL), VARVE_E_NO_KEY);
    assert_int_equal(varve_kv_set(s.kv, "", 0, "v", 1, NULL, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_kv_set(s.kv, KEY("b"), NULL, 1, NULL, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_kv_set(s.kv, KEY("b"), "v", (1 << 18) + 1, NULL, NULL), VARVE_E_TOO_LARGE);
    h.flags = 1u << 20;
    assert_int_equal(varve_kv_set(s.kv, KEY("b"), "v", 1, &h, NULL), VARVE_E_INVALID);
    varve_kv_value_free(&old);
    store_again(&s);
    store_expect(&s, "a", NULL);
    store_expect(&s, "empty", "");
    assert_int_equal(varve_kv_count(s.kv), 1);
    store_end(&s);
}

static void test_kv__conditions(void **state)
{
    struct test_store s;
    struct varve_kv_write absent = how(VARVE_KV_IF_ABSENT), present = how(VARVE_KV_IF_PRESENT),
                          version = how(VARVE_KV_IF_VERSION);
    uint64_t v;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_kv_set(s.kv, KEY("a"), "1", 1, &present, NULL), VARVE_E_NO_KEY);
    assert_int_equal(varve_kv_set(s.kv, KEY("a"), "1", 1, &absent, &v), 0);
    assert_int_equal(varve_kv_set(s.kv, KEY("a"), "2", 1, &absent, NULL), VARVE_E_CONFLICT);
    version.version = v;
    assert_int_equal(varve_kv_set(s.kv, KEY("a"), "3", 1, &version, NULL), 0);
    assert_int_equal(varve_kv_set(s.kv, KEY("a"), "4", 1, &version, NULL), VARVE_E_CONFLICT);
    assert_int_equal(varve_kv_delete(s.kv, KEY("a"), &version, NULL), VARVE_E_CONFLICT);
    version.version = 0;
    assert_int_equal(varve_kv_set(s.kv, KEY("b"), "1", 1, &version, NULL), 0);
    assert_int_equal(varve_kv_set(s.kv, KEY("b"), "1", 1, &version, NULL), VARVE_E_CONFLICT);
    store_expect(&s, "a", "3");
    store_end(&s);
}

static void test_kv__numbers(void **state)
{
    struct test_store s;
    int64_t n = 7;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_kv_add(s.kv, KEY("n"), 5, NULL, &n, NULL), 0);
    assert_int_equal(n, 5);
    assert_int_equal(varve_kv_add(s.kv, KEY("n"), -17, NULL, &n, NULL), 0);
    assert_int_equal(n, -12);
    store_expect(&s, "n", "-12");
    store_set(&s, "n", "9223372036854775807");
    assert_int_equal(varve_kv_add(s.kv, KEY("n"), 1, NULL, &n, NULL), VARVE_E_RANGE);
    assert_int_equal(varve_kv_add(s.kv, KEY("n"), -1, NULL, &n, NULL), 0);
    store_set(&s, "n", "-9223372036854775808");
    assert_int_equal(varve_kv_add(s.kv, KEY("n"), 0, NULL, &n, NULL), 0);
    assert_int_equal(n, INT64_MIN);
    assert_int_equal(varve_kv_add(s.kv, KEY("n"), -1, NULL, &n, NULL), VARVE_E_RANGE);
    store_set(&s, "n", "9223372036854775808");
    assert_int_equal(varve_kv_add(s.kv, KEY("n"), -1, NULL, &n, NULL), VARVE_E_RANGE);
    static const char *const no_numbers[] = {"", "-", "1x", " 1", "+1", "0x1", "1.5"};
    for (size_t i = 0; i < sizeof no_numbers / sizeof *no_numbers; i++) {
        store_set(&s, "n", no_numbers[i]);
        assert_int_equal(varve_kv_add(s.kv, KEY("n"), 1, NULL, &n, NULL), VARVE_E_TYPE);
        store_expect(&s, "n", no_numbers[i]);
    }
    store_end(&s);
}

static void test_kv__append(void **state)
{
    struct test_store s;
    uint64_t bytes = 0;
    static char large[200000];
    uint8_t before[VARVE_KV_DIGEST_BYTES], after[VARVE_KV_DIGEST_BYTES];
    (void)state;
    store_start(&s);
    assert_int_equal(varve_kv_append(s.kv, KEY("a"), "ab", 2, NULL, &bytes, NULL), 0);
    assert_int_equal(varve_kv_append(s.kv, KEY("a"), "cde", 3, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes, 5);
    store_expect(&s, "a", "abcde");
    assert_int_equal(varve_kv_append(s.kv, KEY("b"), large, sizeof large, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_append(s.kv, KEY("b"), large, sizeof large, NULL, NULL, NULL),
                     VARVE_E_TOO_LARGE);
    store_digest(&s, before);
    store_again(&s);
    store_digest(&s, after);
    assert_memory_equal(before, after, sizeof after);
    store_expect(&s, "a", "abcde");
    store_end(&s);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Keys whose time is over are gone at once, and in the log soon. */
static void test_kv__expiry(void **state)
{
    struct test_store s;
    struct varve_kv_write h = none, keep = how(VARVE_KV_KEEP_EXPIRY);
    struct varve_kv_value value = {.data = NULL};
    uint64_t later = now_us() + 3600 * UINT64_C(1000000), last;
    (void)state;
    store_start(&s);
    h.expires_us = 1;
    assert_int_equal(varve_kv_set(s.kv, KEY("past"), "x", 1, &h, NULL), 0);
    store_expect(&s, "past", NULL);
    h.expires_us = later;
    assert_int_equal(varve_kv_set(s.kv, KEY("stays"), "x", 1, &h, NULL), 0);
    assert_int_equal(varve_kv_set(s.kv, KEY("stays"), "y", 1, &keep, NULL), 0);
    assert_int_equal(varve_kv_get(s.kv, KEY("stays"), &value), 0);
    assert_int_equal(value.expires_us, later);
    assert_int_equal(varve_kv_expire(s.kv, KEY("nobody"), later, NULL, NULL), VARVE_E_NO_KEY);
    store_set(&s, "a", "1");
    assert_int_equal(varve_kv_expire(s.kv, KEY("a"), now_us() + 20000, NULL, NULL), 0);
    BED_UNTIL(varve_kv_get(s.kv, KEY("a"), &value) == VARVE_E_NO_KEY);
    /* What comes in the place of something that has expired begins anew. */
    assert_int_equal(varve_kv_expire(s.kv, KEY("stays"), now_us() + 20000, NULL, NULL), 0);
    BED_UNTIL(varve_kv_get(s.kv, KEY("stays"), &value) == VARVE_E_NO_KEY);
    assert_int_equal(varve_kv_append(s.kv, KEY("stays"), "z", 1, NULL, NULL, NULL), 0);
    store_expect(&s, "stays", "z");
    last = varve_last_lsn(varve_kv_log(s.kv));
    BED_UNTIL(store_stats(&s).expired >= 2);
    assert_int_equal(varve_kv_count(s.kv), 1);
    assert_true(varve_last_lsn(varve_kv_log(s.kv)) > last || last >= 8);
    assert_int_equal(store_stats(&s).expiring, 0);
    store_again(&s);
    store_expect(&s, "stays", "z");
    assert_int_equal(varve_kv_count(s.kv), 1);
    varve_kv_value_free(&value);
    store_end(&s);
}

static void test_kv__locks(void **state)
{
    struct test_store s;
    struct varve_kv_value value = {.data = NULL};
    uint64_t first, extended, other, second;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 3600000, &first), 0);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("you"), 3600000, NULL), VARVE_E_CONFLICT);
    assert_int_equal(varve_kv_unlock(s.kv, KEY("l"), KEY("you"), NULL), VARVE_E_CONFLICT);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 3600000, &extended), 0);
    assert_true(extended > first);
    assert_int_equal(varve_kv_set(s.kv, KEY("l"), "x", 1, NULL, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_add(s.kv, KEY("l"), 1, NULL, NULL, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_append(s.kv, KEY("l"), "x", 1, NULL, NULL, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_get(s.kv, KEY("l"), &value), 0);
    assert_true(value.is_lock);
    assert_memory_equal(value.data, "me", 2);
    store_again(&s);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("you"), 1, NULL), VARVE_E_CONFLICT);
    assert_int_equal(varve_kv_unlock(s.kv, KEY("l"), KEY("me"), NULL), 0);
    assert_int_equal(varve_kv_unlock(s.kv, KEY("l"), KEY("me"), NULL), VARVE_E_NO_KEY);
    /* A lock whose time is over is anybody's, and the token has grown. */
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("you"), 1, &other), 0);
    BED_UNTIL(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 3600000, &second) == 0);
    assert_true(other > extended && second > other);
    store_set(&s, "v", "value");
    assert_int_equal(varve_kv_lock(s.kv, KEY("v"), KEY("me"), 1, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_lock(s.kv, KEY("x"), KEY("me"), 0, NULL), VARVE_E_INVALID);
    varve_kv_value_free(&value);
    store_end(&s);
}

/* A token that a power failure took would be given again. */
static void test_kv__tokens_are_durable(void **state)
{
    struct test_store s, after;
    uint64_t token = 0, next = 0;
    (void)state;
    store_init(&s);
    s.log.durability = VARVE_INTERVAL;
    s.log.sync_interval_ms = 3600000;
    assert_int_equal(store_open(&s), 0);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 1, &token), 0);
    assert_true(varve_durable_lsn(varve_kv_log(s.kv)) >= token);
    store_cut(&s, &after);
    BED_UNTIL(varve_kv_lock(after.kv, KEY("l"), KEY("you"), 1000, &next) == 0);
    assert_true(next > token);
    store_end(&after);
    store_end(&s);
}

struct seen {
    unsigned count;
    unsigned char times[5000];
};

static int note(void *arg, const struct varve_kv_entry *e)
{
    struct seen *seen = arg;
    char text[16] = {0};
    memcpy(text, e->key, e->key_bytes < 15 ? e->key_bytes : 15);
    seen->count++;
    seen->times[strtoul(text, NULL, 10)]++;
    return 0;
}

static int stop(void *arg, const struct varve_kv_entry *e)
{
    (void)arg;
    (void)e;
    return 77;
}

static void test_kv__scan(void **state)
{
    static struct seen seen;
    struct test_store s;
    uint64_t cursor = 0;
    char key[16];
    (void)state;
    memset(&seen, 0, sizeof seen);
    store_start(&s);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        (void)store_set(&s, key, "v");
    }
    assert_int_equal(varve_kv_scan(s.kv, &cursor, 10, stop, NULL), 77);
    assert_int_equal(cursor, 0);
    for (int next = 1000; cursor != VARVE_KV_SCAN_END; next++) {
        unsigned before = seen.count;
        assert_int_equal(varve_kv_scan(s.kv, &cursor, 10, note, &seen), 0);
        assert_true(seen.count - before < 200);
        (void)snprintf(key, sizeof key, "%d", next);
        (void)store_set(&s, key, "v");
        (void)snprintf(key, sizeof key, "%d", next - 1000);
        assert_int_equal(varve_kv_append(s.kv, key, strlen(key), "w", 1, NULL, NULL, NULL), 0);
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(seen.times[i], 1);
    assert_int_equal(varve_kv_scan(s.kv, &cursor, 10, stop, NULL), 0);
    cursor = UINT64_C(4) << 48;
    assert_int_equal(varve_kv_scan(s.kv, &cursor, 10, stop, NULL), VARVE_E_INVALID);
    store_end(&s);
}

static void test_kv__memory_limit(void **state)
{
    struct test_store s;
    static char value[10000];
    int rc = 0, n = 0;
    char key[16];
    (void)state;
    store_init(&s);
    s.options.max_memory = 100000;
    assert_int_equal(store_open(&s), 0);
    for (; rc == 0 && n < 100; n++) {
        (void)snprintf(key, sizeof key, "%d", n);
        rc = varve_kv_set(s.kv, key, strlen(key), value, sizeof value, NULL, NULL);
    }
    assert_int_equal(rc, VARVE_E_MEMORY);
    assert_int_equal(n, 10);
    assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), 9);
    assert_int_equal(varve_kv_set(s.kv, KEY("3"), value, 5000, NULL, NULL), 0);
    assert_int_equal(varve_kv_delete(s.kv, KEY("4"), NULL, NULL), 0);
    assert_int_equal(varve_kv_set(s.kv, KEY("more"), value, sizeof value, NULL, NULL), 0);
    store_again(&s);
    assert_int_equal(varve_kv_set(s.kv, KEY("most"), value, sizeof value, NULL, NULL), 0);
    assert_int_equal(varve_kv_set(s.kv, KEY("too much"), value, sizeof value, NULL, NULL), VARVE_E_MEMORY);
    store_end(&s);
}

/* Each allocation fails once: the key stays as it was, in memory and in the log. */
static void test_kv__no_memory(void **state)
{
    struct test_store s;
    uint64_t sets = 0;
    (void)state;
    store_start(&s);
    for (uint64_t key = 0, fails = 0; key < 60; key++) {
        for (long n = 0;; n++) {
            int rc;
            uint64_t last = varve_last_lsn(varve_kv_log(s.kv));
            vv_alloc_fail_after(n);
            rc = varve_kv_set(s.kv, &key, sizeof key, "value", 5, NULL, NULL);
            vv_alloc_fail_after(-1);
            assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), last + (rc == 0));
            if (rc == 0) {
                sets++;
                break;
            }
            assert_int_equal(rc, VARVE_E_NOMEM);
            fails++;
        }
        assert_true(fails >= key);
    }
    assert_int_equal(varve_kv_count(s.kv), sets);
    store_end(&s);
}

/* The disk fails for good: what was durable is read, what was not is told to nobody. */
static void test_kv__log_fails(void **state)
{
    struct varve_kv_value value = {.data = NULL};
    struct test_store s;
    int rc;
    (void)state;
    store_start(&s);
    store_set(&s, "a", "durable");
    test_fault_fail_always(&s.fault, TEST_OP_ANY_CHANGE, 0, EROFS);
    rc = varve_kv_set(s.kv, KEY("b"), "not", 3, NULL, NULL);
    assert_true(rc == VARVE_E_READONLY || rc == VARVE_E_SYNC || rc == VARVE_E_IO);
    store_expect(&s, "a", "durable");
    rc = varve_kv_get(s.kv, KEY("b"), &value);
    assert_true(rc == VARVE_E_READONLY || rc == VARVE_E_SYNC || rc == VARVE_E_NO_KEY);
    rc = varve_kv_delete(s.kv, KEY("a"), NULL, NULL);
    assert_true(rc == VARVE_E_READONLY || rc == VARVE_E_SYNC);
    store_expect(&s, "a", "durable");
    test_fault_disarm(&s.fault);
    varve_kv_value_free(&value);
    assert_int_not_equal(varve_kv_close(s.kv, NULL), 0);
    assert_int_equal(store_open(&s), 0);
    store_expect(&s, "a", "durable");
    store_end(&s);
}

static void test_kv__power_cut(void **state)
{
    struct test_store s, after;
    char key[16];
    (void)state;
    store_start(&s);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof key, "%d", i % 50);
        (void)store_set(&s, key, i < 150 ? "old" : "new");
    }
    assert_int_equal(varve_kv_delete(s.kv, KEY("7"), NULL, NULL), 0);
    store_cut(&s, &after);
    assert_int_equal(varve_kv_count(after.kv), 49);
    store_expect(&after, "8", "new");
    store_expect(&after, "7", NULL);
    store_end(&after);
    store_end(&s);
}

static void test_kv__memory_mode(void **state)
{
    struct test_store s;
    (void)state;
    store_init(&s);
    s.log.durability = VARVE_MEMORY;
    assert_int_equal(store_open(&s), 0);
    store_set(&s, "a", "one");
    store_expect(&s, "a", "one");
    assert_int_equal(varve_kv_snapshot(s.kv, NULL, &s.error), VARVE_E_UNSUPPORTED);
    store_end(&s);
}

/* Records of somebody else are not taken for the engine's. */
static void test_kv__strange_log(void **state)
{
    struct test_store s;
    struct varve_log *log;
    (void)state;
    store_init(&s);
    assert_int_equal(varve_open(s.path, &s.log, &log, NULL), 0);
    assert_int_equal(varve_append(log, "hello", 5, NULL), 0);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(store_open(&s), VARVE_E_CORRUPT);
    assert_non_null(strstr(s.error.message, "LSN 1"));
    store_end(&s);
}

static void test_kv__options(void **state)
{
    struct test_store s;
    (void)state;
    store_init(&s);
    s.options.shards = 3;
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    s.options.shards = 131072;
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    s.options.shards = 1;
    s.options.snapshot_keep = 101;
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    s.options.snapshot_keep = 0;
    assert_int_equal(store_open(&s), 0);
    store_set(&s, "a", "one");
    store_close(&s);
    s.options.shards = 64;
    assert_int_equal(store_open(&s), 0);
    store_expect(&s, "a", "one");
    store_close(&s);
    s.log.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(store_open(&s), 0);
    store_expect(&s, "a", "one");
    assert_int_equal(varve_kv_set(s.kv, KEY("a"), "x", 1, NULL, NULL), VARVE_E_READONLY);
    store_end(&s);
}

int main(void)
{
    const struct CMUnitTest both[] = {
        cmocka_unit_test(test_kv__set_get_delete),
        cmocka_unit_test(test_kv__conditions),
        cmocka_unit_test(test_kv__numbers),
        cmocka_unit_test(test_kv__append),
        cmocka_unit_test(test_kv__expiry),
        cmocka_unit_test(test_kv__locks),
        cmocka_unit_test(test_kv__tokens_are_durable),
        cmocka_unit_test(test_kv__scan),
        cmocka_unit_test(test_kv__no_memory),
        cmocka_unit_test(test_kv__log_fails),
        cmocka_unit_test(test_kv__power_cut),
        cmocka_unit_test(test_kv__strange_log),
        cmocka_unit_test(test_kv__options),
    };
    const struct CMUnitTest memory[] = {
        cmocka_unit_test(test_kv__memory_limit),
        cmocka_unit_test(test_kv__memory_mode),
    };
    int failed = cmocka_run_group_tests_name("memory", both, NULL, NULL);
    failed += cmocka_run_group_tests_name("memory alone", memory, NULL, NULL);
    if (store_use(VARVE_KV_STORE_LMDB))
        failed += cmocka_run_group_tests_name("lmdb", both, NULL, NULL);
    return failed;
}
