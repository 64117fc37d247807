/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be saved of damaged frames: a record's own checksum starts from the log's UUID and its LSN, so it
 * says of itself that it is sound and in its place, whatever became of the frame around it.
 */
#ifndef VV_LOG_SALVAGE_H
#define VV_LOG_SALVAGE_H

#include "format/record.h"
#include "log/walk.h"

struct vv_salvaged {
    struct vv_record record; /* points into the salvage's bytes */
    uint64_t lsn;
    uint64_t segment;
    uint64_t frame_offset;
    uint64_t record_offset; /* in the frame's body */
};

struct vv_salvage {
    uint8_t *bytes;       /* NULL: nothing */
    struct vv_scan *scan; /* decodes what was encoded */
    uint64_t length;
    uint64_t segment;
    uint64_t start;      /* offset of `bytes` in the file */
    uint64_t frame;      /* offset in `bytes` of the frame that is being read */
    const uint8_t *body; /* of that frame: in `bytes`, or decoded */
    uint64_t body_bytes; /* the most that it can have */
    uint64_t offset;     /* of the next record in it */
    uint64_t lsn;        /* the next one that could be there */
    uint64_t lsn_last;
    uint32_t log_seed;
    bool in_frame;
    bool vouched_only;           /* VV_TRUST_VOUCHED */
    uint32_t seed, sector_bytes; /* as in the damage */
    bool decoded;                /* the body is what a codec gave, and ends where that does */
};

/* Reads the damaged bytes (the first 4 MiB of them); a file that is gone has nothing to save. `scan` is used
 * while there is: what its decoder gave before is not valid any more. Errors: IO NOMEM NOT_REGULAR. */
int vv_salvage_read(struct vv_salvage *salvage, struct vv_scan *scan, struct varve_dir *dir,
                    const struct vv_damage *damage, uint32_t log_seed, struct varve_error *ret_error);
/* The same from a file that holds just these bytes, in a directory of any kind. */
int vv_salvage_read_copy(struct vv_salvage *salvage, struct vv_scan *scan, struct varve_dir *dir,
                         const char *name, const struct vv_damage *damage, uint32_t log_seed,
                         struct varve_error *ret_error);
bool vv_salvage_has(const struct vv_salvage *salvage);
/* The next sound record; false: no more, and the bytes are freed. What was given before stays valid until
 * then. */
bool vv_salvage_next(struct vv_salvage *salvage, struct vv_salvaged *ret_record);
void vv_salvage_clear(struct vv_salvage *salvage);

#endif
