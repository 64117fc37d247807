/* SPDX-License-Identifier: Apache-2.0 */
/* What it means that a log does not go on at a place; the table is in docs/RECOVERY.md. */
#ifndef VV_LOG_VERDICT_H
#define VV_LOG_VERDICT_H

#include "log/walk.h"

/* Where reading can go on behind a damage. */
struct vv_resume {
    bool in_segment; /* at `offset` of the segment that is open; else in the next one */
    uint64_t offset;
    bool unsure; /* unless the next segment, though it has no header, turns out to have been in use */
};

/* Each fills walk->damage. */

/* The scan stands at `frame`, which is not the one that must come. Errors: IO. */
int vv_verdict_break(struct vv_walk *walk, const struct vv_scan_frame *frame, enum vv_scan_status status,
                     struct vv_resume *ret_resume, struct varve_error *ret_error);

/* The segment `link` starts past the LSN that must come. */
void vv_verdict_gap(struct vv_walk *walk, const struct vv_link *link);

/* The last segments have no sound header: *ret_headless when one of them must have had one. Closes the scan,
 * or leaves it as it is. Errors: IO NOT_REGULAR. */
int vv_verdict_headless(struct vv_walk *walk, const struct vv_link *link, bool *ret_headless,
                        struct varve_error *ret_error);

/* There is no segment left. */
void vv_verdict_chain_end(struct vv_walk *walk);

#endif
