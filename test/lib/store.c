/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kv/env.h"
#include "lib/tmp.h"

static enum varve_kv_store store_in_use = VARVE_KV_STORE_MEMORY;

bool store_use(enum varve_kv_store store)
{
    if (store == VARVE_KV_STORE_LMDB && !vv_env_is_built()) {
        puts("the store lmdb is not in this build (VARVE_LMDB=OFF): its half is left out");
        return false;
    }
    store_in_use = store;
    return true;
}

static bool is_real(void)
{
    return store_in_use == VARVE_KV_STORE_LMDB;
}

static void told(void *arg, const struct varve_message *message)
{
    struct test_store *store = arg;
    size_t at = strlen(store->told);
    if (message->level > VARVE_MESSAGE_INFO)
        (void)snprintf(store->told + at, sizeof store->told - at, "%s\n", message->text);
}

static void prepare(struct test_store *store)
{
    static unsigned stores;

    test_fault_init(&store->fault, is_real() ? varve_io_system() : &store->memory.io);
    (void)snprintf(store->path, sizeof store->path, "store");
    if (is_real())
        (void)snprintf(store->path, sizeof store->path, "store-%u", stores++);
    store->log = (struct varve_options){
        .size = sizeof store->log,
        .segment_bytes = 1 << 20,
        .slot_bytes = 32768,
        .slot_count = 8,
        .record_max = 1 << 18,
        .io = &store->fault.pass.io,
        .message = told,
        .message_arg = store,
    };
    store->options = (struct varve_kv_options){
        .size = sizeof store->options,
        .log = &store->log,
        .shards = 4,
        .snapshot_ms = VARVE_KV_NEVER,
        .snapshot_operations = VARVE_KV_UNLIMITED,
        .store = store_in_use,
    };
}

void store_init(struct test_store *store)
{
    memset(store, 0, sizeof *store);
    test_memory_init(&store->memory, 512);
    prepare(store);
    alarm(60);
}

int store_open(struct test_store *store)
{
    memcpy(store->error.message, "?", 2);
    return varve_kv_open(store->path, &store->options, &store->kv, &store->error);
}

static void must_open(struct test_store *store)
{
    if (store_open(store) != 0)
        fail_msg("%s", store->error.message);
}

void store_start(struct test_store *store)
{
    store_init(store);
    must_open(store);
}

void store_close(struct test_store *store)
{
    struct varve_kv *kv = store->kv;
    store->kv = NULL;
    if (varve_kv_close(kv, &store->error) != 0)
        fail_msg("%s", store->error.message);
}

void store_again(struct test_store *store)
{
    store_close(store);
    must_open(store);
}

void store_end(struct test_store *store)
{
    (void)varve_kv_close(store->kv, NULL);
    alarm(0);
    assert_int_equal(atomic_load(&store->fault.open_files), 0);
    assert_int_equal(atomic_load(&store->fault.open_dirs), 0);
    test_fault_close(&store->fault);
    test_memory_close(&store->memory);
    if (is_real())
        test_tmp_remove(store->path);
}

uint64_t store_set(struct test_store *store, const char *key, const char *value)
{
    uint64_t version = 0;
    assert_int_equal(varve_kv_set(store->kv, key, strlen(key), value, strlen(value), NULL, &version), 0);
    return version;
}

void store_expect(struct test_store *store, const char *key, const char *value)
{
    struct varve_kv_value got = {.data = NULL};
    int rc = varve_kv_get(store->kv, key, strlen(key), &got);
    if (value == NULL) {
        assert_int_equal(rc, VARVE_E_NO_KEY);
    } else {
        assert_int_equal(rc, 0);
        assert_int_equal(got.bytes, strlen(value));
        if (got.bytes > 0)
            assert_memory_equal(got.data, value, got.bytes);
    }
    varve_kv_value_free(&got);
}

void store_digest(struct test_store *store, uint8_t digest[VARVE_KV_DIGEST_BYTES])
{
    assert_int_equal(varve_kv_digest(store->kv, digest), 0);
}

struct varve_kv_stats store_stats(struct test_store *store)
{
    struct varve_kv_stats stats = {.size = sizeof stats};
    assert_int_equal(varve_kv_stats_get(store->kv, &stats), 0);
    return stats;
}

void store_cut(struct test_store *store, struct test_store *ret_after)
{
    memset(ret_after, 0, sizeof *ret_after);
    if (is_real())
        test_memory_init(&ret_after->memory, 512);
    else
        test_memory_crash(&store->memory, TEST_CRASH_NOTHING, NULL, &ret_after->memory);
    prepare(ret_after);
    if (is_real())
        test_tmp_copy(store->path, ret_after->path);
    must_open(ret_after);
}

void store_fill(struct test_store *store, int from, int to, size_t value_bytes)
{
    static char value[20000];
    char key[32];
    for (int i = from; i < to; i++) {
        const struct varve_kv_write h = {
            .size = sizeof h, .flags = VARVE_KV_NO_WAIT, .expires_us = i % 7 == 0 ? UINT64_MAX - 1 : 0};
        (void)snprintf(key, sizeof key, "key %d", i);
        (void)snprintf(value, sizeof value, "value %d", i);
        assert_int_equal(varve_kv_set(store->kv, key, strlen(key), value, value_bytes, &h, NULL), 0);
        if (i % 5 == 0)
            assert_int_equal(varve_kv_append(store->kv, key, strlen(key), "+", 1, &h, NULL, NULL), 0);
        if (i % 11 == 0)
            assert_int_equal(varve_kv_delete(store->kv, key, strlen(key), &h, NULL), 0);
    }
    assert_int_equal(varve_sync(varve_kv_log(store->kv)), 0);
}

uint64_t store_snapshot(struct test_store *store)
{
    uint64_t lsn = 0;
    if (varve_kv_snapshot(store->kv, &lsn, &store->error) != 0)
        fail_msg("%s", store->error.message);
    return lsn;
}

struct varve_kv_recovery store_recovery(struct test_store *store)
{
    struct varve_kv_recovery r = {.size = sizeof r};
    assert_int_equal(varve_kv_recovery_get(store->kv, &r), 0);
    return r;
}

void store_expect_digest(struct test_store *store, const uint8_t *wanted)
{
    uint8_t digest[VARVE_KV_DIGEST_BYTES];
    store_digest(store, digest);
    assert_memory_equal(digest, wanted, sizeof digest);
}

void store_at(struct test_store *store, const char *path)
{
    store_init(store);
    (void)snprintf(store->path, sizeof store->path, "%s", path);
}
