/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading one segment: frame by frame, through a window of bounded size. Files are read with pread and never
 * mapped: a mapping could keep pages that a direct write has replaced.
 */
#ifndef VV_LOG_SCAN_H
#define VV_LOG_SCAN_H

#include "codec/codec.h"
#include "format/frame.h"
#include "log/chain.h"

#define VV_SCAN_WINDOW_BYTES \
    ((size_t)1 << 20) /* holds an ordinary frame of the default size but for its header */

enum vv_scan_status {
    VV_SCAN_FRAME = 0, /* a sound frame: header and body */
    VV_SCAN_FULL,      /* no frame fits behind this */
    VV_SCAN_NONE,      /* no frame begins here; `zero` says whether the header's place is all zero */
    VV_SCAN_BROKEN,    /* a frame of this segment whose header does not check, or that cannot be here */
    VV_SCAN_BAD_BODY,  /* a sound header with a body that does not check */
    VV_SCAN_OTHER,     /* a frame from another life of the file */
};

/* What decode.c keeps from frame to frame. */
struct vv_decoding {
    struct vv_decoder decoder; /* for logs with this UUID, once one was needed */
    bool ready;
    const struct vv_chain *chain;
    uint8_t uuid[VV_UUID_BYTES];
    uint64_t salt;
    uint8_t *plain; /* a body that was encoded; grown as needed, kept */
    size_t plain_room;
    void *dictionary; /* the one that was looked for last */
};

struct vv_scan {
    struct varve_io *io;
    struct varve_file *file; /* NULL: no segment is open */
    struct vv_frame_place place;
    uint64_t file_bytes;
    uint64_t offset;       /* where the next frame is looked for */
    uint8_t *window;       /* VV_SCAN_WINDOW_BYTES + VV_FRAME_SLACK, kept from segment to segment */
    uint8_t *window_block; /* which it lies in */
    uint64_t window_at;    /* offset of its first byte */
    size_t window_bytes;
    size_t window_read; /* how much of that was read; zeros stand for the rest */
    uint8_t *large;     /* a body larger than the window; grown as needed, kept */
    size_t large_room;
    uint64_t bytes_read;
    size_t read_bytes;      /* how much is read at a time at least, */
    size_t header_bytes;    /* and when the next header is looked at */
    struct vv_ahead *ahead; /* who has read some of it before; NULL: nobody */
    struct vv_decoding decoding;
};

struct vv_scan_frame {
    struct vv_frame_header header;
    uint64_t offset;
    uint64_t bytes;                /* with padding; 0 when that is not known */
    uint32_t header_crc, body_crc; /* computed */
    bool zero;
    uint8_t aad[VV_FRAME_AAD_BYTES]; /* as it stands in the header, where there is a codec */
};

/* NOMEM. */
int vv_scan_init(struct vv_scan *scan, struct varve_io *io);
void vv_scan_free(struct vv_scan *scan);

/* Opens a sound link's file and stands before its first frame. Errors: IO NOT_REGULAR; TRIMMED when it is
 * gone. */
int vv_scan_open(struct vv_scan *scan, const struct vv_chain *chain, const struct vv_link *link,
                 struct varve_error *ret_error);
void vv_scan_close(struct vv_scan *scan);

/* Forgets what was read: somebody may have written since. */
void vv_scan_refresh(struct vv_scan *scan);

/* Looks at scan->offset, and does not move it. Errors: IO. */
int vv_scan_look(struct vv_scan *scan, struct vv_scan_frame *ret_frame, enum vv_scan_status *ret_status,
                 struct varve_error *ret_error);

/* Says that a read at `offset` failed: `n` is what it gave, a negative errno, or 0 before the file's end.
 * Returns VARVE_E_IO. */
int vv_scan_unread(const struct vv_scan *scan, uint64_t offset, ssize_t n, struct varve_error *ret_error);

/* Likewise, and leaves the body alone: body_crc is 0, and a body may be bad. */
int vv_scan_look_at_header(struct vv_scan *scan, struct vv_scan_frame *ret_frame,
                           enum vv_scan_status *ret_status, struct varve_error *ret_error);

/* Points into the window, at `len` bytes of the file (two sectors more than the window at most); valid until
 * the next call. Errors: IO. */
int vv_scan_bytes(struct vv_scan *scan, uint64_t offset, size_t len, const uint8_t **ret_bytes,
                  struct varve_error *ret_error);

/* Goes on with a CRC-32C over bytes of the file; what is behind its end counts as zeros. Errors: IO. */
int vv_scan_checksum(struct vv_scan *scan, uint32_t crc, uint64_t offset, uint64_t len, uint32_t *ret_crc,
                     struct varve_error *ret_error);

/* Steps over sectors that are all zero, to the end if there is nothing else. Errors: IO. */
int vv_scan_zeros(struct vv_scan *scan, struct varve_error *ret_error);

/* What lies behind scan->offset, sector by sector. */
struct vv_scan_rest {
    bool all_zero; /* from the offset to the end */
    bool others;   /* frames from another life of the file */
    bool broken;   /* frames of this segment that are not sound */
    bool found;    /* a sound frame of this segment at `frame.offset`, with an LSN of at least `from_lsn` */
    struct vv_scan_frame frame;
    uint64_t vouched;  /* the highest durable LSN of the sound frames that were looked at */
    uint64_t last_lsn; /* the highest LSN of a record in them, or in one of which only the header is sound */
    uint64_t claimed_lsn; /* the one that the last frame with a damaged header says to end with */
};

/* Looks for sound frames in the `within_bytes` behind scan->offset; stops when it knows enough: when one is
 * found, and `want_lsn` and all before that frame are vouched for; else at the end. */
int vv_scan_beyond(struct vv_scan *scan, uint64_t within_bytes, uint64_t from_lsn, uint64_t want_lsn,
                   struct vv_scan_rest *ret_rest, struct varve_error *ret_error);

#endif
