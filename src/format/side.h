/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VARVE, the file of facts that the library keeps beside a log in a format that numbers no records: which LSN
 * a file begins with. Text, a fact a line, the last one a checksum. Pure; log/plain_side.c reads and writes
 * it.
 *
 * Two statements, so that one still holds when the other's file is gone:
 *   - `first` is the log's lowest file, those below it are trimmed; its first record is `first_lsn`;
 *   - the first record of whatever file comes behind file `anchor` is `anchor_lsn`.
 */
#ifndef VV_FORMAT_SIDE_H
#define VV_FORMAT_SIDE_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"

#define VV_SIDE_BYTES_MAX  512u
#define VV_SIDE_NAME_BYTES 32u /* of a format's name, with its NUL */

struct vv_side {
    char format[VV_SIDE_NAME_BYTES];
    uint64_t first; /* may be VARVE_FORMAT_ACTIVE */
    uint64_t first_lsn;
    uint64_t anchor;
    uint64_t anchor_lsn; /* 0 = there is no anchor */
};

/* Writes it to `out`, VV_SIDE_BYTES_MAX, and returns its length. */
size_t vv_side_encode(const struct vv_side *side, char *out);

/* Errors: CORRUPT VERSION (sound, and with lines that are not known). */
int vv_side_decode(const char *text, size_t len, struct vv_side *ret_side, struct varve_error *ret_error);

#endif
