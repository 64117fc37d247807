/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a frame, as it was before the codec. */
#ifndef VV_LOG_DECODE_H
#define VV_LOG_DECODE_H

#include "log/scan.h"

/*
 * The raw body of a frame whose body checks; valid until the next call. CORRUPT: the codec makes nothing of
 * it, or it is not what was sealed; the message says which frame. Errors: IO NOMEM CORRUPT CODEC DICTIONARY
 * KEY_MISSING KEY_WRONG.
 */
int vv_decode_body(struct vv_scan *scan, const struct vv_scan_frame *frame, const uint8_t **ret_body,
                   struct varve_error *ret_error);

/* The same from a frame in memory, of which nothing was checked: `bytes` of it are there. Errors: as above,
 * CORRUPT also for lengths that cannot be. */
int vv_decode_memory(struct vv_scan *scan, const uint8_t *frame, uint64_t bytes, const uint8_t **ret_body,
                     uint64_t *ret_length, struct varve_error *ret_error);

/* Whether an error of decoding says that the bytes cannot be read here, and not that they are damaged: there
 * is no codec, or no key. */
bool vv_decode_is_unreadable(int code);

/* For scan.c: the segment that it has opened; what is to be freed. */
void vv_decode_begin(struct vv_scan *scan, const struct vv_chain *chain, const struct vv_link *link);
void vv_decode_free(struct vv_scan *scan);

#endif
