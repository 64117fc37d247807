/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a log in a format of others. Slots, leaders, waiting and publishing are those of every log; what is
 * different is here: a slot's records go into files as they are, a file ends where the next record does not
 * fit, and what has failed does not move.
 *
 * One thread writes at a time: the leader whose turn it is, or the flusher ([writer] below). log->current is
 * the file that is written.
 */
#ifndef VV_LOG_PLAIN_WRITE_H
#define VV_LOG_PLAIN_WRITE_H

#include "log/plain.h"

/* So much of the free space is given out at once: what others write meanwhile is then soon seen. */
#define VV_PLAIN_LEASE_BYTES (UINT64_C(256) << 20)

struct vv_plain_writer {
    _Atomic uint64_t at;         /* [writer] behind the last whole record of the current file */
    uint8_t uuid[16];            /* [const after open] of files that name their log */
    bool has_meta;               /* [const after open] a meta file is kept up to date */
    _Atomic uint64_t granted;    /* growing files: what room_bytes was when it was looked at last */
    _Atomic uint64_t disk_bytes; /* of all files; a hint for max_log_bytes */

    /* What VARVE and the meta file are to say [segments_mutex]; the preparer writes it. */
    bool facts_due;
    uint64_t anchor, anchor_lsn;   /* 0: nothing was closed since opening */
    size_t going;                  /* files at the beginning that trim is removing */
    struct varve_format_meta meta; /* [facts_mutex] as it is on disk */
    struct vv_side side;           /* [facts_mutex] likewise */
};

static inline bool vv_plain_fixed(const struct varve_log *log)
{
    return log->plain->format->traits & VARVE_FORMAT_FIXED;
}

/* -- plain_start.c -- */
/* Opens log->plain for writing, up to the threads. Errors: those of varve_open. */
int vv_plain_start(struct varve_log *log, struct varve_error *ret_error);
/* What closing writes and removes, when all is durable. */
void vv_plain_finish(struct varve_log *log);

/* -- plain_file.c -- */
/* Makes a file of a fixed size ahead of need: under a temporary name, with its header, durable; it becomes
 * the last of the ready. files_mutex is held. Errors: NOSPC LOG_FULL LIMIT NOMEM IO. */
int vv_plain_make(struct varve_log *log, struct varve_error *ret_error);
/* Removes what is ready, and other temporary files. */
void vv_plain_sweep(struct varve_log *log);
/* Makes the file `number` of a log whose files grow, with its header, durable, and opens it. */
int vv_plain_create(struct varve_log *log, uint64_t number, struct vv_segment **ret_segment,
                    struct varve_error *ret_error);
/* Maps the file, with backend mmap. Negative errno. */
int vv_plain_map(struct varve_log *log, struct vv_segment *segment);
/* Gives a file that was made ahead its name. */
int vv_plain_name(struct varve_log *log, struct vv_segment *segment, uint64_t number,
                  struct varve_error *ret_error);
/* The file becomes the one that is written, from `at` on; the next record has `lsn`. */
void vv_plain_adopt(struct varve_log *log, struct vv_segment *segment, uint64_t at, uint64_t lsn,
                    uint64_t created_us);
/* The current file is full: it becomes durable, and the next one takes the record with `lsn`. */
int vv_plain_rotate(struct varve_log *log, struct vv_slot *slot, uint64_t lsn, struct varve_error *ret_error);
/* "wal_000001.log" */
const char *vv_plain_file_name(const struct varve_log *log, uint64_t number, char *out);

/* -- plain_put.c -- */
/* Writes the slot's records, which are gathered, into one file or several. On failure the log is to be
 * failed: what was written of the record that failed is taken back where that can be. */
int vv_plain_put(struct varve_log *log, struct vv_slot *slot, struct varve_error *ret_error);
/* Growing files: how much may be written before it is looked at again. files_mutex is held. Errors: NOSPC
 * LOG_FULL. */
int vv_plain_lease(struct varve_log *log, struct varve_error *ret_error);
/* Whether that is due. */
bool vv_plain_wants(struct varve_log *log);

/* -- plain_trim.c -- */
/* Writes what VARVE and the meta file are to say, if something new is. */
void vv_plain_tell_facts(struct varve_log *log);
/* Errors: IO NOSPC. */
int vv_plain_write_meta(struct varve_log *log, const struct varve_format_meta *meta,
                        struct varve_error *ret_error);
/* Removes the first `count` files; `next` is the first that stays. files_mutex is held. Errors: IO NOSPC. */
int vv_plain_trim(struct varve_log *log, size_t count, const struct vv_segment_fact *next,
                  struct varve_error *ret_error);

#endif
