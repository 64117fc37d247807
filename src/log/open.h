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

/* Makes the ring, whose first record gets next_lsn. Errors: NOMEM. */
int vv_open_slots(struct varve_log *log, uint64_t next_lsn, struct varve_error *ret_error);
/* Time goes on where the log's last record was, if the system's clock is behind that. */
void vv_open_clock(struct varve_log *log, uint64_t last_us);
/* Starts the threads, and waits until a first record has room. */
int vv_open_running(struct varve_log *log, struct varve_error *ret_error);

/* Stops the threads and frees everything, however far opening came. */
void vv_close_free(struct varve_log *log);

/*
 * Makes durable what a file holds from `offset` to `end`, or to its own end, and nothing vouches for. A sync
 * alone would not do: if one failed in the life before, the system may count pages as clean that never
 * reached the disk, and would now say that all is well. So the same bytes are written again, by an ordinary
 * write, and then synced. Negative errno on failure.
 */
int vv_open_write_again(struct varve_io *io, struct varve_dir *dir, const char *name, uint64_t offset,
                        uint64_t end);

#endif
