/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write: takes a placed frame to disk.
 *
 * In: a slot with a complete frame. Out: the frame is written, and durable if that was asked for. Next:
 * publish.
 *
 * Happy path: one call, of the frame alone or of the segment's header and the frame together. A record that
 * is larger than the slot passes through the slot's buffer in pieces, which one sync makes durable.
 *
 * Ways to fail: a short write is finished. EINTR, EAGAIN and want of space are tried again, with waits that
 * double, retry_count times; so is EIO of a write that does not sync. An error of anything that syncs is
 * final: after a failed sync the kernel may count pages as clean that never reached the disk, and a second
 * try would lie.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/wait.h"
#include "format/frame.h"
#include "log/codec.h"
#include "log/large.h"
#include "log/stages.h"
#include "log/tell.h"

static bool transient(int err, bool durable)
{
    switch (-err) {
    case EINTR:
    case EAGAIN:
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
        return true;
    case EIO:
        return !durable;
    default:
        return false;
    }
}

static void back_off(struct varve_log *log, unsigned tries)
{
    _Atomic uint32_t nobody = 0;
    unsigned doublings = tries < 10 ? tries : 10;

    VV_COUNT(log, retries, 1);
    (void)vv_wait_on(&nobody, 0, ((int64_t)log->options.retry_first_ms << doublings) * 1000);
}

/* Leaves out the first `done` bytes. */
static void advance(struct iovec **iov, int *iov_count, size_t done)
{
    while (*iov_count > 0 && done >= (*iov)->iov_len) {
        done -= (*iov)->iov_len;
        ++*iov;
        --*iov_count;
    }
    if (*iov_count > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + done;
        (*iov)->iov_len -= done;
    }
}

/* Writes all of it, or fails for good. Consumes `iov`. */
static int write_all(struct varve_log *log, struct vv_segment *segment, struct iovec *iov, int iov_count,
                     uint64_t offset, bool durable, struct varve_error *ret_error)
{
    struct varve_io *io = log->io;
    unsigned tries = 0;
    bool pieces = false;

    while (iov_count > 0) {
        ssize_t n = io->pwritev(io, segment->file, iov, iov_count, offset, durable);

        VV_COUNT(log, writes, 1);
        if (n > 0) {
            offset += (uint64_t)n;
            VV_COUNT(log, written_bytes, n);
            advance(&iov, &iov_count, (size_t)n);
            pieces = pieces || iov_count > 0;
            continue;
        }
        if (n == 0)
            n = -EIO;
        if (!transient((int)n, durable) || ++tries >= log->options.retry_count)
            return vv_error_set(ret_error, durable ? VARVE_E_SYNC : VARVE_E_IO, (int)-n,
                                "segment %" PRIu64 ": write at byte %" PRIu64 " failed", segment->number,
                                offset);
        if (n == -EINTR)
            continue;
        vv_tell(log, RETRY, VV_ABOUT(.segment = segment->number, .offset = offset, .sys_errno = (int)n),
                "segment %" PRIu64 ": a write at byte %" PRIu64 " failed %u times: it is tried again",
                segment->number, offset, tries);
        back_off(log, tries - 1);
    }
    if (durable && pieces)
        return vv_write_sync(log, segment, ret_error);
    if (durable)
        VV_COUNT(log, syncs, 1);
    return 0;
}

int vv_write_sync(struct varve_log *log, struct vv_segment *segment, struct varve_error *ret_error)
{
    int rc = log->io->sync(log->io, segment->file);

    VV_COUNT(log, syncs, 1);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_SYNC, -rc, "segment %" PRIu64 ": sync failed",
                            segment->number);
    return 0;
}

static int write_large(struct varve_log *log, struct vv_slot *slot, bool durable,
                       struct varve_error *ret_error)
{
    struct vv_large_source source;
    uint64_t done = 0, slot_bytes = log->options.slot_bytes;

    vv_large_begin(&source, log, slot);

    while (done < slot->frame_bytes) {
        uint64_t piece = vv_min_u64(slot->frame_bytes - done, slot_bytes);
        uint64_t skip = done == 0 ? VV_FRAME_HEADER_BYTES : 0; /* the frame's header stands there already */
        struct iovec iov[2] = {{log->header_page, VV_SEGMENT_HEADER_BYTES}, {slot->buffer, piece}};
        bool first = done == 0 && slot->starts_segment;
        int rc;

        rc = vv_large_read(&source, slot->buffer + skip, piece - skip);
        if (rc != 0)
            return vv_codec_failed(log, slot, rc, ret_error);
        rc = write_all(log, slot->segment, first ? iov : iov + 1, first ? 2 : 1,
                       first ? 0 : slot->offset + done, false, ret_error);
        if (rc != 0)
            return rc;
        done += piece;
    }
    return durable ? vv_write_sync(log, slot->segment, ret_error) : 0;
}

int vv_write_frame(struct varve_log *log, struct vv_slot *slot, bool durable, struct varve_error *ret_error)
{
    struct iovec iov[2] = {{log->header_page, VV_SEGMENT_HEADER_BYTES}, {slot->frame, slot->frame_bytes}};

    if (slot->large)
        return write_large(log, slot, durable, ret_error);
    if (slot->starts_segment)
        return write_all(log, slot->segment, iov, 2, 0, durable, ret_error);
    return write_all(log, slot->segment, iov + 1, 1, slot->offset, durable, ret_error);
}
