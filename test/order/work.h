/* SPDX-License-Identifier: Apache-2.0 */
/* An engine in use by several threads, and what each of them was told. */
#ifndef TEST_ORDER_WORK_H
#define TEST_ORDER_WORK_H

#include "order/linear.h"
#include "order/serial.h"
#include "varve/kv.h"

enum {
    WORK_THREADS = 4,
    WORK_SINGLES = 5, /* keys that calls on one key use */
    WORK_SHARED = 5,  /* keys that transactions use, and calls beside them */
    WORK_WHY = 1200,
};

struct work_config {
    const char *name;
    enum varve_durability durability;
    uint32_t shards;
    unsigned calls;     /* of each thread */
    bool snapshots;     /* one thread makes them all the time */
    size_t value_bytes; /* of the shared keys at most */
    uint64_t txn_bytes; /* 0: the engine's */
};

/* What was told: calls by key, and transactions. */
struct work {
    struct linear_call *calls[WORK_SINGLES];
    size_t call_count[WORK_SINGLES], call_room[WORK_SINGLES];
    struct serial_deal *deals;
    size_t deal_count, deal_room;
    char wrong[WORK_WHY]; /* what showed at once; empty: nothing */
};

/* Runs it once. Whatever fails that should not ends the program. */
void work_run(const struct work_config *config, uint64_t seed, struct work *ret_work);
void work_free(struct work *work);

/* Holds it against both checkers. */
bool work_judge(struct work *work, char *ret_why, size_t room);

#endif
