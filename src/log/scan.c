/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan: one segment -> frames.
 *
 * In: a link. Out: for a position, a frame or what stands there instead. Next: walk, which knows the other
 * segments and says what that means.
 *
 * A read error is an error and never an end. What the file's size cuts off reads as zeros.
 */
#include "log/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "base/error.h"
#include "base/tooth.h"
#include "log/ahead.h"
#include "log/decode.h"

#define WINDOW_ROOM  (VV_SCAN_WINDOW_BYTES + 2 * VV_SECTOR_BYTES_MAX)
#define WINDOW_ALIGN ((size_t)4096)
#define READ_BYTES   ((size_t)256 * 1024)

int vv_scan_init(struct vv_scan *scan, struct varve_io *io)
{
    memset(scan, 0, sizeof *scan);
    scan->io = io;
    scan->read_bytes = scan->header_bytes = READ_BYTES;
    /* Not direct I/O, but the kernel copies to whole pages faster. Of an ordinary block, as glibc gives an
     * aligned one back in pieces only, and each cursor would take another megabyte. */
    scan->window_block = vv_alloc(WINDOW_ROOM + WINDOW_ALIGN);
    if (!scan->window_block)
        return VARVE_E_NOMEM;
    scan->window = scan->window_block + (WINDOW_ALIGN - (uintptr_t)scan->window_block % WINDOW_ALIGN);
    return 0;
}

void vv_scan_free(struct vv_scan *scan)
{
    vv_scan_close(scan);
    vv_decode_free(scan);
    vv_free(scan->window_block);
    vv_free(scan->large);
    scan->window = scan->window_block = scan->large = NULL;
}

int vv_scan_open(struct vv_scan *scan, const struct vv_chain *chain, const struct vv_link *link,
                 struct varve_error *ret_error)
{
    char name[VV_SEGMENT_NAME_BYTES];
    int rc;

    vv_scan_close(scan);
    vv_segment_name(link->number, name);
    rc = vv_chain_open_file(scan->io, chain->dir, chain->only_name[0] ? chain->only_name : name, &scan->file,
                            ret_error);
    if (rc != 0) {
        scan->file = NULL;
        return rc == VARVE_E_NOT_FOUND ? vv_error_set(ret_error, VARVE_E_TRIMMED, 0,
                                                      "%s was removed while the log was read", name)
                                       : rc;
    }
    scan->file_bytes = link->file_bytes;
    scan->place = (struct vv_frame_place){
        .seed = vv_segment_seed(link->header.salt),
        .sector_bytes = link->header.sector_bytes,
        .segment = link->number,
        .capacity = link->header.capacity,
    };
    scan->offset = VV_SEGMENT_HEADER_BYTES;
    vv_decode_begin(scan, chain, link);
    vv_scan_refresh(scan);
    return 0;
}

void vv_scan_close(struct vv_scan *scan)
{
    if (scan->file)
        scan->io->close(scan->io, scan->file);
    scan->file = NULL;
}

void vv_scan_refresh(struct vv_scan *scan)
{
    scan->window_bytes = scan->window_read = 0;
}

int vv_scan_unread(const struct vv_scan *scan, uint64_t offset, ssize_t n, struct varve_error *ret_error)
{
    return vv_error_set(ret_error, VARVE_E_IO, n == 0 ? EIO : (int)-n,
                        "segment %" PRIu64 ": byte %" PRIu64 " cannot be read", scan->place.segment, offset);
}

/* Of what was read, moves what lies from `offset` on to the window's beginning; returns how much that is. A
 * long stretch of which the beginning is there is gone on with where it stands: then *offset comes down to
 * that. */
static size_t keep(struct vv_scan *scan, uint64_t *offset, size_t *len)
{
    size_t before, kept;

    if (*offset < scan->window_at || *offset - scan->window_at >= scan->window_read)
        return 0;
    before = *offset - scan->window_at;
    kept = scan->window_read - before;
    if (*len > READ_BYTES && before + *len <= WINDOW_ROOM) {
        *offset -= before;
        *len += before;
        return scan->window_read;
    }
    memmove(scan->window, scan->window + before, kept);
    return kept;
}

/* Fills the window so that it holds `len` bytes from `offset`; zeros stand for what lies past the end of the
 * file. What is read beyond that is only read ahead: a bad sector there is no error yet. */
static int fill(struct vv_scan *scan, uint64_t offset, size_t len, struct varve_error *ret_error)
{
    size_t kept = keep(scan, &offset, &len), got = kept, want = vv_max_u64(len, scan->read_bytes);

    want = vv_min_u64(want, vv_max_u64(len, scan->place.capacity - vv_min_u64(offset, scan->place.capacity)));
    scan->window_at = offset;
    scan->window_bytes = scan->window_read = 0;
    while (got < want) {
        ssize_t n = scan->io->pread(scan->io, scan->file, scan->window + got, want - got, offset + got);

        if (n == -EINTR)
            continue;
        if (n == 0 && offset + got >= scan->file_bytes)
            break;
        if (n <= 0 && want > len) {
            want = got > len ? got : len;
            continue;
        }
        if (n <= 0 && VV_TOOTH(READ_ERROR_IS_END))
            break;
        if (n <= 0)
            return vv_scan_unread(scan, offset + got, n, ret_error);
        got += (size_t)n;
    }
    scan->bytes_read += got - kept;
    memset(scan->window + got, 0, want - got);
    scan->window_read = got;
    scan->window_bytes = want;
    return 0;
}

int vv_scan_bytes(struct vv_scan *scan, uint64_t offset, size_t len, const uint8_t **ret_bytes,
                  struct varve_error *ret_error)
{
    if (offset < scan->window_at || offset - scan->window_at > scan->window_bytes ||
        scan->window_bytes - (offset - scan->window_at) < len) {
        int rc = fill(scan, offset, len, ret_error);

        if (rc != 0)
            return rc;
    }
    *ret_bytes = scan->window + (offset - scan->window_at);
    return 0;
}

int vv_scan_checksum(struct vv_scan *scan, uint32_t crc, uint64_t offset, uint64_t len, uint32_t *ret_crc,
                     struct varve_error *ret_error)
{
    /* What fits is left in the window whole, for who wants the bytes themselves next. Summed piece by piece
     * all the same: while it is in the processor's cache. */
    bool whole = len <= VV_SCAN_WINDOW_BYTES;
    uint64_t done = 0;

    while (done < len) {
        uint64_t from = whole ? offset : offset + done, at = offset + done;
        uint64_t there = at >= scan->window_at && at - scan->window_at < scan->window_bytes
                             ? scan->window_bytes - (at - scan->window_at)
                             : READ_BYTES;
        size_t piece = vv_min_u64(len - done, vv_min_u64(there, READ_BYTES));
        const uint8_t *bytes;
        int rc = vv_scan_bytes(scan, from, at + piece - from, &bytes, ret_error);

        if (rc != 0)
            return rc;
        crc = vv_crc32c(crc, bytes + (at - from), piece);
        done += piece;
    }
    *ret_crc = crc;
    return 0;
}

static enum vv_scan_status of_header(enum vv_frame_status status)
{
    switch (status) {
    case VV_FRAME_OK:
        return VV_SCAN_FRAME;
    case VV_FRAME_NONE:
        return VV_SCAN_NONE;
    case VV_FRAME_OTHER:
        return VV_SCAN_OTHER;
    case VV_FRAME_BROKEN:
    case VV_FRAME_MISPLACED:
    case VV_FRAME_IMPOSSIBLE:
        break;
    }
    return VV_SCAN_BROKEN;
}

int vv_scan_look_at_header(struct vv_scan *scan, struct vv_scan_frame *ret_frame,
                           enum vv_scan_status *ret_status, struct varve_error *ret_error)
{
    struct vv_scan_frame *f = ret_frame;
    const uint8_t *bytes;
    int rc;

    memset(f, 0, sizeof *f);
    f->offset = scan->place.offset = scan->offset;
    if (scan->offset + scan->place.sector_bytes > scan->place.capacity) {
        *ret_status = VV_SCAN_FULL;
        return 0;
    }
    scan->read_bytes = scan->header_bytes;
    rc = vv_scan_bytes(scan, scan->offset, VV_FRAME_HEADER_BYTES, &bytes, ret_error);
    scan->read_bytes = scan->header_bytes = READ_BYTES;
    if (rc != 0)
        return rc;
    *ret_status = of_header(vv_frame_decode(bytes, &scan->place, &f->header, &f->header_crc));
    if (*ret_status != VV_SCAN_FRAME) {
        f->zero = vv_is_zero(bytes, VV_FRAME_HEADER_BYTES);
        return 0;
    }
    if (f->header.codec != 0)
        memcpy(f->aad, bytes + VV_FRAME_AAD_FROM, sizeof f->aad);
    f->bytes = vv_frame_bytes(f->header.stored_bytes, scan->place.sector_bytes);
    /* Who goes from header to header over large bodies does not want to read those. */
    if (f->bytes >= READ_BYTES / 4)
        scan->header_bytes = VV_FRAME_HEADER_BYTES;
    return 0;
}

/* Whether somebody has found this frame to be sound already. */
static bool known_sound(struct vv_scan *scan, const struct vv_scan_frame *frame)
{
    if (!scan->ahead || !vv_ahead_sound(scan->ahead, scan->place.segment, frame->offset, frame->bytes))
        return false;
    scan->bytes_read += vv_ahead_bytes_read(scan->ahead);
    return true;
}

int vv_scan_look(struct vv_scan *scan, struct vv_scan_frame *ret_frame, enum vv_scan_status *ret_status,
                 struct varve_error *ret_error)
{
    struct vv_scan_frame *f = ret_frame;
    int rc = vv_scan_look_at_header(scan, f, ret_status, ret_error);

    if (rc != 0 || *ret_status != VV_SCAN_FRAME)
        return rc;
    if (known_sound(scan, f)) {
        f->body_crc = f->header.body_crc;
        return 0;
    }
    scan->header_bytes = READ_BYTES;
    rc = vv_scan_checksum(scan, scan->place.seed, scan->offset + VV_FRAME_HEADER_BYTES,
                          f->header.stored_bytes, &f->body_crc, ret_error);
    if (rc != 0)
        return rc;
    if (f->body_crc != f->header.body_crc)
        *ret_status = VV_SCAN_BAD_BODY;
    return 0;
}

/* Looks at one sector behind the break. true: enough is known. */
static int look_beyond(struct vv_scan *scan, uint64_t from_lsn, uint64_t want_lsn, struct vv_scan_rest *rest,
                       bool *ret_enough, struct varve_error *ret_error)
{
    struct vv_scan_frame frame;
    enum vv_scan_status status;
    int rc = vv_scan_look(scan, &frame, &status, ret_error);

    *ret_enough = false;
    if (rc != 0)
        return rc;
    if (status == VV_SCAN_OTHER)
        rest->others = true;
    if (status == VV_SCAN_BROKEN || status == VV_SCAN_BAD_BODY)
        rest->broken = true;
    if (status == VV_SCAN_BROKEN)
        rest->claimed_lsn = frame.header.first_lsn + frame.header.count - 1;
    if (status == VV_SCAN_FRAME || status == VV_SCAN_BAD_BODY)
        rest->last_lsn = vv_max_u64(rest->last_lsn, frame.header.first_lsn + frame.header.count - 1);
    if (status != VV_SCAN_FRAME) {
        scan->offset += scan->place.sector_bytes;
        return 0;
    }
    rest->vouched = vv_max_u64(rest->vouched, frame.header.durable_lsn);
    if (!rest->found && frame.header.first_lsn >= from_lsn) {
        rest->found = true;
        rest->frame = frame;
    }
    *ret_enough = rest->found && rest->vouched >= vv_max_u64(want_lsn, rest->frame.header.first_lsn - 1);
    scan->offset += frame.bytes;
    return 0;
}

/* Steps over zeros up to `end`, or one window. *ret_zero: there were some. */
static int step_over(struct vv_scan *scan, uint64_t end, bool *ret_zero, struct varve_error *ret_error)
{
    uint64_t sector = scan->place.sector_bytes, left = vv_min_u64(end - scan->offset, READ_BYTES);
    const uint8_t *bytes;
    int rc;

    if (scan->ahead && vv_ahead_zero(scan->ahead, scan->place.segment, scan->offset)) {
        scan->offset += vv_round_down(end - scan->offset, sector);
        *ret_zero = true;
        return 0;
    }
    rc = vv_scan_bytes(scan, scan->offset, sector, &bytes, ret_error);
    if (rc != 0)
        return rc;
    left = vv_min_u64(left, scan->window_bytes - (scan->offset - scan->window_at));
    left = vv_round_down(left, sector);
    *ret_zero = true;
    if (left > sector && vv_is_zero(bytes, left))
        scan->offset += left;
    else if (vv_is_zero(bytes, sector))
        scan->offset += sector;
    else
        *ret_zero = false;
    return 0;
}

int vv_scan_zeros(struct vv_scan *scan, struct varve_error *ret_error)
{
    uint64_t end = vv_min_u64(scan->place.capacity, scan->file_bytes);
    bool zero = true;
    int rc = 0;

    while (rc == 0 && zero && scan->offset + scan->place.sector_bytes <= end)
        rc = step_over(scan, end, &zero, ret_error);
    return rc;
}

int vv_scan_beyond(struct vv_scan *scan, uint64_t within_bytes, uint64_t from_lsn, uint64_t want_lsn,
                   struct vv_scan_rest *ret_rest, struct varve_error *ret_error)
{
    uint64_t start = scan->offset, sector = scan->place.sector_bytes, end = scan->place.capacity;
    bool enough = false;
    int rc = 0;

    if (end - start > within_bytes)
        end = start + within_bytes;
    memset(ret_rest, 0, sizeof *ret_rest);
    ret_rest->all_zero = true;
    while (rc == 0 && !enough && scan->offset + sector <= end && scan->offset < scan->file_bytes) {
        bool zero;

        /* Most of what is looked through here is zeros: those go by in large steps. */
        rc = step_over(scan, end, &zero, ret_error);
        if (rc != 0)
            break;
        if (zero)
            continue;
        ret_rest->all_zero = false;
        if (scan->offset == start)
            scan->offset += sector; /* the break itself was looked at by the caller */
        else
            rc = look_beyond(scan, from_lsn, want_lsn, ret_rest, &enough, ret_error);
    }
    scan->offset = start;
    return rc;
}
