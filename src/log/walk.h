/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a whole log: from segment to segment, in the order of LSNs, with a verdict on every place where the
 * order breaks. Recovery, cursors, verify and stat all read through this.
 */
#ifndef VV_LOG_WALK_H
#define VV_LOG_WALK_H

#include "log/lost.h"
#include "log/scan.h"
#include "varve/log.h"
#include "varve/options.h"

/* Whether records that are found in damaged bytes are the log's. Behind a tear frames may be left whose LSNs
 * were given again, in a segment that is not there to say so. */
enum vv_trust {
    VV_TRUST_ALL = 0,
    VV_TRUST_VOUCHED, /* up to the first gap that no frame behind it vouches for */
    VV_TRUST_NONE,
};

/* A place where the log is not as it should be. */
struct vv_damage {
    enum varve_verdict verdict;
    uint64_t segment;
    uint64_t offset;
    uint64_t end_offset; /* bytes from offset to here are what stands there; 0 = a whole segment is missing */
    uint64_t lsn_first;  /* what should come here */
    uint64_t lsn_last;   /* the last one that is known to be gone; lsn_first - 1 = none is */
    enum vv_trust trust;
    uint32_t seed;         /* of checksums in that segment, */
    uint32_t sector_bytes; /* and its sectors; 0 = neither is known for certain */
    uint64_t salt;         /* what that seed is made of */
    const char *file;      /* in a format of others: the file's name; else NULL */
    char message[256];
};

/* Called at each damage that is passed over (policy skip). Non-zero ends the walk with that code. */
typedef int (*vv_damage_fn)(void *arg, const struct vv_damage *damage);

struct vv_walk {
    struct vv_chain *chain;
    struct vv_scan scan;
    size_t index;      /* of the link being read */
    uint64_t expected; /* the LSN that must come next */
    uint64_t given;    /* frames below were given before */
    enum varve_policy policy;
    bool live;                      /* somebody is writing: an end is only the end for now */
    const struct vv_lost *accepted; /* damage that was passed over before; may be NULL */
    vv_damage_fn damaged;
    void *damaged_arg;

    struct vv_damage damage; /* what the walk stopped at; verdict CLEAN_END = nothing */
    uint64_t vouched;        /* the highest durable LSN that was seen on disk */
    uint64_t frames, marks, records, segments, lost;
    struct vv_scan_frame last;    /* the last sound frame, also a mark */
    uint64_t last_segment;        /* in which it lies; 0 = there was none */
    struct vv_scan_frame encoded; /* the last one that a codec had worked on, if not very large */
    uint64_t encoded_segment;
    uint64_t end_segment; /* where the last sound frame ends, or where one may begin */
    uint64_t end_offset;
    uint64_t unvouched_offset; /* in end_segment: all before it is vouched for as durable */
    uint64_t end_lsn; /* the LSN that comes there; below `expected` when damage was passed over since */
    bool again;       /* a damage was looked at once more: it may have been a write under way */
};

/* Stands before the record `lsn`, at the first segment that may hold it; 0 = the first there is. NOMEM. */
int vv_walk_init(struct vv_walk *walk, struct vv_chain *chain, uint64_t lsn, enum varve_policy policy);
void vv_walk_free(struct vv_walk *walk);

/*
 * The next frame with records: 0 and *ret_frame; VARVE_END at the end: then walk->damage says what stands
 * there (clean end or torn). It stays there, and may be called again after vv_chain_reload. Errors: CORRUPT
 * HOLE MISSING_SEGMENT TORN (policy halt) IO NOMEM TRIMMED; walk->damage has the place.
 */
int vv_walk_next(struct vv_walk *walk, struct vv_scan_frame *ret_frame, struct varve_error *ret_error);

/* After the chain was reloaded: finds its place again. */
void vv_walk_resume(struct vv_walk *walk);

/* Puts the frame that was given last back, when a later segment has turned out to start at or before it.
 * false: none has. */
bool vv_walk_superseded(struct vv_walk *walk, const struct vv_scan_frame *frame);

/* Whether something on disk vouches for `lsn`; looks ahead of the frame that was given last. Errors: IO. */
int vv_walk_vouched(struct vv_walk *walk, uint64_t lsn, bool *ret_vouched, struct varve_error *ret_error);

/* The error code that goes with a verdict; 0 for a clean end. */
int vv_walk_code(enum varve_verdict verdict);

#endif
