/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a whole log in a format of others: from record to record, from file to file, with a verdict on
 * every place that is not as it should be. Recovery, cursors, verify, stat and dump all read through this.
 *
 *     vv_plain_walk_init(&walk, &files, policy);
 *     while ((rc = vv_plain_walk_next(&walk, &record, &error)) == 0) ...
 *     vv_plain_walk_free(&walk);
 *
 * Where VARVE_END was returned, `end` says where writing goes on, and what is to be removed there first.
 */
#ifndef VV_LOG_PLAIN_WALK_H
#define VV_LOG_PLAIN_WALK_H

#include "log/lost.h"
#include "log/plain_read.h"
#include "log/walk.h"

struct vv_plain_record {
    struct varve_format_entry entry;
    const uint8_t *data; /* the payload, valid until the walk goes on */
    uint64_t lsn;
    uint64_t number; /* of the file; */
    uint64_t offset; /* in it */
};

/* Where the log ends. */
struct vv_plain_end {
    uint64_t number; /* of the last file; 0 with `none` */
    bool none;       /* there is no file, or none that was made */
    uint64_t offset; /* behind its last good record: here the next one comes, in this file or another */
    uint64_t bytes;  /* of the file */
    uint64_t torn;   /* so many bytes from `offset` on are a torn tail: to be removed before anything is
                        appended, as format->removal says (CUT: the file to `offset`; ZERO: these bytes) */
};

struct vv_plain_walk {
    struct vv_plain_files *files;
    enum varve_policy policy; /* never DEFAULT */
    bool survey;              /* set by who walks: also goes on behind damage that the policy does not pass */
    bool live;            /* set by who walks: a writer of this library is at work. What does not decode at
                             the end of the last file may be a write under way: it is the end for now */
    uint64_t durable_lsn; /* `live`, set by who walks and knows it: up to this one no write is under way */
    const struct vv_lost *accepted; /* losses that are passed over under every policy; NULL = none */
    vv_damage_fn damaged;           /* called at each damage that is passed over; may be NULL */
    void *damaged_arg;

    struct vv_plain_reader reader;
    bool begun;          /* a file was chosen: */
    uint64_t number;     /* the one that is open, or was read last */
    uint64_t offset;     /* in it, of the next record */
    uint64_t next_lsn;   /* 0 = not known yet */
    bool jumped;         /* the next file was chosen for its LSN */
    bool again;          /* a place was read a second time: it may have been a write under way */
    bool judged;         /* `survey`: the last file's first damage was judged */
    bool told;           /* a damage was passed over since the last record */
    bool tail_told;      /* that the newest file is missing */
    uint64_t stop_after; /* records of files above this number are not read; UINT64_MAX = all are */

    uint64_t first_lsn; /* of the log; 0 = not known yet */
    uint64_t records, segments, lost, damages;
    uint64_t covered;        /* records that were passed over because a snapshot holds them */
    struct vv_damage damage; /* what the walk stopped at; verdict CLEAN_END = nothing */
    struct vv_plain_end end; /* after VARVE_END */
};

/* Stands before the log's first record. `policy`: DEFAULT = the format's own. */
void vv_plain_walk_init(struct vv_plain_walk *walk, struct vv_plain_files *files, enum varve_policy policy);
void vv_plain_walk_free(struct vv_plain_walk *walk);

/* The policy in force for what a caller asked of a log in that format. */
enum varve_policy vv_plain_policy(const struct varve_format *format, enum varve_policy asked);

/* Goes back to the log's first record, or to that of the last file known to begin at or before `lsn`. */
void vv_plain_walk_seek(struct vv_plain_walk *walk, uint64_t lsn);

/*
 * The next record: 0 and *ret_record; VARVE_END at the end: then walk->damage says what stands there (clean
 * end or torn). It stays there, and may be called again after vv_plain_walk_refresh. Errors: CORRUPT
 * MISSING_SEGMENT TORN (policy halt) VERSION IO NOMEM TRIMMED; walk->damage has the place.
 */
int vv_plain_walk_next(struct vv_plain_walk *walk, struct vv_plain_record *ret_record,
                       struct varve_error *ret_error);

/* Looks at the directory and at the open file again. Errors: IO NOMEM NOT_REGULAR. */
int vv_plain_walk_refresh(struct vv_plain_walk *walk, struct varve_error *ret_error);

#endif
