/* SPDX-License-Identifier: Apache-2.0 */
/* The one writer's lock, and what keeps a forked child from being a second one. */
#ifndef VV_LOG_LOCK_H
#define VV_LOG_LOCK_H

#include "log/log.h"

#define VV_LOCK_NAME "LOCK"

/* Takes the lock and writes the process's number into the file. Errors: LOCKED (the message names the holder)
 * IO NOT_REGULAR. */
int vv_lock_take(struct varve_io *io, struct varve_dir *dir, struct varve_file **ret_file,
                 struct varve_error *ret_error);

/* Whether somebody holds it; *ret_pid (may be NULL) is who, -1 if that is not known. Changes nothing. Errors:
 * IO NOT_REGULAR: a reader that does not know whether there is a writer does not know where to stop. */
int vv_lock_held(struct varve_io *io, struct varve_dir *dir, bool *ret_held, int64_t *ret_pid,
                 struct varve_error *ret_error);

/* Takes the log's lock. From then on, and at no moment between, a fork leaves the child with a log that
 * refuses everything, and without the lock. Errors: as vv_lock_take, NOMEM. */
int vv_lock_enter(struct varve_log *log, struct varve_error *ret_error);
/* Gives it back, if the log has it. */
void vv_lock_leave(struct varve_log *log);

#endif
