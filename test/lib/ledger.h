/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that say themselves what they are, and a book of those whose append was acknowledged. A check reads
 * a log and finds: every record in it is one that was offered, byte for byte and once; every acknowledged
 * record that was not trimmed is there under its LSN; LSNs have no gap.
 *
 * Threads: any at once, but for init, check and free. A failed check ends the program with a message on
 * standard error, so that it may be called from any thread too.
 */
#ifndef TEST_LIB_LEDGER_H
#define TEST_LIB_LEDGER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/cursor.h"
#include "varve/log.h"

struct test_ledger {
    pthread_mutex_t lock;
    uint64_t seed;
    size_t bytes_min, bytes_max;
    int shrinks;          /* set after init: a codec that packs makes a fraction of the payloads */
    uint64_t offered;     /* [lock] ids given out: 0 to offered - 1 */
    uint64_t *acked;      /* [lock] by LSN: id + 1, or 0 */
    uint64_t acked_room;  /* [lock] */
    uint64_t acked_lsn;   /* [lock] the highest */
    uint64_t acked_count; /* [lock] */
};

/* Payloads have `bytes_min` (8 at least) to `bytes_max` bytes. */
void test_ledger_init(struct test_ledger *ledger, uint64_t seed, size_t bytes_min, size_t bytes_max);
void test_ledger_free(struct test_ledger *ledger);
/* The same once more, to be freed: for what is promised of a copy. */
void test_ledger_copy(struct test_ledger *ledger, struct test_ledger *ret_copy);

/* The next payload, in `buf` of bytes_max bytes. Returns its id. */
uint64_t test_ledger_offer(struct test_ledger *ledger, void *buf, size_t *ret_bytes);
/* It was acknowledged as `lsn`. */
void test_ledger_ack(struct test_ledger *ledger, uint64_t lsn, uint64_t id);

/* Offers one, appends it, notes it if that succeeds. Returns what the append did. */
int test_ledger_append(struct test_ledger *ledger, struct varve_log *log, enum varve_durability durability,
                       uint64_t *ret_lsn);
/* `count` of those; stops at the first error and returns it. */
int test_ledger_fill(struct test_ledger *ledger, struct varve_log *log, unsigned count);

/* Of a record that was read: it is one that was offered, and no other one was acknowledged in its place.
 * Returns its id. */
uint64_t test_ledger_see(struct test_ledger *ledger, const struct varve_entry *entry);
/* Reads the open log. Returns the last LSN. */
uint64_t test_ledger_check(struct test_ledger *ledger, struct varve_log *log);
/* Opens it with `options` (for writing), reads, closes. Returns the last LSN. */
uint64_t test_ledger_reopen(struct test_ledger *ledger, const char *path,
                            const struct varve_options *options);

#endif
