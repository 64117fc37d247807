/* SPDX-License-Identifier: Apache-2.0 */
#include "varve/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "kv/engine.h"
#include "kv/snapfile.h"
#include "lib/bed.h"
#include "lib/store.h"

#define KEY(text) text, sizeof(text) - 1

static uint64_t put(struct test_store *s, const char *key, const char *event)
{
    uint64_t position = 0;
    assert_int_equal(
        varve_kv_stream_append(s->kv, key, strlen(key), event, strlen(event), NULL, &position, NULL), 0);
    return position;
}

/* "position:event " for each. */
struct text {
    char text[4096];
    size_t used;
    uint64_t lsn;
};

static int write_event(void *arg, const struct varve_kv_event *e)
{
    struct text *t = arg;
    t->used += (size_t)snprintf(t->text + t->used, sizeof t->text - t->used, "%llu:%.*s ",
                                (unsigned long long)e->position, (int)e->bytes, (const char *)e->data);
    t->lsn = e->lsn;
    return 0;
}

static void expect(struct test_store *s, const char *key, uint64_t from, uint64_t to, size_t limit,
                   const char *events, uint64_t next)
{
    struct text t = {.used = 0};
    uint64_t at = 0;
    assert_int_equal(varve_kv_stream_range(s->kv, key, strlen(key), from, to, limit, write_event, &t, &at),
                     0);
    assert_string_equal(t.text, events);
    assert_int_equal(at, next);
}

static void test_events__append_and_range(void **state)
{
    struct test_store s;
    struct text t = {.used = 0};
    struct varve_kv_stream stream = {.size = sizeof stream};
    static char large[1 << 18];
    uint64_t version = 0;
    (void)state;
    store_start(&s);
    assert_int_equal(put(&s, "s", "one"), 1);
    assert_int_equal(put(&s, "s", ""), 2);
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), "three", 5, NULL, NULL, &version), 0);
    assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), version);
    for (int again = 0; again < 2; again++) {
        expect(&s, "s", 0, VARVE_KV_STREAM_END, 0, "1:one 2: 3:three ", 4);
        expect(&s, "s", 2, 2, 0, "2: ", 3);
        expect(&s, "s", 1, VARVE_KV_STREAM_END, 2, "1:one 2: ", 3);
        expect(&s, "s", 3, 99, 0, "3:three ", 4);
        expect(&s, "s", 4, 99, 0, "", 4);
        assert_int_equal(varve_kv_stream_get(s.kv, KEY("s"), &stream), 0);
        assert_true(stream.first == 1 && stream.next == 4 && stream.version == version);
        assert_int_equal(varve_kv_count(s.kv), 1);
        assert_int_equal(store_stats(&s).events, 3);
        assert_int_equal(store_stats(&s).streams, 1);
        store_again(&s);
    }
    assert_int_equal(varve_kv_stream_range(s.kv, KEY("s"), 3, 3, 0, write_event, &t, NULL), 0);
    assert_int_equal(t.lsn, version);
    assert_int_equal(varve_kv_stream_range(s.kv, KEY("x"), 0, 9, 0, write_event, &t, NULL), VARVE_E_NO_KEY);
    assert_int_equal(varve_kv_stream_get(s.kv, KEY("x"), &stream), VARVE_E_NO_KEY);
    assert_int_equal(varve_kv_stream_append(s.kv, "", 0, "e", 1, NULL, NULL, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), NULL, 1, NULL, NULL, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), large, sizeof large, NULL, NULL, NULL),
                     VARVE_E_TOO_LARGE);
    assert_int_equal(put(&s, "s", "four"), 4);
    store_end(&s);
}

/* Each kind refuses what belongs to another, and stays as it is. */
static void test_events__types(void **state)
{
    struct test_store s;
    struct varve_kv_value value = {.data = NULL};
    struct text t = {.used = 0};
    struct varve_kv_stream stream = {.size = sizeof stream};
    uint8_t before[VARVE_KV_DIGEST_BYTES], after[VARVE_KV_DIGEST_BYTES];
    (void)state;
    store_start(&s);
    (void)put(&s, "s", "one");
    store_set(&s, "v", "value");
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 3600000, NULL), 0);
    store_digest(&s, before);
    assert_int_equal(varve_kv_get(s.kv, KEY("s"), &value), VARVE_E_TYPE);
    assert_int_equal(varve_kv_set(s.kv, KEY("s"), "x", 1, NULL, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_add(s.kv, KEY("s"), 1, NULL, NULL, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_append(s.kv, KEY("s"), "x", 1, NULL, NULL, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_lock(s.kv, KEY("s"), KEY("me"), 1000, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_unlock(s.kv, KEY("s"), KEY("me"), NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("v"), "e", 1, NULL, NULL, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("l"), "e", 1, NULL, NULL, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_stream_range(s.kv, KEY("v"), 0, 9, 0, write_event, &t, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_stream_get(s.kv, KEY("v"), &stream), VARVE_E_TYPE);
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("v"), 1, NULL, NULL), VARVE_E_TYPE);
    store_digest(&s, after);
    assert_memory_equal(before, after, sizeof after);
    /* A key that is called like an event is a key. */
    assert_int_equal(varve_kv_set(s.kv, "s\0\0\0\0\0\0\0\1", 9, "key", 3, NULL, NULL), 0);
    expect(&s, "s", 0, 9, 0, "1:one ", 2);
    assert_int_equal(varve_kv_get(s.kv, "s\0\0\0\0\0\0\0\1", 9, &value), 0);
    assert_memory_equal(value.data, "key", 3);
    varve_kv_value_free(&value);
    store_end(&s);
}

static void test_events__conditions(void **state)
{
    struct test_store s;
    struct varve_kv_write how = {.size = sizeof how, .flags = VARVE_KV_IF_PRESENT};
    struct varve_kv_value old = {.data = NULL};
    uint64_t version = 0;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), "e", 1, &how, NULL, NULL), VARVE_E_NO_KEY);
    how.flags = VARVE_KV_IF_ABSENT;
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), "e", 1, &how, NULL, &version), 0);
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), "e", 1, &how, NULL, NULL), VARVE_E_CONFLICT);
    how.flags = VARVE_KV_IF_VERSION;
    how.version = version;
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), "f", 1, &how, NULL, NULL), 0);
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), "g", 1, &how, NULL, NULL), VARVE_E_CONFLICT);
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("s"), 2, &how, NULL), VARVE_E_CONFLICT);
    expect(&s, "s", 0, 9, 0, "1:e 2:f ", 3);
    how.flags = VARVE_KV_KEEP_EXPIRY;
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), "g", 1, &how, NULL, NULL), VARVE_E_INVALID);
    how.flags = 0;
    how.old = &old;
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), "g", 1, &how, NULL, NULL), VARVE_E_INVALID);
    store_end(&s);
}

static void test_events__trim_and_delete(void **state)
{
    struct test_store s;
    uint64_t version = 0, same = 0;
    (void)state;
    store_start(&s);
    for (int i = 0; i < 6; i++)
        (void)put(&s, "s", "e");
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("x"), 1, NULL, NULL), VARVE_E_NO_KEY);
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("s"), 0, NULL, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("s"), 8, NULL, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("s"), 5, NULL, &version), 0);
    assert_int_equal(store_stats(&s).events, 2);
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("s"), 3, NULL, &same), 0);
    assert_true(same == version && varve_last_lsn(varve_kv_log(s.kv)) == version);
    expect(&s, "s", 0, 99, 0, "5:e 6:e ", 7);
    store_again(&s);
    expect(&s, "s", 0, 99, 0, "5:e 6:e ", 7);
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("s"), 7, NULL, NULL), 0);
    assert_int_equal(store_stats(&s).events, 0);
    expect(&s, "s", 0, 99, 0, "", 7);
    store_again(&s);
    assert_int_equal(put(&s, "s", "seventh"), 7);
    assert_int_equal(varve_kv_delete(s.kv, KEY("s"), NULL, NULL), 0);
    assert_int_equal(store_stats(&s).events, 0);
    assert_int_equal(varve_kv_count(s.kv), 0);
    assert_int_equal(put(&s, "s", "anew"), 1);
    store_again(&s);
    expect(&s, "s", 0, 99, 0, "1:anew ", 2);
    store_end(&s);
}

/* A stream whose time is over is gone with its events; what comes then begins anew. */
static void test_events__expiry(void **state)
{
    struct test_store s;
    struct varve_kv_write how = {.size = sizeof how, .expires_us = 1};
    struct varve_kv_stream stream = {.size = sizeof stream};
    (void)state;
    store_start(&s);
    for (int i = 0; i < 5; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i);
        assert_int_equal(varve_kv_stream_append(s.kv, key, strlen(key), "over", 4, &how, NULL, NULL), 0);
        assert_int_equal(varve_kv_stream_get(s.kv, key, strlen(key), &stream), VARVE_E_NO_KEY);
        if (i % 2 == 0)
            assert_int_equal(put(&s, key, "new"), 1);
    }
    BED_UNTIL(store_stats(&s).entries == 3);
    assert_int_equal(store_stats(&s).events, 3);
    assert_int_equal(varve_kv_expire(s.kv, KEY("0"), UINT64_MAX / 2, NULL, NULL), 0);
    (void)put(&s, "0", "more");
    assert_int_equal(varve_kv_stream_get(s.kv, KEY("0"), &stream), 0);
    assert_int_equal(stream.expires_us, UINT64_MAX / 2);
    store_again(&s);
    expect(&s, "0", 0, 99, 0, "1:new 2:more ", 3);
    assert_int_equal(varve_kv_stream_get(s.kv, KEY("0"), &stream), 0);
    assert_int_equal(stream.expires_us, UINT64_MAX / 2);
    store_end(&s);
}

static int txn_put(struct varve_kv_txn *txn, const char *key, const char *event)
{
    return varve_kv_txn_stream_append(txn, key, strlen(key), event, strlen(event));
}

static void test_events__transactions(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn, *other;
    struct varve_kv_value value = {.data = NULL};
    struct text t = {.used = 0};
    uint64_t lsn = 0;
    (void)state;
    store_start(&s);
    store_set(&s, "v", "1");
    assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
    assert_int_equal(txn_put(txn, "s", "a"), 0);
    assert_int_equal(txn_put(txn, "s", "b"), 0);
    assert_int_equal(varve_kv_txn_set(txn, KEY("v"), "2", 1, 0), 0);
    assert_int_equal(txn_put(txn, "v", "c"), VARVE_E_TYPE);
    assert_int_equal(varve_kv_txn_set(txn, KEY("s"), "2", 1, 0), VARVE_E_TYPE);
    assert_int_equal(txn_put(txn, "s", "c"), 0);
    /* What others append meanwhile is no conflict, and comes first. */
    (void)put(&s, "s", "first");
    assert_int_equal(varve_kv_begin(s.kv, 0, &other), 0);
    assert_int_equal(txn_put(other, "s", "second"), 0);
    assert_int_equal(varve_kv_commit(other, 0, NULL), 0);
    assert_int_equal(varve_kv_commit(txn, 0, &lsn), 0);
    expect(&s, "s", 0, 99, 0, "1:first 2:second 3:a 4:b 5:c ", 6);
    assert_int_equal(varve_kv_stream_range(s.kv, KEY("s"), 3, 9, 0, write_event, &t, NULL), 0);
    assert_int_equal(t.lsn, lsn);
    store_again(&s);
    expect(&s, "s", 0, 99, 0, "1:first 2:second 3:a 4:b 5:c ", 6);
    /* Who has looked at it has looked at it as it was. */
    assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
    assert_int_equal(varve_kv_txn_get(txn, KEY("s"), &value), VARVE_E_TYPE);
    assert_int_equal(txn_put(txn, "s", "late"), 0);
    (void)put(&s, "s", "sixth");
    assert_int_equal(varve_kv_commit(txn, 0, NULL), VARVE_E_CONFLICT);
    varve_kv_abort(txn);
    /* What was refused because of what a key holds depends on that, too. */
    assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
    assert_int_equal(txn_put(txn, "v", "x"), VARVE_E_TYPE);
    assert_int_equal(txn_put(txn, "other", "x"), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
    assert_int_equal(txn_put(txn, "v", "x"), VARVE_E_TYPE);
    assert_int_equal(txn_put(txn, "other", "x"), 0);
    store_set(&s, "v", "3");
    assert_int_equal(varve_kv_commit(txn, 0, NULL), VARVE_E_CONFLICT);
    varve_kv_abort(txn);
    /* Deleted and begun anew; begun and taken back; a stream that became a value. */
    assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
    assert_int_equal(varve_kv_txn_delete(txn, KEY("s")), 0);
    assert_int_equal(txn_put(txn, "s", "anew"), 0);
    assert_int_equal(txn_put(txn, "none", "x"), 0);
    assert_int_equal(varve_kv_txn_delete(txn, KEY("none")), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    expect(&s, "s", 0, 99, 0, "1:anew ", 2);
    assert_int_equal(store_stats(&s).events, 2);
    assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
    assert_int_equal(txn_put(txn, "s", "lost"), 0);
    assert_int_equal(txn_put(txn, "fresh", "lost"), 0);
    store_set(&s, "fresh", "a value");
    assert_int_equal(varve_kv_commit(txn, 0, NULL), VARVE_E_CONFLICT);
    varve_kv_abort(txn);
    store_again(&s);
    expect(&s, "s", 0, 99, 0, "1:anew ", 2);
    varve_kv_value_free(&value);
    store_end(&s);
}

static int note_change(void *arg, const struct varve_kv_change *c)
{
    struct text *t = arg;
    t->used += (size_t)snprintf(t->text + t->used, sizeof t->text - t->used, "%s %llu %.*s,",
                                varve_kv_change_name(c->kind), (unsigned long long)c->position,
                                (int)c->value_bytes, (const char *)c->value);
    return 0;
}

static void test_events__history(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    struct text t = {.used = 0};
    (void)state;
    store_start(&s);
    (void)put(&s, "s", "a");
    assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
    assert_int_equal(txn_put(txn, "s", "b"), 0);
    assert_int_equal(txn_put(txn, "s", "c"), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("s"), 3, NULL, NULL), 0);
    assert_int_equal(varve_kv_delete(s.kv, KEY("s"), NULL, NULL), 0);
    assert_int_equal(varve_kv_history(varve_kv_log(s.kv), KEY("s"), note_change, &t, NULL), 0);
    assert_string_equal(t.text, "event 1 a,event 2 b,event 3 c,trim 3 ,delete 0 ,");
    store_end(&s);
}

static int scan_one(void *arg, const struct varve_kv_entry *e)
{
    struct varve_kv_entry *to = arg;
    to->is_stream += e->is_stream;
    if (e->is_stream) {
        to->first = e->first;
        to->next = e->next;
        assert_int_equal(e->value_bytes, 0);
    }
    to->version++;
    return 0;
}

static void test_events__snapshot_and_scan(void **state)
{
    struct test_store s;
    struct varve_kv_entry seen = {.key = NULL};
    uint8_t before[VARVE_KV_DIGEST_BYTES], after[VARVE_KV_DIGEST_BYTES];
    uint64_t cursor = 0;
    (void)state;
    store_start(&s);
    for (int i = 0; i < 500; i++)
        (void)put(&s, "long", "event");
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("long"), 101, NULL, NULL), 0);
    store_set(&s, "v", "x");
    assert_int_equal(varve_kv_snapshot(s.kv, NULL, &s.error), 0);
    (void)put(&s, "long", "behind it");
    assert_int_equal(varve_kv_stream_trim(s.kv, KEY("long"), 111, NULL, NULL), 0);
    store_digest(&s, before);
    store_again(&s);
    store_digest(&s, after);
    assert_memory_equal(before, after, sizeof after);
    while (cursor != VARVE_KV_SCAN_END)
        assert_int_equal(varve_kv_scan(s.kv, &cursor, 10, scan_one, &seen), 0);
    assert_true(seen.version == 2 && seen.is_stream == 1 && seen.first == 111 && seen.next == 502);
    assert_int_equal(store_stats(&s).events, 391);
    store_end(&s);
}

/* A snapshot whose last block is damaged was loaded in part: nothing of that part is left, or counted. */
static void test_events__damaged_snapshot(void **state)
{
    static char large[40000];
    struct varve_kv_stream stream = {.size = sizeof stream};
    struct test_store s;
    struct varve_io_stat stat;
    struct varve_dir *dir, *sub;
    struct varve_file *file;
    char name[VV_SNAP_NAME_BYTES];
    uint64_t lsn = 0;
    uint8_t byte;
    (void)state;
    store_start(&s);
    for (int i = 0; i < 60; i++)
        assert_int_equal(varve_kv_stream_append(s.kv, KEY("s"), large, sizeof large, NULL, NULL, NULL), 0);
    assert_int_equal(varve_kv_snapshot(s.kv, NULL, &s.error), 0);
    (void)put(&s, "s", "more");
    assert_int_equal(varve_kv_snapshot(s.kv, &lsn, &s.error), 0);
    store_close(&s);
    struct varve_io *io = &s.memory.io;
    vv_snap_name(lsn, name);
    assert_int_equal(io->dir_open(io, NULL, "store", 0, &dir, NULL), 0);
    assert_int_equal(io->dir_open(io, dir, VV_KV_SNAPSHOT_DIR, 0, &sub, NULL), 0);
    assert_int_equal(io->open(io, sub, name, VARVE_IO_WRITE, &file), 0);
    assert_int_equal(io->stat(io, file, &stat), 0);
    assert_int_equal(io->pread(io, file, &byte, 1, stat.size_bytes - 100), 1);
    byte ^= 0x20;
    const struct iovec piece = {&byte, 1};
    assert_int_equal(io->pwritev(io, file, &piece, 1, stat.size_bytes - 100, 0), 1);
    io->close(io, file);
    io->dir_close(io, sub);
    io->dir_close(io, dir);
    if (store_open(&s) != 0)
        fail_msg("%s", s.error.message);
    assert_non_null(strstr(s.told, "snap-"));
    assert_int_equal(varve_kv_stream_get(s.kv, KEY("s"), &stream), 0);
    assert_true(stream.first == 1 && stream.next == 62);
    assert_int_equal(store_stats(&s).events, 61);
    store_end(&s);
}

/* Each allocation fails once: nothing of the event is there, in memory and in the log. */
static void test_events__no_memory(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    uint64_t events = 0;
    (void)state;
    store_start(&s);
    for (int round = 0; round < 20; round++) {
        for (long n = 0;; n++) {
            uint64_t last = varve_last_lsn(varve_kv_log(s.kv));
            int rc;
            vv_alloc_fail_after(n);
            rc = varve_kv_stream_append(s.kv, &round, sizeof round, "event", 5, NULL, NULL, NULL);
            vv_alloc_fail_after(-1);
            assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), last + (rc == 0));
            events += rc == 0;
            assert_int_equal(store_stats(&s).events, events);
            if (rc == 0)
                break;
            assert_int_equal(rc, VARVE_E_NOMEM);
        }
    }
    for (long n = 0;; n++) {
        int rc;
        assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
        vv_alloc_fail_after(n);
        rc = txn_put(txn, "t", "one");
        rc = rc ? rc : txn_put(txn, "t", "two");
        rc = rc ? rc : varve_kv_commit(txn, 0, NULL);
        vv_alloc_fail_after(-1);
        if (rc == 0)
            break;
        assert_int_equal(rc, VARVE_E_NOMEM);
        varve_kv_abort(txn);
        assert_int_equal(store_stats(&s).events, events);
    }
    expect(&s, "t", 0, 9, 0, "1:one 2:two ", 3);
    store_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events__append_and_range), cmocka_unit_test(test_events__types),
        cmocka_unit_test(test_events__conditions),       cmocka_unit_test(test_events__trim_and_delete),
        cmocka_unit_test(test_events__expiry),           cmocka_unit_test(test_events__transactions),
        cmocka_unit_test(test_events__history),          cmocka_unit_test(test_events__snapshot_and_scan),
        cmocka_unit_test(test_events__damaged_snapshot), cmocka_unit_test(test_events__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
