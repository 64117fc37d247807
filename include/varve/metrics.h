/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator watches: counters, gauges and histograms of an open log, as text in the exposition format
 * of Prometheus. docs/OPERATIONS.md lists them.
 *
 * Appenders touch no memory for them that others write; a leader adds a few numbers for each frame. A library
 * built without them (VARVE_METRICS=OFF) answers UNSUPPORTED. Threads: any at once.
 */
#ifndef VARVE_METRICS_H
#define VARVE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Room that the text never needs more than, with labels of up to 200 bytes. */
#define VARVE_METRICS_BYTES 131072

/*
 * Writes all metrics of the log to `text` and a NUL behind them; *ret_bytes (may be NULL) is their length.
 * `labels`: goes into every sample as it is, `log="orders"` for example, up to 200 bytes; NULL or "" = none.
 * Counters count from opening. Takes no lock that an append waits for. Errors: INVALID (labels) TOO_LARGE
 * (`room`) FORKED UNSUPPORTED NOMEM. Source: the text format of prometheus.io, version 0.0.4.
 */
VARVE_API int varve_metrics_text(struct varve_log *log, const char *labels, char *text, size_t room,
                                 size_t *ret_bytes);

/* Notes that one of the caller's transactions took so long, in transaction_duration_seconds. */
VARVE_API void varve_metrics_transaction(struct varve_log *log, uint64_t duration_us);

/* What a process exports with the option metrics_file. */
struct varve_metrics_export {
    size_t size;         /* set by the caller to sizeof(struct varve_metrics_export) */
    int64_t pid;         /* of the process */
    uint64_t updated_us; /* when, microseconds since 1970 UTC */
    int closed;          /* the log was closed: this is the last there is */
    size_t text_bytes;
};

/*
 * Reads the metrics that another process exports to the file `path`, without disturbing it: `text` as
 * varve_metrics_text writes it. Errors: INVALID NOT_FOUND NOT_REGULAR FORMAT (no such file of ours, or never
 * complete) TOO_LARGE IO.
 */
VARVE_API int varve_metrics_read(const char *path, char *text, size_t room,
                                 struct varve_metrics_export *ret_export, struct varve_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
