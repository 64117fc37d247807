/* SPDX-License-Identifier: Apache-2.0 */
/* The engine in logs of the formats dbkv and stra: what it does is said there, comes back, or is refused. */
#include "kv/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/store.h"
#include "varve/stream.h"
#include "varve/writeset.h"

#define KEY(text) text, sizeof(text) - 1
#define PAIR(name, value)                                    \
    {                                                        \
        (name), sizeof(name) - 1, (value), sizeof(value) - 1 \
    }
#define LATER (UINT64_C(4000000000) * 1000000 + 7)

static void start(struct test_store *s, const char *preset)
{
    store_init(s);
    assert_int_equal(varve_options_preset(&s->log, preset), 0);
    s->log.segment_bytes = 1 << 20;
    s->log.sync_bytes = 0;
    if (store_open(s) != 0)
        fail_msg("%s", s->error.message);
}

/* The same comes back, also upon a snapshot that was made before the last changes. */
static void comes_back(struct test_store *s)
{
    uint8_t before[VARVE_KV_DIGEST_BYTES], after[VARVE_KV_DIGEST_BYTES];
    store_digest(s, before);
    for (int i = 0; i < 2; i++) {
        store_again(s);
        store_digest(s, after);
        assert_memory_equal(before, after, sizeof after);
        if (i == 0)
            assert_int_equal(varve_kv_snapshot(s->kv, NULL, &s->error), 0);
    }
}

/* The types of all records, as digits; 10 is "x". */
static void expect_types(struct test_store *s, const char *types)
{
    char found[128] = "";
    struct varve_cursor *cursor;
    struct varve_entry entry;
    size_t count = 0;
    assert_int_equal(varve_sync(varve_kv_log(s->kv)), 0);
    assert_int_equal(varve_cursor_open(varve_kv_log(s->kv), VARVE_POLICY_DEFAULT, &cursor, NULL), 0);
    while (count < sizeof found - 1 && varve_cursor_next(cursor, &entry) == 0)
        found[count++] = (char)(entry.type == 10 ? 'x' : '0' + entry.type);
    varve_cursor_close(cursor);
    assert_string_equal(found, types);
}

static void test_dialect__dbkv_says_all_ten(void **state)
{
    static const struct varve_kv_pair pairs[] = {PAIR("m1", "text"), PAIR("m2", "\xff\0\x01"),
                                                 PAIR("m3", "77")};
    const struct varve_kv_write absent = {.size = sizeof absent, .flags = VARVE_KV_IF_ABSENT};
    const struct varve_kv_write limited = {.size = sizeof limited, .expires_us = LATER};
    struct varve_kv_value value = {.data = NULL};
    struct test_store s;
    uint64_t token = 0, extended = 0;
    (void)state;
    start(&s, "dbkv");
    store_set(&s, "v", "hello");
    assert_int_equal(varve_kv_set(s.kv, KEY("once"), "1", 1, &absent, NULL), 0);
    assert_int_equal(varve_kv_add(s.kv, KEY("once"), 4, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_add(s.kv, KEY("new"), -3, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_add(s.kv, KEY("low"), INT64_MIN, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_set_many(s.kv, pairs, 3, &limited, NULL), 0);
    assert_int_equal(varve_kv_delete_many(s.kv, pairs, 1, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_delete(s.kv, KEY("v"), NULL, NULL), 0);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 3600000, &token), 0);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 7200000, &extended), 0);
    assert_int_equal(varve_kv_lock(s.kv, KEY("gone"), KEY("me"), 3600000, NULL), 0);
    assert_int_equal(varve_kv_unlock(s.kv, KEY("gone"), KEY("me"), NULL), 0);
    expect_types(&s, "17343562"
                     "8x89");
    assert_true(extended > token);
    comes_back(&s);
    store_expect(&s, "once", "5");
    store_expect(&s, "new", "-3");
    store_expect(&s, "low", "-9223372036854775808");
    store_expect(&s, "m3", "77");
    assert_int_equal(varve_kv_get(s.kv, KEY("m2"), &value), 0);
    assert_memory_equal(value.data, "\xff\0\x01", 3);
    assert_int_equal(value.expires_us, LATER);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("you"), 1000, NULL), VARVE_E_CONFLICT);
    varve_kv_value_free(&value);
    store_end(&s);
}

/* What has no word of its own is said as a whole. */
static void test_dialect__dbkv_says_the_rest(void **state)
{
    struct test_store s;
    struct varve_kv_value value = {.data = NULL};
    const struct varve_kv_write past = {.size = sizeof past, .expires_us = 1};
    (void)state;
    start(&s, "dbkv");
    assert_int_equal(varve_kv_append(s.kv, KEY("a"), "12", 2, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_append(s.kv, KEY("a"), "34", 2, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_add(s.kv, KEY("a"), 1, NULL, NULL, NULL), 0);
    store_set(&s, "zeros", "007");
    assert_int_equal(varve_kv_add(s.kv, KEY("zeros"), 1, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_set_range(s.kv, KEY("r"), 2, "x", 1, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_add_float(s.kv, KEY("f"), 1.5, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_expire(s.kv, KEY("f"), LATER, NULL, NULL), 0);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 1000, NULL), 0);
    assert_int_equal(varve_kv_expire(s.kv, KEY("l"), LATER, NULL, NULL), 0);
    expect_types(&s, "11311111"
                     "8x");
    comes_back(&s);
    store_expect(&s, "a", "1235");
    store_expect(&s, "zeros", "8");
    assert_int_equal(varve_kv_get(s.kv, KEY("l"), &value), 0);
    assert_true(value.is_lock && value.expires_us == LATER);
    /* What is over when it is set goes, and is not there when it comes back. */
    assert_int_equal(varve_kv_set(s.kv, KEY("over"), "x", 1, &past, NULL), 0);
    store_expect(&s, "over", NULL);
    assert_int_equal(varve_kv_add(s.kv, KEY("over"), 1, NULL, NULL, NULL), 0);
    BED_UNTIL(varve_kv_count(s.kv) == 6);
    comes_back(&s);
    store_expect(&s, "over", "1");
    varve_kv_value_free(&value);
    store_end(&s);
}

static void test_dialect__refused(void **state)
{
    static const char *const presets[] = {"dbkv", "stra"};
    static const char long_key[VARVE_DBKV_KEY_MAX + 1];
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct varve_kv_write limited = {.size = sizeof limited, .expires_us = LATER};
        struct varve_kv_txn *txn;
        struct varve_error error;
        struct test_store s;
        start(&s, presets[i]);
        store_set(&s, "v", "x");
        assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), "e", 1, NULL, NULL, NULL),
                         VARVE_E_UNSUPPORTED);
        assert_int_equal(varve_kv_set(s.kv, "\xff", 1, "x", 1, NULL, NULL), VARVE_E_UNSUPPORTED);
        assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
        assert_int_equal(varve_kv_txn_stream_append(txn, KEY("s"), "e", 1), 0);
        assert_int_equal(varve_kv_commit(txn, 0, NULL), VARVE_E_UNSUPPORTED);
        varve_kv_abort(txn);
        if (i == 0) {
            assert_int_equal(varve_kv_set(s.kv, long_key, sizeof long_key, "x", 1, NULL, NULL),
                             VARVE_E_UNSUPPORTED);
            assert_int_equal(varve_kv_rename(s.kv, KEY("v"), KEY("w"), NULL, NULL), VARVE_E_UNSUPPORTED);
            assert_int_equal(varve_kv_lock(s.kv, KEY("l"), "\xff", 1, 1000, NULL), VARVE_E_UNSUPPORTED);
        } else {
            assert_int_equal(varve_kv_lock(s.kv, KEY("l"), "me", 2, 1000, NULL), VARVE_E_UNSUPPORTED);
            assert_int_equal(varve_kv_set(s.kv, KEY("t"), "x", 1, &limited, NULL), VARVE_E_UNSUPPORTED);
            assert_int_equal(varve_kv_expire(s.kv, KEY("v"), LATER, NULL, NULL), VARVE_E_UNSUPPORTED);
        }
        assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), 1);
        assert_int_equal(varve_kv_count(s.kv), 1);
        assert_int_equal(varve_kv_history(varve_kv_log(s.kv), KEY("v"), NULL, NULL, &error),
                         VARVE_E_UNSUPPORTED);
        assert_non_null(strstr(error.message, presets[i]));
        store_end(&s);
    }
}

static void test_dialect__stra(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    (void)state;
    start(&s, "stra");
    store_set(&s, "a", "1");
    store_set(&s, "b", "2");
    assert_int_equal(varve_kv_append(s.kv, KEY("a"), "2", 1, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_add(s.kv, KEY("a"), 3, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
    assert_int_equal(varve_kv_txn_set(txn, KEY("c"), "3", 1, 0), 0);
    assert_int_equal(varve_kv_txn_delete(txn, KEY("b")), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    assert_int_equal(varve_kv_rename(s.kv, KEY("c"), KEY("d"), NULL, NULL), 0);
    comes_back(&s);
    store_expect(&s, "a", "15");
    store_expect(&s, "b", NULL);
    store_expect(&s, "d", "3");
    assert_int_equal(varve_kv_count(s.kv), 2);
    store_end(&s);
}

/* What a power cut leaves is what was acknowledged. */
static void test_dialect__power_cut(void **state)
{
    struct test_store s, after;
    char key[16];
    (void)state;
    start(&s, "stra");
    for (int i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof key, "%d", i % 20);
        (void)store_set(&s, key, i < 30 ? "old" : "new");
    }
    memset(&after, 0, sizeof after);
    store_cut(&s, &after);
    assert_int_equal(varve_kv_count(after.kv), 20);
    store_expect(&after, "9", "new");
    store_expect(&after, "10", "new");
    store_end(&after);
    store_end(&s);
}

/* Other formats are refused, and a directory whose state is not in its log alone. */
static void test_dialect__not_admitted(void **state)
{
    struct test_store s;
    struct varve_file *file;
    struct varve_dir *dir;
    (void)state;
    store_init(&s);
    assert_int_equal(varve_options_preset(&s.log, "lfwal"), 0);
    assert_int_equal(store_open(&s), VARVE_E_UNSUPPORTED);
    assert_non_null(strstr(s.error.message, "lfwal"));
    store_end(&s);
    start(&s, "dbkv");
    store_set(&s, "a", "1");
    store_close(&s);
    struct varve_io *io = &s.memory.io;
    assert_int_equal(io->dir_open(io, NULL, "store", 0, &dir, NULL), 0);
    assert_int_equal(io->open(io, dir, "snapshot-1.snap", VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    io->close(io, file);
    io->dir_close(io, dir);
    assert_int_equal(store_open(&s), VARVE_E_UNSUPPORTED);
    assert_non_null(strstr(s.error.message, ".snap"));
    store_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialect__dbkv_says_all_ten), cmocka_unit_test(test_dialect__dbkv_says_the_rest),
        cmocka_unit_test(test_dialect__refused),           cmocka_unit_test(test_dialect__stra),
        cmocka_unit_test(test_dialect__power_cut),         cmocka_unit_test(test_dialect__not_admitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
