/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests with many threads share: payloads that say whose they are and show any change, a table of
 * who was given which LSN, and a watchdog that ends a program that makes no progress.
 */
#ifndef TEST_LIB_CREW_H
#define TEST_LIB_CREW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/varve.h"

/* -- payloads -- */

enum {
    TEST_CREW_PAYLOAD_MIN = 16
};

/* Fills `bytes` (at least TEST_CREW_PAYLOAD_MIN) as record `number` of thread `thread`. */
void test_crew_fill(void *payload, size_t bytes, uint32_t thread, uint32_t number);
/* Whether this is such a payload, whole; and whose. */
bool test_crew_read(const void *payload, size_t bytes, uint32_t *ret_thread, uint32_t *ret_number);

/* -- who was given which LSN -- */

struct test_crew_table {
    _Atomic uint64_t *owners; /* at lsn: thread << 32 | number + 1; 0 = not told */
    uint64_t room;
    _Atomic uint64_t doubles; /* LSNs that were given twice */
};

void test_crew_table_init(struct test_crew_table *table, uint64_t room);
void test_crew_table_free(struct test_crew_table *table);
/* Notes that the LSN was given to a record. */
void test_crew_table_note(struct test_crew_table *table, uint64_t lsn, uint32_t thread, uint32_t number);
/* Whether the record may stand at that LSN: it was given to it, or nobody was told. */
bool test_crew_table_fits(struct test_crew_table *table, uint64_t lsn, uint32_t thread, uint32_t number);

/* Reads the log from `from` (0 = its first record) to its end: every record whole, LSNs without a gap, each
 * where the table has it. Returns the last LSN, or 0 when anything is wrong, which it says on stderr. `table`
 * may be NULL. */
uint64_t test_crew_read_log(struct varve_log *log, uint64_t from, struct test_crew_table *table);

/* -- watchdog -- */

/* From now on the program must call alive at least every `seconds`, else it prints what `log` says of itself,
 * where its threads stand as far as the system tells, and aborts. `name` is what it is doing. */
void test_watchdog_start(const char *name, unsigned seconds);
void test_watchdog_log(struct varve_log *log); /* NULL before it is closed */
void test_watchdog_alive(void);
void test_watchdog_stop(void);

#endif
