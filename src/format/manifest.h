/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MANIFEST: a few lines of text with a checksum, so that a person can read it and a program can trust it.
 * Pure. It holds physical facts only; what the segments say of themselves is not repeated here.
 */
#ifndef VV_FORMAT_MANIFEST_H
#define VV_FORMAT_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "varve/codec.h"
#include "varve/error.h"

#define VV_MANIFEST_BYTES_MAX  4096u
#define VV_MANIFEST_PATH_BYTES 1024u /* with its NUL */

struct vv_manifest {
    uint8_t uuid[16];
    uint64_t created_us;
    uint64_t first_segment;                  /* no segment below this number belongs to the log any more */
    uint64_t first_lsn;                      /* the LSN that this segment starts with */
    int clean;                               /* 1: the log was closed, and ends with last_lsn */
    uint64_t last_lsn;                       /* what was durable when this was written; 0 = no record was */
    uint32_t codec;                          /* of frames that are written from now on */
    char codec_name[VARVE_CODEC_NAME_BYTES]; /* for who does not have it; empty with codec 0 */
    uint32_t dictionary;                     /* of the codec; 0 = none */
    int incomplete;                          /* 1: a copy that is being made, and no log yet */
    char failover[VV_MANIFEST_PATH_BYTES];   /* where segments may lie besides; empty = nowhere */
};

/* Writes the text to `out` (VV_MANIFEST_BYTES_MAX) and returns its length. */
size_t vv_manifest_encode(const struct vv_manifest *manifest, char *out);

/* Whether a path can stand in it: from the root, not too long, without characters that would end the line. */
int vv_manifest_path_fits(const char *path);

/* Reads it. Errors: CORRUPT (checksum, or not what encode writes), VERSION (newer, or an unknown line). */
int vv_manifest_decode(const char *text, size_t len, struct vv_manifest *ret_manifest,
                       struct varve_error *ret_error);

#endif
