/* SPDX-License-Identifier: Apache-2.0 */
/* An engine to be tested, on a file system in memory, with faults in between. Failing here is a failed test.
 */
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
    char told[1024]; /* warnings and errors, the newest last */
};

/* Options: no snapshot by itself; a log of small segments. A test that hangs is ended after a minute. */
void store_init(struct test_store *store);
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

/* What a power cut at this moment leaves, opened: has the same options. To be ended by store_end. */
void store_cut(struct test_store *store, struct test_store *ret_after);

#endif
