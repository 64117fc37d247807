/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs in formats of others. What is different from the native format is in the files plain_*.c; the rest of
 * the log asks `log->plain` where the two part, and nowhere else.
 */
#ifndef VV_LOG_PLAIN_H
#define VV_LOG_PLAIN_H

#include "log/log.h"
#include "log/plain_walk.h"

struct vv_plain_writer;

struct vv_plain {
    const struct varve_format *format;
    struct vv_plain_writer *writer; /* plain_write.h; NULL: open read-only */
    struct vv_plain_files files;    /* read-only: [const after open] */
};

/* The format of that name; NULL in *ret_format for no name. Errors: INVALID (the message lists the names). */
int vv_plain_named(const char *asked, const struct varve_format **ret_format, struct varve_error *ret_error);

/*
 * In which format the log in `dir` is: *ret_format, NULL = the native one, which it also is where nothing
 * tells. Asked are, in this order: MANIFEST of a native log; VARVE; the bytes of files whose names fit; names
 * alone. `asked`: NULL, or the format that it must be in. Errors: INVALID (no such format) FORMAT (it is in
 * another one) IO NOMEM NOT_REGULAR.
 */
int vv_plain_find(struct varve_io *io, struct varve_dir *dir, const char *asked,
                  const struct varve_format **ret_format, struct varve_error *ret_error);

/* For what only native logs can do: UNSUPPORTED, naming the format, where the directory holds a log in one of
 * others; `what` is what cannot be done, `instead` what to do. Errors: those of vv_plain_find. */
int vv_plain_refuse(struct varve_io *io, struct varve_dir *dir, const char *what, const char *instead,
                    struct varve_error *ret_error);

/* The same for one file, by its bytes before its name. */
int vv_plain_find_file(struct varve_io *io, struct varve_dir *dir, const char *name, const char *asked,
                       const struct varve_format **ret_format, struct varve_error *ret_error);

/*
 * Opens what log->plain and log->dir are. Errors: those of varve_open.
 */
int vv_plain_open(struct varve_log *log, const struct varve_format *format, struct varve_error *ret_error);
/* Frees log->plain. NULL is allowed there. */
void vv_plain_free(struct varve_log *log);

/*
 * Walks to the log's end, under log->asked.policy, and fills log->recovery. `walk` is initialised over
 * log->plain->files; on success walk->end and walk->next_lsn say where writing goes on, and what it must
 * remove first. Open for writing, damage that is passed over is set aside in lost/. *ret_last_us: the time of
 * the last record. Errors: those of varve_open that concern the log's content.
 */
int vv_plain_recover(struct varve_log *log, struct vv_plain_walk *walk, uint64_t *ret_last_us,
                     struct varve_error *ret_error);

/* -- plain_cursor.c: what varve/cursor.h says, of these logs -- */
struct vv_plain_cursor;

int vv_plain_cursor_open(struct varve_log *log, enum varve_policy policy, struct vv_plain_cursor **ret_cursor,
                         struct varve_error *ret_error);
void vv_plain_cursor_close(struct vv_plain_cursor *cursor);
int vv_plain_cursor_seek_lsn(struct vv_plain_cursor *cursor, uint64_t lsn);
int vv_plain_cursor_seek_time(struct vv_plain_cursor *cursor, uint64_t time_us);
int vv_plain_cursor_next(struct vv_plain_cursor *cursor, struct varve_entry *ret_entry);
/* The LSN that it waits for at the end. */
uint64_t vv_plain_cursor_expected(const struct vv_plain_cursor *cursor);
const struct varve_error *vv_plain_cursor_error(const struct vv_plain_cursor *cursor);
enum varve_verdict vv_plain_cursor_verdict(const struct vv_plain_cursor *cursor);
uint64_t vv_plain_cursor_lost(const struct vv_plain_cursor *cursor);

#endif
