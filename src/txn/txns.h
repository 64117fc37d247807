/* SPDX-License-Identifier: Apache-2.0 */
/* The transactions of a log, and what each open one has whoever uses it: varve_txn_* here, src/kv above. */
#ifndef VV_TXN_TXNS_H
#define VV_TXN_TXNS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "txn/group.h"
#include "varve/io.h"
#include "varve/pin.h"
#include "varve/txn.h"

enum vv_live_state {
    VV_LIVE_OPEN = 0,
    VV_LIVE_EXPIRED = 1, /* aborted by its time limit; its caller has still to end it */
    VV_LIVE_FAILED = 2,  /* the log refused for good */
};

/* An open transaction. */
struct vv_live {
    struct varve_txns *txns; /* [const] */
    uint64_t began_us;       /* [const] */
    /* Frees what the transaction holds, called once, when its time is up. `lock` is held. */
    void (*forget)(struct vv_live *live); /* [const] */
    pthread_mutex_t lock;                 /* the caller's, and the timer's */
    enum vv_live_state state;             /* [lock] */
    int error;                            /* [lock] EXPIRED, FAILED: what its calls get */
    struct vv_group group;                /* [lock] but for begin_lsn */
    bool holds_pin;                       /* [lock] */
    _Atomic uint64_t deadline_us;         /* UINT64_MAX: none, or it has been seen to */
    _Atomic bool overdue;                 /* [set by the timer] who holds `lock` sees to it */
    struct vv_live *next, *before;        /* [list_lock] */
};

struct varve_txns {
    struct varve_log *log;              /* [const] */
    struct varve_io *io;                /* [const] */
    uint64_t limit_ms, stream_bytes;    /* [const] */
    uint64_t record_max;                /* [const] */
    uint8_t type;                       /* [const] */
    uint8_t origin[VARVE_ORIGIN_BYTES]; /* [const] */
    char pin[VARVE_PIN_TEXT_BYTES];     /* [const] */

    pthread_mutex_t pin_lock;
    unsigned pin_holders; /* [pin_lock] streamed transactions that are open */
    bool pin_set;         /* [pin_lock] */

    pthread_mutex_t list_lock;
    struct vv_live *first;  /* [list_lock] */
    uint64_t timer_wake_us; /* [list_lock] when the timer looks next */
    bool stop;              /* [list_lock] */

    pthread_t timer;
    bool timer_runs;              /* [const after open] */
    _Atomic uint32_t timer_event; /* changes when the timer has to look earlier */

    _Atomic uint64_t next_id; /* only grows */
    _Atomic uint64_t open, begun, committed, aborted, timed_out, failed, streamed, mutations, bytes;
};

/* -- live.c -- */

/* Puts it on the list. `limit_ms` 0: the default. Errors: INVALID. */
int vv_live_begin(struct varve_txns *txns, uint64_t limit_ms, void (*forget)(struct vv_live *live),
                  struct vv_live *live);

/* At the beginning of a call: takes the lock. An error, without the lock: TIMEOUT, or why it failed. */
int vv_live_enter(struct vv_live *live);
/* At the end of a call that went on: gives the lock back. `rc`: what the log said to it. */
void vv_live_leave(struct vv_live *live, int rc);

/* Makes sure that it is begun in the log, and the log held. `lock` is held. Errors: as vv_group_begin and
 * varve_pin_set. */
int vv_live_stream(struct vv_live *live);

/* It is over: committed, with `lock` held by vv_live_enter. Takes it off the list; its memory is the caller's
 * again. */
void vv_live_committed(struct vv_live *live, uint64_t mutations, uint64_t bytes);
/* The same for what is not committed, in whatever state it is, without the lock. */
void vv_live_abort(struct vv_live *live);

/* The timer: aborts what is overdue, and returns when to look again. */
uint64_t vv_live_expire(struct varve_txns *txns);

#endif
