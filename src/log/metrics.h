/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stages note for an operator, beside the counters of log.h. Leaders write here, once a frame, each
 * on the lines of its slot's shard; appenders do only when a call of theirs fails.
 */
#ifndef VV_LOG_METRICS_H
#define VV_LOG_METRICS_H

#include "base/metrics.h"
#include "log/log.h"

#define VV_METRICS_SHARDS 4u
#define VV_METRICS_CODES  40u

struct vv_metrics {
    struct vv_metrics_shard {
        struct vv_histogram flush_us;  /* a durable write, or a sync */
        struct vv_histogram commit_us; /* from the first record of a frame to its being durable */
        struct vv_histogram records;   /* of a frame */
        struct vv_histogram transaction_us;
    } shards[VV_METRICS_SHARDS];
    _Alignas(64) _Atomic uint64_t errors[VV_METRICS_CODES]; /* by -code, of appends */
};

#ifdef VARVE_NO_METRICS
static inline void vv_metrics_flush(struct varve_log *log, const struct vv_slot *slot, uint64_t took_us)
{
    (void)log;
    (void)slot;
    (void)took_us;
}
static inline void vv_metrics_frame(struct varve_log *log, struct vv_slot *slot, uint64_t now_us)
{
    (void)log;
    (void)slot;
    (void)now_us;
}
#else
/* A durable write, or a sync, has succeeded, for this slot (the last of several). */
void vv_metrics_flush(struct varve_log *log, const struct vv_slot *slot, uint64_t took_us);
/* The slot's frame is durable, and is not published yet. `now_us`: monotonic. */
void vv_metrics_frame(struct varve_log *log, struct vv_slot *slot, uint64_t now_us);
#endif

/* An append has failed. */
void vv_metrics_error(struct varve_log *log, int code);

/* The struct of a log; NULL where there is no memory. */
struct vv_metrics *vv_metrics_new(void);

#endif
