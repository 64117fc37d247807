/* SPDX-License-Identifier: Apache-2.0 */
/* MANIFEST in its directory: read, and replaced as a whole. */
#ifndef VV_LOG_MANIFEST_H
#define VV_LOG_MANIFEST_H

#include "format/manifest.h"
#include "varve/io.h"

#define VV_MANIFEST_NAME "MANIFEST"
#define VV_MANIFEST_TEMP "MANIFEST.tmp"

/* What it means that MANIFEST cannot be read, for this negative errno: NOT_FOUND, NOT_REGULAR or IO. */
int vv_manifest_unread(int rc, struct varve_error *ret_error);

/* Errors: NOT_FOUND CORRUPT VERSION IO NOT_REGULAR. */
int vv_manifest_read(struct varve_io *io, struct varve_dir *dir, struct vv_manifest *ret_manifest,
                     struct varve_error *ret_error);

/* TRIMMED when MANIFEST says that the log begins behind `lsn`, else 0: one that is damaged does not tell.
 * Errors: IO NOT_REGULAR. */
int vv_manifest_trimmed(struct varve_io *io, struct varve_dir *dir, uint64_t lsn,
                        struct varve_error *ret_error);

/* Writes a new file, syncs it, renames it over the old one, syncs the directory. On failure the old one
 * stands, or the new one does and may not be durable. Errors: IO NOSPC. */
int vv_manifest_write(struct varve_io *io, struct varve_dir *dir, const struct vv_manifest *manifest,
                      struct varve_error *ret_error);

#endif
