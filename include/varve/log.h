/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: open, append, wait, trim, close.
 *
 * A record is a payload of 0 to record_max bytes with a type (0 to 255, the caller's own) and, if wanted, a
 * transaction block. Its LSN (log sequence number) starts at 1, has no gaps and is never used again. The
 * durable LSN says up to where a power failure takes nothing.
 *
 * Threads: every function here may be called from any thread at once, except varve_close, after which (and
 * during which) no other call may be made with that log. A log that was open during fork() must not be used
 * in the child: every call there fails with VARVE_E_FORKED, and varve_close frees it without touching a file.
 */
#ifndef VARVE_LOG_H
#define VARVE_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/options.h"

#ifdef __cplusplus
extern "C" {
#endif

struct varve_log;

/* How a log ended, or what stands at a place in it. docs/RECOVERY.md says what each one means. */
enum varve_verdict {
    VARVE_VERDICT_CLEAN_END = 0,
    VARVE_VERDICT_TORN = 1,
    VARVE_VERDICT_CORRUPT = 2,
    VARVE_VERDICT_HOLE = 3,
    VARVE_VERDICT_MISSING_SEGMENT = 4,
    VARVE_VERDICT_FOREIGN = 5,
};

/* "clean end", "torn", "corrupt", "hole", "missing segment", "foreign". Static. */
VARVE_API const char *varve_verdict_name(enum varve_verdict verdict);

/* What opening found. Counts are of what was read: with VARVE_CHECK_TAIL, or read-only, less than what is
 * there. */
struct varve_recovery {
    uint64_t segments;
    uint64_t frames;
    uint64_t marks; /* frames without records, not in `frames` */
    uint64_t records;
    uint64_t bytes; /* bytes of segments that were read */
    uint64_t first_lsn;
    uint64_t last_lsn;          /* 0 = no record */
    enum varve_verdict verdict; /* the worst that was found */
    uint64_t segment;           /* where: segment number, byte offset; 0 with a clean end */
    uint64_t offset;
    uint64_t lost_records; /* policy skip: LSNs that are gone */
    uint64_t lost_first;   /* the first and the last of them, not necessarily all between */
    uint64_t lost_last;
    uint64_t duration_us;
};

/*
 * Opens the log in directory `path`, and creates it (the directory too, not its parents) if there is none.
 * `options`: NULL = all defaults; read during the call only, but for what it points to. On success *ret_log
 * is the log, to be freed by varve_close. On failure *ret_log is untouched and *ret_error (may be NULL) says
 * why. Logs in the formats of others (varve/format.h) are told by their bytes, and opened read-only. Errors:
 * INVALID NOMEM IO NOSPC LOCKED CORRUPT TORN HOLE MISSING_SEGMENT FOREIGN VERSION NOT_FOUND EXISTS CODEC
 * NOT_REGULAR FORMAT LIMIT INCOMPLETE UNSUPPORTED (`direct` where the file system cannot; writing in such a
 * format).
 */
VARVE_API VARVE_MUST_CHECK int varve_open(const char *path, const struct varve_options *options,
                                          struct varve_log **ret_log, struct varve_error *ret_error);

/*
 * Makes everything durable (not in `memory` mode), notes the clean end, frees the log, also when it fails.
 * Returns the log's first error if it had one: then what was not acknowledged may be missing. NULL is
 * allowed. Errors: SYNC IO READONLY FORKED.
 */
VARVE_API int varve_close(struct varve_log *log, struct varve_error *ret_error);

/* Number of bytes of the transaction's origin. */
#define VARVE_ORIGIN_BYTES 16

enum varve_record_flags {
    VARVE_RECORD_TXN = 1 << 0,  /* the record carries txn_id and origin */
    VARVE_RECORD_TIME = 1 << 1, /* appending: `time` is the record's; without it the clock's is */
};

/* What is appended. Zero what is not used. The payload is iov_count pieces laid end to end, or, with
 * iov_count = 0, `data_bytes` bytes at `data`. Everything stays the caller's; it is read during the call
 * only. */
struct varve_record {
    const void *data;
    size_t data_bytes;
    const struct iovec *iov;
    int iov_count;
    uint8_t type;
    uint8_t flags; /* enum varve_record_flags */
    uint64_t txn_id;
    uint8_t origin[VARVE_ORIGIN_BYTES];
    uint64_t time; /* with VARVE_RECORD_TIME: microseconds since 1970 UTC, 1 or more, in a log that was opened
                      with VARVE_OPEN_TIMES; in a format of others as the format counts (varve/format.h) */
};

/*
 * Appends `bytes` bytes at `data` with type 0 and returns when the log's durability mode is satisfied.
 * *ret_lsn (may be NULL): its LSN. An error leaves nothing of the record in the log, except READONLY and
 * SYNC: then the record was not acknowledged and may or may not be found at the next open. Errors: INVALID
 * TOO_LARGE BACKPRESSURE READONLY SYNC FORKED; NOSPC LOG_FULL LIMIT IO NOMEM: there is no room, and no
 * further segment could be made.
 */
VARVE_API int varve_append(struct varve_log *log, const void *data, size_t bytes, uint64_t *ret_lsn);

/*
 * The same with type, pieces, transaction and time. `durability`: VARVE_DURABILITY_DEFAULT = the log's, or a
 * stronger one for this record (INVALID if it is weaker; UNSUPPORTED in a log in `memory` mode). A time that
 * is given must not be before that of the record before it: INVALID, and nothing is appended. In the formats
 * of others times need not grow; they are stored as they are given, and UNSUPPORTED where there are none.
 */
VARVE_API int varve_append_record(struct varve_log *log, const struct varve_record *record,
                                  enum varve_durability durability, uint64_t *ret_lsn);

/*
 * Appends and returns with the LSN, without waiting for durability, in every mode; whoever needs it waits
 * with varve_wait, a callback or the eventfd. A record larger than a slot is written before the call returns.
 * In `group` and `strict` mode a thread of the log writes what nobody waits for.
 */
VARVE_API int varve_append_async(struct varve_log *log, const struct varve_record *record, uint64_t *ret_lsn);

/*
 * Appends `count` records (1 to 65,536) under consecutive LSNs; *ret_first_lsn is the first one's. With
 * `durability` as above waits for all of them; they share a frame and its fate where they fit into a slot
 * together, else TOO_LARGE, as do times that are given and lie more than 71 minutes apart; in formats of
 * others they share a write, of which a power failure can leave the first records, and aero takes one record
 * only (UNSUPPORTED). `wait` = 0: returns as varve_append_async does.
 */
VARVE_API int varve_append_batch(struct varve_log *log, const struct varve_record *records, size_t count,
                                 enum varve_durability durability, int wait, uint64_t *ret_first_lsn);

#define VARVE_WAIT_FOREVER (-1)

/*
 * Waits until `lsn` is durable, for `timeout_ms` milliseconds (0 = only asks, VARVE_WAIT_FOREVER). In
 * `buffered` and `interval` mode this asks for a sync first. An LSN that is not given yet is waited for too.
 * Errors: TIMEOUT READONLY SYNC FORKED UNSUPPORTED (`memory`, or a log open read-only).
 */
VARVE_API int varve_wait(struct varve_log *log, uint64_t lsn, int timeout_ms);

/* Makes everything durable that was appended before the call. Errors: as varve_wait. */
VARVE_API int varve_sync(struct varve_log *log);

/*
 * Positions. durable: every record up to it survives power loss. last: the highest LSN given out. first: the
 * lowest that is still there (last + 1 in an empty log). Each only grows. A log open read-only answers with
 * what it last read.
 */
VARVE_API uint64_t varve_durable_lsn(struct varve_log *log);
VARVE_API uint64_t varve_last_lsn(struct varve_log *log);
VARVE_API uint64_t varve_first_lsn(struct varve_log *log);

/* Called after the durable LSN has moved, with its new value, from whichever thread moved it; calls may
 * overlap and come out of order (take the largest). Must be short and must not call a function that waits. */
typedef void (*varve_durable_fn)(void *arg, uint64_t durable_lsn);

/* Sets the one callback of the log; NULL takes it away: after that returns it is not called any more. */
VARVE_API int varve_on_durable(struct varve_log *log, varve_durable_fn fn, void *arg);

/*
 * An eventfd that becomes readable whenever the durable LSN has moved (or the log has failed): read its 8
 * bytes, then ask varve_durable_lsn. Owned by the log, closed by varve_close; the same one at each call.
 * Errors: IO NOMEM UNSUPPORTED (read-only).
 */
VARVE_API int varve_eventfd(struct varve_log *log, int *ret_fd);

/*
 * Removes whole segments of which every record is below `lsn`. Never the active one, never what is not
 * durable, never what a pin holds (pin.h). They become spares, up to spare_segments. *ret_first_lsn (may be
 * NULL): the first LSN that is left. Errors: IO NOSPC NOMEM READONLY FORKED INVALID (beyond last + 1)
 * UNSUPPORTED (aero, which has one file; `memory`).
 */
VARVE_API int varve_trim(struct varve_log *log, uint64_t lsn, uint64_t *ret_first_lsn);

/* What opening found. Always succeeds. */
VARVE_API void varve_recovery_stats(struct varve_log *log, struct varve_recovery *ret_recovery);

/* The first error that made the log read-only: its code, 0 if there is none. *ret_error may be NULL. */
VARVE_API int varve_error_first(struct varve_log *log, struct varve_error *ret_error);

/*
 * Why appends are refused at the moment for want of a segment to go on in (NOSPC, LOG_FULL, LIMIT, IO), and
 * *ret_error (may be NULL) with what is free and what is needed; 0 where they are not. It ends by itself.
 */
VARVE_API int varve_error_space(struct varve_log *log, struct varve_error *ret_error);

/* What the log did since it was opened. Counts only grow. */
struct varve_stats {
    size_t size; /* set by the caller to sizeof(struct varve_stats); no more than that is filled */
    uint64_t first_lsn;
    uint64_t reserved_lsn; /* the five positions: reserved >= encoded >= written >= durable >= acked */
    uint64_t encoded_lsn;
    uint64_t written_lsn;
    uint64_t durable_lsn;
    uint64_t acked_lsn;
    uint64_t frames;
    uint64_t marks;
    uint64_t records;       /* in frames that were written */
    uint64_t payload_bytes; /* bytes of records with their headers, in frames that were written */
    uint64_t written_bytes; /* bytes written to segments: frames with headers and padding */
    uint64_t writes;        /* write calls on segments */
    uint64_t syncs;         /* durable writes and sync calls on segments */
    uint64_t retries;       /* writes that were tried again */
    uint64_t moves;         /* times that unacknowledged frames moved to a fresh segment */
    uint64_t backpressure;  /* appends that met a full ring */
    uint64_t segments_opened;
    uint64_t segments_trimmed;
    uint64_t spares_used;
    uint64_t slot_bytes; /* settings in force */
    uint64_t slot_count;
    uint64_t segment_bytes;
    uint64_t sector_bytes;
    uint64_t writes_in_flight;
    uint64_t backend; /* enum varve_backend, as chosen */
    uint64_t durability;
    uint64_t record_max;
};

VARVE_API int varve_stats_get(struct varve_log *log, struct varve_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
