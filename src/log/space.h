/* SPDX-License-Identifier: Apache-2.0 */
/* Space for the next segment: the cap on the log, and what the file system has left. */
#ifndef VV_LOG_SPACE_H
#define VV_LOG_SPACE_H

#include "log/log.h"

/* Whether max_log_bytes allows another file. files_mutex is held. Errors: LOG_FULL. */
int vv_space_allow(struct varve_log *log, struct varve_error *ret_error);

/* A segment could not be made: `err` (negative errno) as the error of the log, with what is free and what is
 * needed where that is why. */
int vv_space_explain(struct varve_log *log, int err, const char *name, struct varve_error *ret_error);

/* A segment is made and not given out yet: warns, once, if the one behind it could not be made. So the
 * warning comes while a whole segment is left, however fast that is filled. files_mutex is held. */
void vv_space_made(struct varve_log *log);

/* Looks at what the file system has left. Warns once when the segment behind the one that is ready could not
 * be made, and takes it back once it could. By the log's own thread, holding no lock. */
void vv_space_look(struct varve_log *log);

#endif
