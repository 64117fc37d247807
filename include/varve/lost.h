/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was set aside: damage that the policy skip passed over, and records that an application could not
 * process. Each is an entry in the log's directory lost/, with the bytes as they stood in the log (encrypted
 * where they were) and a line in its index. An entry can be listed, read, appended again and dropped.
 *
 * Threads: any at once. None of these is in the way of an append.
 */
#ifndef VARVE_LOST_H
#define VARVE_LOST_H

#include <stddef.h>
#include <stdint.h>

#include "varve/cursor.h"
#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"
#include "varve/options.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VARVE_LOST_REASON_BYTES 256 /* with the NUL */
#define VARVE_LOST_FILE_BYTES   64

enum varve_lost_kind {
    VARVE_LOST_DAMAGE = 0,    /* passed over at opening; it stays accepted, whatever becomes of the entry */
    VARVE_LOST_SET_ASIDE = 1, /* a record, by varve_set_aside */
};

enum varve_lost_state {
    VARVE_LOST_PENDING = 0,
    VARVE_LOST_REQUEUING = 1, /* appending it again was cut off: requeue goes on where that was */
    VARVE_LOST_REQUEUED = 2,
    VARVE_LOST_DROPPED = 3, /* its bytes are gone */
};

struct varve_lost_entry {
    uint64_t id; /* names it; never given again while there is an entry with a higher one */
    enum varve_lost_kind kind;
    enum varve_lost_state state;
    uint64_t first_lsn, last_lsn;           /* under which its records stood */
    uint64_t segment, offset;               /* and where */
    enum varve_verdict verdict;             /* of damage */
    uint64_t time_us;                       /* when it was set aside, microseconds since 1970 UTC */
    uint64_t requeued_first, requeued_last; /* the LSNs under which they were appended again */
    int repaired;                           /* of damage: varve_repair has accepted it, and verify does */
    uint64_t bytes;                         /* of its file; 0 = there is none */
    char file[VARVE_LOST_FILE_BYTES];       /* in lost/; "" = there is none */
    char reason[VARVE_LOST_REASON_BYTES];   /* as it was given; may be "" */
};

/*
 * Puts the record `lsn`, which must be durable, among what is set aside, durably, with a `reason` for people:
 * one line of UTF-8, up to 255 bytes, or NULL. The record stays in the log; its frame is copied, with the
 * records that share it. *ret_id (may be NULL) names the entry. Errors: INVALID (the LSN is not given yet, or
 * not durable; the reason) TRIMMED CORRUPT HOLE MISSING_SEGMENT LIMIT (the index is full: drop entries) IO
 * NOSPC NOMEM READONLY FORKED UNSUPPORTED (`memory` mode, or open read-only).
 */
VARVE_API int varve_set_aside(struct varve_log *log, uint64_t lsn, const char *reason, uint64_t *ret_id,
                              struct varve_error *ret_error);

/* Called for each entry; `entry` is valid during the call. A non-zero return ends the walk and is returned.
 */
typedef int (*varve_lost_fn)(void *arg, const struct varve_lost_entry *entry);

/*
 * Gives the entries of the log in directory `path`, in the order in which they were set aside; works beside a
 * writer. `io` may be NULL. *ret_unread (may be NULL): how many lines of the index do not check; what they
 * named is still in lost/. Errors: INVALID IO NOT_FOUND (no such directory) NOT_REGULAR.
 */
VARVE_API int varve_lost_list(const char *path, struct varve_io *io, varve_lost_fn fn, void *arg,
                              uint64_t *ret_unread, struct varve_error *ret_error);

/* Called for each record; `record` is valid during the call. A non-zero return ends the walk and is returned.
 */
typedef int (*varve_lost_record_fn)(void *arg, const struct varve_entry *record);

/*
 * Gives the records of entry `id` that are sound, in the order of their LSNs. Of damage they are looked for
 * in its first 4 MiB, and their times are 0: not known. Of `options` (may be NULL) `io` and `keys` are used.
 * Errors: INVALID (there is no such entry) CORRUPT (the copy is damaged) IO NOMEM NOT_FOUND NOT_REGULAR CODEC
 * DICTIONARY KEY_MISSING KEY_WRONG.
 */
VARVE_API int varve_lost_read(const char *path, const struct varve_options *options, uint64_t id,
                              varve_lost_record_fn fn, void *arg, struct varve_error *ret_error);

enum varve_requeue_flags {
    VARVE_REQUEUE_AGAIN = 1 << 0, /* appends everything, also what may have been appended already */
};

/*
 * Appends the records of entry `id` again, with their types and transactions, at the end of the log, and
 * notes that once they are durable. Where this was cut off before, it looks at what was appended since and
 * goes on: each record is appended once. *ret_first, *ret_last (may be NULL): their LSNs, with others'
 * between where somebody else appended meanwhile. Errors: INVALID (no such entry; it was requeued or dropped)
 * CORRUPT (nothing in it can be read) TRIMMED (cut off before, and the log was trimmed past that: it cannot
 * be told what was appended) and those of varve_lost_read and varve_append.
 */
VARVE_API int varve_lost_requeue(struct varve_log *log, uint64_t id, unsigned flags, uint64_t *ret_first,
                                 uint64_t *ret_last, struct varve_error *ret_error);

/* Drops entry `id`, durably: its bytes are removed. That a damage was accepted stays. Errors: INVALID (no
 * such entry) IO NOSPC NOMEM READONLY FORKED UNSUPPORTED. */
VARVE_API int varve_lost_drop(struct varve_log *log, uint64_t id, struct varve_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
