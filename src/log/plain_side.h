/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VARVE in its directory: what the library knows of a log in a format that numbers no records
 * (format/side.h). Without it the log's first record has LSN 1. A writer replaces it
 *   - before trim removes a file: `first` and `first_lsn` of what stays;
 *   - at a rotation, before the new file takes a record: the closed file is the anchor, the next LSN its own.
 */
#ifndef VV_LOG_PLAIN_SIDE_H
#define VV_LOG_PLAIN_SIDE_H

#include "format/side.h"
#include "varve/io.h"

#define VV_PLAIN_SIDE_NAME "VARVE"
#define VV_PLAIN_SIDE_TEMP "VARVE.tmp"

/* Errors: NOT_FOUND CORRUPT VERSION IO NOT_REGULAR. */
int vv_plain_side_read(struct varve_io *io, struct varve_dir *dir, struct vv_side *ret_side,
                       struct varve_error *ret_error);

/* Writes a new file, syncs it, renames it over the old one, syncs the directory. On failure the old one
 * stands, or the new one does and may not be durable. Errors: IO NOSPC. */
int vv_plain_side_write(struct varve_io *io, struct varve_dir *dir, const struct vv_side *side,
                        struct varve_error *ret_error);

#endif
