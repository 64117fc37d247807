/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a log does, at a moment: fine, degraded and for what reasons, or read-only and with what first error;
 * and what it is made of. docs/OPERATIONS.md says exactly when each reason holds.
 */
#ifndef VARVE_HEALTH_H
#define VARVE_HEALTH_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"

#ifdef __cplusplus
extern "C" {
#endif

enum varve_health_state {
    VARVE_HEALTH_OK = 0,
    VARVE_HEALTH_DEGRADED = 1,  /* it works, or waits and will go on by itself, and somebody should look */
    VARVE_HEALTH_READ_ONLY = 2, /* it accepts no writes any more: `first_error` says why */
};

/* X(name, "name", "what holds"): why a log is degraded. Bits of `reasons`, in this order from bit 0 on. */
#define VARVE_HEALTH_TABLE(X)                                                                         \
    X(STALL, "stall", "a write or a sync has been under way for stall_ms")                            \
    X(BREAKER, "breaker", "the breaker is open: the disk is only probed")                             \
    X(SLOW_SYNC, "slow_sync", "a durable write or a sync took slow_sync_ms, within health_recent_ms") \
    X(RETRY, "retry", "a write was tried again, within health_recent_ms")                             \
    X(MOVED, "moved", "a segment failed and frames moved to a fresh one, within health_recent_ms")    \
    X(SPACE_LOW, "space_low", "the segment after the one that is ready could not be made")            \
    X(SPACE_FULL, "space_full", "the next segment cannot be made")                                    \
    X(BACKPRESSURE, "backpressure",                                                                   \
      "an append waits for a slot, or met a full ring within health_recent_ms")                       \
    X(PIN_OVER, "pin_over", "a pin is over its limit and could not be dropped")                       \
    X(THREAD, "thread",                                                                               \
      "a thread of the log has been in one piece of work for stall_ms, and nothing above says why")   \
    X(FAILOVER, "failover", "the log's directory failed or hangs: segments are made in failover_dir") \
    X(FAILOVER_UNREADY, "failover_unready",                                                           \
      "no segment stands ready in failover_dir: the log could not go on there")

enum varve_health_reason {
#define VARVE_HEALTH_ENUM(name, text, meaning) VARVE_HEALTH_BIT_##name,
    VARVE_HEALTH_TABLE(VARVE_HEALTH_ENUM)
#undef VARVE_HEALTH_ENUM
    VARVE_HEALTH_BIT_COUNT, /* not a reason */
#define VARVE_HEALTH_ENUM(name, text, meaning) VARVE_HEALTH_##name = 1 << VARVE_HEALTH_BIT_##name,
    VARVE_HEALTH_TABLE(VARVE_HEALTH_ENUM)
#undef VARVE_HEALTH_ENUM
};

/* What a thread of the log does. */
enum varve_thread_state {
    VARVE_THREAD_NONE = 0,  /* a log in this mode has no such thread */
    VARVE_THREAD_IDLE = 1,  /* sleeps until there is work */
    VARVE_THREAD_BUSY = 2,  /* works */
    VARVE_THREAD_STUCK = 3, /* has been in one piece of work for stall_ms */
};

struct varve_health_report {
    size_t size; /* set by the caller to sizeof(struct varve_health_report) */
    enum varve_health_state state;
    uint32_t reasons;               /* bits of enum varve_health_reason; also in a log that is read-only */
    struct varve_error first_error; /* code 0: none */

    enum varve_thread_state preparer, flusher;
    uint64_t slots, slots_used; /* used: open with records, or on their way to disk */
    uint64_t appends_waiting;   /* for a slot or for space */
    uint64_t last_sync_us;      /* when the last durable write or sync ended, microseconds since 1970 UTC; 0 =
                                   none since opening */
    uint64_t last_sync_took_us; /* and how long it took */
    uint64_t stalled_us;        /* how long what hangs has been under way; 0 = nothing hangs */
    uint64_t stalled_segment, stalled_bytes; /* bytes 0: a sync */
    uint64_t breaker_open_us;   /* since when the breaker is open, in microseconds; 0 = it is closed */
    uint64_t failures_in_a_row; /* of writes */
    uint64_t disk_free_bytes;   /* of the file system, when it was last looked at; 0 = not known yet */
    uint64_t disk_looked_us;    /* how long ago that was */
    uint64_t pins, pins_over;   /* over their limits, and could not be dropped */
};

/*
 * Fills *ret_health. Takes no lock that an append waits for and touches no file, so it answers also while the
 * disk hangs; the preparing thread looks at the disk's space anew when that is older than a second. Any
 * thread, any number of times a second. Errors: INVALID (size) FORKED UNSUPPORTED (open read-only).
 */
VARVE_API int varve_health(struct varve_log *log, struct varve_health_report *ret_health);

/* "ok" "degraded" "read-only". Static. */
VARVE_API const char *varve_health_state_name(enum varve_health_state state);
/* The name and the meaning of reason number 0, 1, 2 ... ; NULL past the last. Static. */
VARVE_API const char *varve_health_reason_name(unsigned bit);
VARVE_API const char *varve_health_reason_meaning(unsigned bit);
/* "none" "idle" "busy" "stuck". Static. */
VARVE_API const char *varve_thread_state_name(enum varve_thread_state state);

#ifdef __cplusplus
}
#endif

#endif
