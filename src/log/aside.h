/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of lost/ and the records in them. */
#ifndef VV_LOG_ASIDE_H
#define VV_LOG_ASIDE_H

#include "log/lost.h"
#include "varve/cursor.h"
#include "varve/keys.h"
#include "varve/lost.h"

/* Whether lost/ can be changed by this handle. Errors: UNSUPPORTED FORKED READONLY and what made it that. */
int vv_aside_check(struct varve_log *log, struct varve_error *ret_error);

/* Finds the line of entry `id`; *ret_last_id (may be NULL) is the highest that there is. Errors: INVALID
 * (there is none) IO. */
int vv_aside_find(struct varve_io *io, struct varve_dir *sub, uint64_t id, struct vv_lost_line *ret_line,
                  uint64_t *ret_last_id, struct varve_error *ret_error);

/* Gives the sound records of an entry to `fn`. `dir` is the log's directory, `sub` its lost/. Errors: those
 * of varve_lost_read. */
int vv_aside_records(struct varve_io *io, struct varve_dir *dir, struct varve_dir *sub,
                     struct varve_keys *keys, const struct vv_lost_line *line, varve_lost_record_fn fn,
                     void *arg, struct varve_error *ret_error);

#endif
