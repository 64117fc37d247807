/* SPDX-License-Identifier: Apache-2.0 */
/* An engine to be tested, with faults in between: on a file system in memory, or, with the store lmdb, which
 * does its own I/O, on real files. Failing here is a failed test. */
#ifndef TEST_LIB_STORE_H
#define TEST_LIB_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/clock.h"
#include "lib/fault.h"
#include "lib/memory.h"
#include "varve/kv.h"

struct test_store {
    struct test_memory memory;
    struct test_fault fault;
    struct varve_options log;
    struct varve_kv_options options;
    struct varve_error error; /* of what failed last */
    struct varve_kv *kv;
    char path[32];
    char told[1024]; /* warnings and errors, the newest last */
};

/* Which store comes from store_init on: one of memory and lmdb. False: this build has none such, which was
 * said. */
bool store_use(enum varve_kv_store store);

/* Options: no snapshot by itself; a log of small segments. A test that hangs is ended after a minute. */
void store_init(struct test_store *store);
/* The same in a directory that is there, of real files. */
void store_at(struct test_store *store, const char *path);
void store_start(struct test_store *store); /* the same, and opens it */
int store_open(struct test_store *store);
void store_close(struct test_store *store);
void store_again(struct test_store *store); /* closes and opens */
/* Closed or not; frees everything. */
void store_end(struct test_store *store);

/* Texts as keys and values. */
uint64_t store_set(struct test_store *store, const char *key, const char *value);
void store_expect(struct test_store *store, const char *key, const char *value); /* NULL: absent */
void store_digest(struct test_store *store, uint8_t digest[VARVE_KV_DIGEST_BYTES]);
struct varve_kv_stats store_stats(struct test_store *store);

void store_expect_digest(struct test_store *store, const uint8_t *wanted);
struct varve_kv_recovery store_recovery(struct test_store *store);

/* Keys "key N" from one number to before another, each 7th expiring some day, each 5th appended to, each 11th
 * deleted again; values of so many bytes, up to 20,000. Durable when it returns. */
void store_fill(struct test_store *store, int from, int to, size_t value_bytes);
/* A snapshot, or a fold; its LSN. */
uint64_t store_snapshot(struct test_store *store);

/* What a power cut at this moment leaves, opened: has the same options. To be ended by store_end. Of real
 * files what a kill leaves. */
void store_cut(struct test_store *store, struct test_store *ret_after);

#endif
