/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins: named, durable positions from which somebody still needs the log: a checkpoint, an archive, a backup,
 * a replica, a reader. No record at or past a pin is removed by trimming or retention.
 *
 * A pin only moves forward. It survives restarts and crashes. Only who has the log open for writing can set,
 * move or drop one; another process may read them (open the log read-only) at any time.
 *
 * Threads: any at once. None of these is in the way of an append: what has to be synced here is synced in the
 * caller's thread, in a file of its own.
 */
#ifndef VARVE_PIN_H
#define VARVE_PIN_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VARVE_PIN_TEXT_BYTES 64 /* of a name or an owner, with the NUL */
#define VARVE_PINS_MAX       256

/* One pin. The caller zeroes what it does not use. */
struct varve_pin {
    size_t size;                      /* sizeof(struct varve_pin) */
    char name[VARVE_PIN_TEXT_BYTES];  /* letters, digits and . _ : -, no dash first; it names the pin */
    char owner[VARVE_PIN_TEXT_BYTES]; /* who needs it, for people: printable ASCII, may be empty */
    uint64_t lsn;                     /* the first record that has to stay; in set: 0 = the log's first */
    /* A pin further behind than one of these is dropped, with a warning; 0 = no such limit. */
    uint64_t max_records;
    uint64_t max_bytes;
    uint64_t max_age_ms; /* the age of the record that it stands at */

    /* Filled by list, not read by set. */
    uint64_t since_us, moved_us; /* when it was set first and moved last, microseconds since 1970 UTC */
    uint64_t lag_records;        /* durable records at or past it */
    uint64_t lag_bytes;          /* in segments, from the frame of its record to the log's end */
    uint64_t lag_us;             /* the age of its record; 0 without a lag */
};

enum varve_pin_flags {
    VARVE_PIN_LATER = 1 << 0, /* move: returns at once; on disk within about a second, and before anything is
                                 removed because of it. After a crash it may stand where it stood before */
};

/*
 * Sets a pin, and returns when it is durable. One that exists gets the owner and the limits given here, and
 * moves to `lsn`, or stays where it is with `lsn` 0. Errors: INVALID (the name, the owner, backwards, past
 * the last LSN + 1) TRIMMED (`lsn` is gone) LIMIT (there are VARVE_PINS_MAX) IO NOSPC NOMEM READONLY FORKED
 * UNSUPPORTED (`memory` mode, or open read-only).
 */
VARVE_API int varve_pin_set(struct varve_log *log, const struct varve_pin *pin,
                            struct varve_error *ret_error);

/*
 * Moves a pin forward to `lsn`, at most the last LSN + 1; to where it is already does nothing. Durable when
 * it returns, unless `flags` (enum varve_pin_flags) say otherwise. Errors: NO_PIN INVALID (backwards, past
 * the end, flags) IO NOSPC NOMEM READONLY FORKED UNSUPPORTED.
 */
VARVE_API int varve_pin_move(struct varve_log *log, const char *name, uint64_t lsn, unsigned flags,
                             struct varve_error *ret_error);

/* Drops a pin, durably. Errors: NO_PIN IO NOSPC NOMEM READONLY FORKED UNSUPPORTED. */
VARVE_API int varve_pin_drop(struct varve_log *log, const char *name, struct varve_error *ret_error);

/* Called for each pin; `pin` is valid during the call. A non-zero return ends the walk and is returned. Must
 * not call a function of the same log. */
typedef int (*varve_pin_fn)(void *arg, const struct varve_pin *pin);

/*
 * Gives the pins in the order of their names. Works on a log open read-only too, beside a writer in another
 * process: then as of now, from the files. Errors: NOMEM IO CORRUPT VERSION NOT_REGULAR FORKED UNSUPPORTED.
 */
VARVE_API int varve_pin_list(struct varve_log *log, varve_pin_fn fn, void *arg,
                             struct varve_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
