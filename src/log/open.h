/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of opening and closing. */
#ifndef VV_LOG_OPEN_H
#define VV_LOG_OPEN_H

#include "log/log.h"
#include "log/recover.h"

/* Tidies the directory, and takes over the segment to go on in and those that are ready. Errors: IO NOMEM. */
int vv_open_segments(struct varve_log *log, const struct vv_chain *chain,
                     const struct vv_recovered *recovered, struct varve_error *ret_error);

/* Read-only: sets the durable LSN to what can be read now. Damage is not an error here. Errors: IO NOMEM. */
int vv_open_look(struct varve_log *log, struct vv_chain *chain, struct varve_error *ret_error);

/* Stops the threads and frees everything, however far opening came. */
void vv_close_free(struct varve_log *log);

#endif
