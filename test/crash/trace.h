/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decorator that writes down, in one order, every operation that changes a file system or makes something
 * durable: when it began, when it ended, and with what result. Between the two its effect is under way.
 *
 * The order is a clock of its own: a number that goes up with each beginning, each end and each note of the
 * test (crash_trace_now). "A crash at moment k" is what was on its way when the clock stood at k.
 *
 * Threads: any at once.
 */
#ifndef TEST_CRASH_TRACE_H
#define TEST_CRASH_TRACE_H

#include <pthread.h>
#include <stdatomic.h>

#include "crash/fs.h"
#include "lib/pass.h"
#include "lib/rng.h"

enum crash_op_kind {
    CRASH_CREATE,
    CRASH_MKDIR,
    CRASH_RENAME,
    CRASH_UNLINK,
    CRASH_DIR_SYNC,
    CRASH_WRITE,
    CRASH_SIZE, /* allocate and truncate */
    CRASH_SYNC,
};

#define CRASH_NEVER UINT64_MAX

struct crash_op {
    enum crash_op_kind kind;
    uint32_t dir, node;
    char name[CRASH_NAME]; /* CREATE, MKDIR, UNLINK; RENAME: the old one */
    char to[CRASH_NAME];   /* RENAME */
    uint64_t offset;
    uint64_t bytes;      /* WRITE: length; SIZE: the new size */
    unsigned char *data; /* WRITE; NULL = zeros */
    bool dsync;
    int rc;              /* 0 or a negative errno, once it has ended */
    uint64_t begin, end; /* end: CRASH_NEVER while it is under way */
};

/* A name as it is now. */
struct crash_trace_name {
    uint32_t dir, node;
    char name[CRASH_NAME];
};

struct crash_trace {
    struct test_pass pass; /* first: pass.io is the table */
    pthread_mutex_t lock;
    pthread_mutex_t names_lock; /* held during calls that change names; before `lock` */
    struct crash_fs base;       /* [const] what there was at the start, all of it durable */
    struct crash_op *ops;       /* [lock] in the order in which they began */
    size_t count, room;
    uint64_t clock;                 /* [lock] */
    struct crash_trace_name *names; /* [names_lock] */
    size_t name_count, name_room;
    uint32_t next_node; /* [names_lock] */
    _Atomic uint64_t pace;
    uint64_t pace_us; /* [const] calls that sync take up to so long: 0 = no time at all */
};

/* `base` is copied. */
void crash_trace_init(struct crash_trace *trace, struct varve_io *below, const struct crash_fs *base);
void crash_trace_close(struct crash_trace *trace);

/* A moment of the trace: everything that ended before has a lower number, everything that begins later a
 * higher one. */
uint64_t crash_trace_now(struct crash_trace *trace);

/* A moment by chance, not before `from`: half of them near a change of names or a sync, which are few, or
 * after a failed one. */
uint64_t crash_trace_moment(const struct crash_trace *trace, struct test_rng *rng, uint64_t from);

/*
 * The process dies at `moment`, and the system lives on: forgets what began later. Of what was under way, a
 * part chosen by `rng` was done. *ret_fs is what another process finds: what is
 * below must be that from now on, and nothing be open.
 */
void crash_trace_kill(struct crash_trace *trace, uint64_t moment, struct test_rng *rng,
                      struct crash_fs *ret_fs);
const char *crash_op_name(enum crash_op_kind kind);

#endif
