/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether transactions are, in the order of their LSNs, as if each had happened at one moment between its
 * beginning and its end: strict serialisability. In general that is hard to decide (Papadimitriou, The
 * serializability of concurrent database updates, 1979), but not where the order of the writes is known
 * (Gibbons and Korach, Testing shared memories, 1997), and the engine says it: a version is the LSN of a
 * commit. So the writers are replayed in that order, and every read is held against the version that was
 * there.
 *
 * The moment of a writer is its LSN, and it has to have read what was there just before. One that has written
 * nothing, or was aborted, has to have seen the state at some moment: of those that its reads allow the
 * earliest one that is not before what had ended when it began. To take the earliest is never wrong, so this
 * finds an order whenever there is one.
 *
 * A single call that only reads sees the newest there is, which may be a write whose neighbour of a lower LSN
 * is still under way: it is no part of this order. graph.h has an order for those.
 *
 * Threads: any; nothing is shared.
 */
#ifndef TEST_ORDER_SERIAL_H
#define TEST_ORDER_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SERIAL_TOUCHED = 8
};

/* A key as it was read or written. `number` 0: it is absent. No number is written twice. */
struct serial_touch {
    unsigned key;
    uint64_t number;
    uint64_t version; /* read: of it */
};

struct serial_deal {
    uint64_t from, to; /* when it began and ended, of one clock that never stands still */
    uint64_t lsn;      /* of its commit; 0: nothing was written */
    bool single;       /* a call of its own */
    struct serial_touch reads[SERIAL_TOUCHED], writes[SERIAL_TOUCHED];
    size_t read_count, write_count;
};

/* True: there is an order. Keys are absent at first. Sorts `deals`. */
bool serial_check(struct serial_deal *deals, size_t count, unsigned keys, char *ret_why, size_t room);

#endif
