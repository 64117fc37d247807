/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading. A cursor gives the records of a log in the order of their LSNs, each one checked against its
 * checksum, never one past the durable LSN. On a log that another process is writing (opened read-only here)
 * it goes as far as what is vouched for as durable. In the formats of others nothing vouches: there all that
 * is sound is given (docs/FORMATS.md).
 *
 * Threads: one thread at a time for a cursor; several cursors of one log at once. Close cursors before the
 * log.
 */
#ifndef VARVE_CURSOR_H
#define VARVE_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"

#ifdef __cplusplus
extern "C" {
#endif

struct varve_cursor;

/* A record as read. `data` and the struct's content are the cursor's, valid until its next call. */
struct varve_entry {
    uint64_t lsn;
    uint64_t time_us; /* microseconds since 1970 UTC, never decreasing with the LSN; in a format of others as
                         it is there, 0 where there is none */
    const void *data;
    size_t data_bytes;
    uint8_t type;
    uint8_t flags; /* enum varve_record_flags */
    uint64_t txn_id;
    uint8_t origin[VARVE_ORIGIN_BYTES];
    uint64_t segment; /* where it lies: segment number, byte offset of its frame, and of itself in the frame's
                         body; in a format of others frame_offset is that of the record */
    uint64_t frame_offset;
    uint64_t record_offset;
    uint64_t time; /* as the format counts, exactly (varve/format.h); in `varve` the same as time_us */
};

/*
 * Opens a cursor. It stands before the first record there is; seek moves it. `policy` says what the cursor
 * does at damage: truncate and halt stop there with an error after the sound prefix (halt at a torn end too),
 * skip goes on behind it and counts what is gone; DEFAULT is what the log's format is used to. To be freed by
 * varve_cursor_close. Errors: INVALID NOMEM IO FORKED VERSION FOREIGN CODEC NOT_REGULAR.
 */
VARVE_API VARVE_MUST_CHECK int varve_cursor_open(struct varve_log *log, enum varve_policy policy,
                                                 struct varve_cursor **ret_cursor,
                                                 struct varve_error *ret_error);

/* NULL is allowed. */
VARVE_API void varve_cursor_close(struct varve_cursor *cursor);

/* The next record will be the one with `lsn`, or the first that there is when `lsn` is 0. An LSN that is not
 * given yet is allowed: next says VARVE_END until it comes. Errors: TRIMMED (it was there and is gone) IO
 * CORRUPT HOLE MISSING_SEGMENT FOREIGN. */
VARVE_API int varve_cursor_seek_lsn(struct varve_cursor *cursor, uint64_t lsn);

/* The next record will be the first whose time is `time_us` or later. Errors: as seek_lsn, UNSUPPORTED (the
 * log's format has no times). */
VARVE_API int varve_cursor_seek_time(struct varve_cursor *cursor, uint64_t time_us);

/*
 * Gives the next record: 0 and *ret_entry, or VARVE_END when there is none now (a later call may find one),
 * or an error, which stays: the cursor gives the same again until it is moved. Errors: CORRUPT TORN HOLE
 * MISSING_SEGMENT FOREIGN TRIMMED IO NOMEM VERSION CODEC FORKED.
 */
VARVE_API int varve_cursor_next(struct varve_cursor *cursor, struct varve_entry *ret_entry);

/* As next, but at the end waits up to `timeout_ms` (VARVE_WAIT_FOREVER) for a record; VARVE_END when none
 * came. */
VARVE_API int varve_cursor_follow(struct varve_cursor *cursor, int timeout_ms, struct varve_entry *ret_entry);

/* What the last failed call was about. Untouched if none failed. */
VARVE_API void varve_cursor_error(const struct varve_cursor *cursor, struct varve_error *ret_error);

/* What stands at the place where the cursor last stopped: the verdict on the end, and with the policy skip
 * how many LSNs were passed over. */
VARVE_API enum varve_verdict varve_cursor_verdict(const struct varve_cursor *cursor);
VARVE_API uint64_t varve_cursor_lost(const struct varve_cursor *cursor);

#ifdef __cplusplus
}
#endif

#endif
