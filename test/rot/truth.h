/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of a log after a change, found out without the engine: which headers and frames are as they
 * were, and by those that are, which records somebody vouches for.
 */
#ifndef TEST_ROT_TRUTH_H
#define TEST_ROT_TRUTH_H

#include "format/manifest.h"
#include "rot/change.h"

struct rot_truth {
    bool header_same[ROT_SEGMENTS]; /* the part that carries something */
    bool frame_same[ROT_FRAMES];    /* header and body */
    bool manifest_same;
    bool manifest_valid;         /* also another one */
    struct vv_manifest manifest; /* when it is valid */
    bool names_same;             /* there are files under the same names */
    bool carriers_same;          /* everything that carries something */
    bool rest_same;              /* and what lies behind the frames, and the segment that stands ready */
    /* The highest LSN that something vouches for which is still as it was: MANIFEST, a segment that begins
     * behind it, a frame. */
    uint64_t vouched;
    /* Every record up to here lies before the first thing that is not as it was. */
    uint64_t prefix;
};

void rot_truth_find(const struct rot_case *c, struct rot_truth *ret_truth);

#endif
