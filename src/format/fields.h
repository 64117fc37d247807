/* SPDX-License-Identifier: Apache-2.0 */
/* What the formats share: file names with a number, a first look at a header, and one into a payload. */
#ifndef VV_FORMAT_FIELDS_H
#define VV_FORMAT_FIELDS_H

#include <stdbool.h>

#include "varve/format.h"

/* Writes `before`, the number in decimal with at least `digits` digits, `after`. */
void vv_name_put(char *out, const char *before, unsigned digits, uint64_t number, const char *after);

/* 1 and *ret_number when `name` is that: at least `digits` digits, no zero before more digits than these, a
 * number from 1 to UINT64_MAX - 2. */
bool vv_name_get(const char *name, const char *before, unsigned digits, const char *after,
                 uint64_t *ret_number);

/* The largest segment that may be asked for, where a format does not say. */
#define VV_SEGMENT_LIMIT (UINT64_C(1) << 40)

/* SOUND when the header is all there and begins with the magic; else UNMADE or BAD, and *ret_reason. */
enum varve_header_state vv_header_look(const uint8_t *bytes, size_t have, size_t header_bytes,
                                       const uint8_t *magic, size_t magic_bytes, const char **ret_reason);

/* The first byte of a record's payload, wherever it lies; 0 when there is none. */
uint8_t vv_payload_first(const struct varve_record *record);

#endif
