/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second directory for a log whose own device fails or hangs. The log goes through a pair of both
 * (io/pair.h) from its opening to its end; this is what decides on which side of it segments are made.
 */
#ifndef VV_LOG_FAILOVER_H
#define VV_LOG_FAILOVER_H

#include "io/pair.h"
#include "log/log.h"

#define VV_FAILOVER_MARK       "FAILOVER"    /* in the second directory: whose it is */
#define VV_FAILOVER_READY      "standby.seg" /* a segment without a number yet */
#define VV_FAILOVER_READY_TEMP "new-" VV_FAILOVER_READY ".tmp"
#define VV_FAILOVER_LEFT       8u

struct vv_failover {
    struct vv_pair *pair;
    bool marked;                     /* [open] the directory says whose it is */
    pthread_mutex_t mutex;           /* held while the side changes; the last but error_mutex to be taken */
    _Atomic uint64_t since_us;       /* when the log went there last, monotonic */
    _Atomic uint64_t next_us;        /* when the log's directory is tried again */
    uint64_t interval_us;            /* [mutex] until the try after that */
    _Atomic uint64_t returned_us;    /* when it came back last; 0 = it never did */
    _Atomic uint32_t stalled;        /* a call hangs in the log's directory */
    _Atomic uint32_t standby;        /* a segment stands there ready to be taken */
    _Atomic uint32_t unready;        /* that could not be made */
    uint64_t standby_us;             /* [preparer] when that is tried again */
    _Atomic uint32_t rotate;         /* the current segment lies there and is to be left */
    uint64_t left[VV_FAILOVER_LEFT]; /* [segments_mutex] prepared in the log's directory, and given up */
    unsigned left_count;             /* [segments_mutex] */
    char path[VV_MANIFEST_PATH_BYTES];
};

/* -- opening -- */

/*
 * Puts a pair in the place of log->io and log->dir where the log has a second directory: by its MANIFEST, or
 * by the options. Before LOCK is taken and anything is read but MANIFEST. Errors: INVALID IO FOREIGN EXISTS
 * NOMEM.
 */
int vv_failover_attach(struct varve_log *log, struct varve_error *ret_error);
/* Takes MANIFEST and PINS home, where the last process left them away. `manifest_rc`: what reading MANIFEST
 * came to; one that is damaged stays where it is, unless the policy passes over it. LOCK is held. Errors: IO
 * NOMEM. */
int vv_failover_settle(struct varve_log *log, int manifest_rc, struct varve_error *ret_error);
/* Says in log->manifest where the second directory is, and there whose it is. Errors: IO FOREIGN. */
int vv_failover_note(struct varve_log *log, struct varve_error *ret_error);
/* What both devices can do: raises *align to what the second one needs where that is possible. */
void vv_failover_device(struct varve_log *log, uint32_t *align);
/* From now on calls are not waited for longer than stall_ms. Errors: NOMEM. */
int vv_failover_start(struct varve_log *log, struct varve_error *ret_error);
/* Waits for calls that hang. */
void vv_failover_end(struct varve_log *log);
/* In a forked child: the threads are the parent's. */
void vv_failover_forked(struct varve_log *log);

/* For those who only read, or have no log open: where MANIFEST names a second directory, *io and *dir become
 * the pair; closing *dir through *io ends it. Errors: IO FOREIGN NOMEM; then both are as they were. */
int vv_failover_follow(struct varve_io **io, struct varve_dir **dir, struct varve_error *ret_error);

/* -- going on -- */

static inline bool vv_failover_away(const struct varve_log *log)
{
    return log->failover && vv_pair_side(log->failover->pair) == VV_AWAY;
}

/* Whether the segment lies in the second directory. */
bool vv_failover_lies_away(struct varve_log *log, uint64_t number);
/* The log goes on in the second directory, for this reason. true: since now; false: there is none, or it did
 * already. Any thread; may hold place_mutex. */
bool vv_failover_switch(struct varve_log *log, const struct varve_error *cause);
/* The same when a segment failed: unless that lies in the second directory itself. */
void vv_failover_moves(struct varve_log *log, const struct varve_error *cause);
/* Whether it is the device that keeps a segment from being made. */
bool vv_failover_blames(const struct varve_error *error);
/* Opens the segment that stands ready; *ret_name (VV_NAME_BYTES): what it is called. -ENOENT: there is none.
 */
int vv_failover_take(struct varve_log *log, char *ret_name, struct varve_file **ret_file);
/* Makes what stands ready, looks whether the log can go home. The preparing thread, now and then. */
void vv_failover_tick(struct varve_log *log);
/* How long that thread may sleep, at most `us`. */
int64_t vv_failover_sleep_us(struct varve_log *log, int64_t us);

#endif
