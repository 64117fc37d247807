/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was asked of transactions, and what was promised, by the clock of the trace; and whether what a log
 * gives back may be.
 *
 * Threads: any at once while it is recorded; one while it is judged.
 */
#ifndef TEST_DEALS_DEALS_H
#define TEST_DEALS_DEALS_H

#include <pthread.h>
#include <stdbool.h>

#include "crash/trace.h"
#include "varve/log.h"

enum {
    DEAL_VALUE_MIN = 16
};

struct deal {
    uint64_t asked; /* moment before its commit was called; CRASH_NEVER = never */
    uint64_t acked; /* moment after it was known to be durable; CRASH_NEVER = never */
    uint64_t lsn;   /* 0 = not known */
    uint32_t count; /* mutations */
};

/* A checkpoint that holds everything up to `applied`. */
struct deal_checkpoint {
    uint64_t begin, floor, applied;
};

struct deals {
    struct crash_trace *trace;
    pthread_mutex_t lock;
    struct deal *deals; /* [lock] by their numbers */
    size_t count, room;
    struct deal_checkpoint *checkpoints; /* [lock] in their order */
    size_t checkpoint_count, checkpoint_room;
};

/* Ways in which what a log gives may be wrong, to show that they are seen. */
enum deal_tooth {
    DEAL_TOOTH_NONE,
    DEAL_TOOTH_LOSES,   /* a committed transaction is not given */
    DEAL_TOOTH_HALVES,  /* the last mutation of one is not given */
    DEAL_TOOTH_INVENTS, /* one that was aborted is given */
    DEAL_TOOTH_REPEATS, /* one is given twice */
    DEAL_TOOTH_COUNT,
};

void deals_init(struct deals *deals, struct crash_trace *trace);
void deals_close(struct deals *deals);

uint64_t deals_new(struct deals *deals, uint32_t count);
void deals_asked(struct deals *deals, uint64_t number);
void deals_lsn(struct deals *deals, uint64_t number, uint64_t lsn);
void deals_acked(struct deals *deals, uint64_t number);
void deals_checkpoint(struct deals *deals, uint64_t floor, uint64_t applied);

/* The value of mutation `index` of a transaction: says so itself. */
void deals_fill(uint64_t number, uint32_t index, uint32_t count, void *value, size_t bytes);

/* Replays the log and holds it against what may be there at `moment`. False: *ret_why, `room` bytes, says
 * what is wrong. */
bool deals_judge(struct deals *deals, struct varve_log *log, uint64_t moment, enum deal_tooth tooth,
                 char *ret_why, size_t room);

#endif
