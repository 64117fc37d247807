/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test did to a log and what it was told, beside the trace and by the same clock: so that of any
 * moment it can be said what must be there, what may be there, and what must not.
 *
 * A record's content follows from its number, which stands at its beginning: whatever is read back says
 * itself which append it is from.
 *
 * Threads: any at once while it is recorded.
 */
#ifndef TEST_CRASH_HISTORY_H
#define TEST_CRASH_HISTORY_H

#include "crash/trace.h"

enum {
    CRASH_RECORD_MIN = 8 /* bytes: room for the number */
};

struct crash_append {
    size_t bytes;
    uint64_t begin; /* moment; 0 = there from the start; CRASH_NEVER = the call never came */
    uint64_t lsn;   /* 0 = not known */
};

struct crash_ack {
    uint64_t at, lsn; /* from this moment on everything up to the LSN is durable */
};

struct crash_trim {
    uint64_t begin, end; /* end: CRASH_NEVER while it is under way */
    uint64_t asked, first;
};

struct crash_history {
    pthread_mutex_t lock;
    struct crash_trace *trace;
    struct crash_append *appends;
    size_t append_count, append_room;
    struct crash_ack *acks;
    size_t ack_count, ack_room;
    struct crash_trim *trims;
    size_t trim_count, trim_room;
    uint64_t base_first; /* the log's first LSN at the start */
    uint64_t base_last;  /* its last, known to be durable */
    uint64_t *newest; /* by LSN: number of the last append that got it, plus 1; set by crash_history_seal */
    size_t newest_count;
};

void crash_history_init(struct crash_history *history, struct crash_trace *trace);
void crash_history_close(struct crash_history *history);

/* The record with this number. */
void crash_history_fill(uint64_t number, void *buf, size_t bytes);
/* Which append's content this is; false: none's. */
bool crash_history_number(const void *data, size_t bytes, uint64_t *ret_number);

/* To be called before an append; gives its number. */
uint64_t crash_history_append(struct crash_history *history, size_t bytes);
/* When the LSN is known, which may be never. */
void crash_history_lsn(struct crash_history *history, uint64_t number, uint64_t lsn);
void crash_history_ack(struct crash_history *history, uint64_t lsn);
size_t crash_history_trim(struct crash_history *history, uint64_t asked);
void crash_history_trimmed(struct crash_history *history, size_t number, uint64_t first);
/* What is there from the start, in the order of the LSNs. */
void crash_history_base(struct crash_history *history, uint64_t number, size_t bytes, uint64_t lsn);
/* The process died at that moment: what came later did not happen. */
void crash_history_kill(struct crash_history *history, uint64_t moment);
/* Nothing is recorded any more; before it is asked. */
void crash_history_seal(struct crash_history *history);

/* Everything up to this LSN was acknowledged before the moment. */
uint64_t crash_history_acked(const struct crash_history *history, uint64_t moment);
/* The bounds of what the first LSN may be at the moment. */
void crash_history_first(const struct crash_history *history, uint64_t moment, uint64_t *ret_low,
                         uint64_t *ret_high);
/* Whether a record with this number may be found under this LSN; else *ret_why (static). */
bool crash_history_allows(const struct crash_history *history, uint64_t moment, uint64_t lsn, uint64_t number,
                          size_t bytes, const char **ret_why);

#endif
