/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second reader for a long recovery: it takes the later half of a chain while the walk takes the first, and
 * notes which frames are sound and where nothing but zeros follows. The walk looks at every header itself,
 * and need not sum those bodies again; what is not sound, or cannot be read, it meets itself and judges.
 *
 * Only for a chain that nobody writes to meanwhile.
 */
#ifndef VV_LOG_AHEAD_H
#define VV_LOG_AHEAD_H

#include "log/chain.h"

/* Below this a thread costs more than it saves. */
#define VV_AHEAD_BYTES_MIN (UINT64_C(32) << 20)

struct vv_ahead;

/* Begins in the middle of the links from `first` on. NULL where they hold less than `bytes_min`, or there is
 * no memory or thread: then the walk does without. To be freed before the chain. */
struct vv_ahead *vv_ahead_start(const struct vv_chain *chain, size_t first, uint64_t bytes_min);

/* Ends it, wherever it is. */
void vv_ahead_free(struct vv_ahead *ahead);

/* Whether the frame of `bytes` at `offset` of segment `number` was found sound. What is of the later half is
 * waited for. */
bool vv_ahead_sound(struct vv_ahead *ahead, uint64_t number, uint64_t offset, uint64_t bytes);

/* Whether all from `offset` to the end of segment `number` was found to be zero. */
bool vv_ahead_zero(struct vv_ahead *ahead, uint64_t number, uint64_t offset);

/* How many bytes it has read since it was asked last. */
uint64_t vv_ahead_bytes_read(struct vv_ahead *ahead);

#endif
