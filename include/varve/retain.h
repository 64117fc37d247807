/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention: which old segments go. The same rules can stand in the options (keep_segments, keep_bytes,
 * keep_ms): then they are applied by the log's own thread whenever a segment was started.
 *
 * Whatever the rules say, these stay: what a pin holds, what is not durable, the last segment.
 */
#ifndef VARVE_RETAIN_H
#define VARVE_RETAIN_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"
#include "varve/pin.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rules; 0 = no such rule. A segment goes when every rule that is there lets it go; without any, none goes.
 */
struct varve_retain_rules {
    size_t size;            /* sizeof(struct varve_retain_rules) */
    uint64_t keep_segments; /* at least so many segments stay, the last one counted */
    uint64_t keep_bytes;    /* at least so many bytes of segments stay, if there are as many */
    uint64_t keep_ms;       /* records that are younger stay */
    uint64_t before_lsn;    /* records at or past it stay */
};

/* What goes, or went. */
struct varve_retain_plan {
    size_t size; /* set by the caller to sizeof(struct varve_retain_plan) */
    uint64_t segments, bytes, records;
    uint64_t first_lsn; /* the first record that stays */
    /* What the rules let go and a pin holds; 0 and empty where none does. */
    uint64_t held_segments, held_bytes;
    uint64_t held_lsn;
    char held_by[VARVE_PIN_TEXT_BYTES]; /* the lowest pin */
};

/*
 * Applies `rules` (NULL: those of the log's options) now, after dropping pins that are over their limits.
 * With `dry_run` only says what would go, and drops no pin; that works on a log open read-only too, beside a
 * writer in another process. Removed segments become spares, up to spare_segments. *ret_plan may be NULL.
 *
 * Any thread. Errors: INVALID (the rules; before_lsn beyond last + 1) NOMEM IO NOSPC READONLY FORKED
 * UNSUPPORTED (`memory` mode; open read-only and not `dry_run`); with `dry_run` on a log open read-only also
 * CORRUPT VERSION NOT_REGULAR (PINS).
 */
VARVE_API int varve_retain(struct varve_log *log, const struct varve_retain_rules *rules, int dry_run,
                           struct varve_retain_plan *ret_plan, struct varve_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
