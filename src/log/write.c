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
 * double, retry_count times; so is EIO of a write that does not sync. Where want of space (or of memory, or a
 * device that says EAGAIN) has lasted for breaker_failures writes, the breaker opens, and the write is probed
 * until it goes through: see breaker.c. An error of anything that syncs is final: after a failed sync the
 * kernel may count pages as clean that never reached the disk, and a second try would lie.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/wait.h"
#include "format/frame.h"
#include "log/breaker.h"
#include "log/codec.h"
#include "log/large.h"
#include "log/stages.h"
#include "log/tell.h"
#include "log/watch.h"

/* Want of something that others may give back: worth to be waited for. */
static bool comes_back(int err)
{
    return err == -EAGAIN || err == -ENOSPC || err == -EDQUOT || err == -ENOMEM;
}

static bool transient(int err, bool durable)
{
    return err == -EINTR || comes_back(err) || (err == -EIO && !durable);
}

static void note_retry(struct varve_log *log)
{
    VV_COUNT(log, retries, 1);
    atomic_store(&log->retried_us, log->io->monotonic_us(log->io) | 1);
}

static void back_off(struct varve_log *log, unsigned tries)
{
    _Atomic uint32_t nobody = 0;
    unsigned doublings = tries < 10 ? tries : 10;

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

/* One call, in its turn where the breaker is open. *ret_again: it is open, and this is to be tried again. */
static ssize_t write_once(struct varve_log *log, struct vv_slot *slot, const struct iovec *iov, int iov_count,
                          uint64_t offset, bool durable, bool *ret_again)
{
    bool probes = vv_breaker_enter(log);
    uint64_t bytes = 0;
    ssize_t n;

    for (int i = 0; i < iov_count; i++)
        bytes += iov[i].iov_len;
    vv_watch_begin(log, &slot->flight, slot->segment->number, offset, bytes);
    n = log->io->pwritev(log->io, slot->segment->file, iov, iov_count, offset, durable);
    vv_watch_end(&slot->flight);
    VV_COUNT(log, writes, 1);
    *ret_again = n < 0 && comes_back((int)n) && vv_breaker_bad(log, slot->segment, offset, (int)n);
    if (n > 0)
        vv_breaker_good(log);
    /* After its outcome is noted: from here on the next one may probe, when that is due. */
    if (probes)
        vv_breaker_probed(log);
    return n != 0 ? n : -EIO;
}

int vv_write_all(struct varve_log *log, struct vv_slot *slot, struct iovec *iov, int iov_count,
                 uint64_t offset, bool durable, struct varve_error *ret_error)
{
    struct vv_segment *segment = slot->segment;
    unsigned tries = 0;
    bool pieces = false;

    while (iov_count > 0) {
        bool again;
        ssize_t n = write_once(log, slot, iov, iov_count, offset, durable, &again);

        if (n > 0) {
            offset += (uint64_t)n;
            VV_COUNT(log, written_bytes, n);
            advance(&iov, &iov_count, (size_t)n);
            pieces = pieces || iov_count > 0;
            continue;
        }
        tries++;
        if (again) {
            note_retry(log);
            continue;
        }
        if (!transient((int)n, durable) || tries >= log->options.retry_count)
            return vv_error_set(ret_error, durable ? VARVE_E_SYNC : VARVE_E_IO, (int)-n,
                                "segment %" PRIu64 ": write at byte %" PRIu64 " failed", segment->number,
                                offset);
        if (n == -EINTR)
            continue;
        vv_tell(log, RETRY, VV_ABOUT(.segment = segment->number, .offset = offset, .sys_errno = (int)n),
                "segment %" PRIu64 ": a write at byte %" PRIu64 " failed %u times: it is tried again",
                segment->number, offset, tries);
        note_retry(log);
        back_off(log, tries - 1);
    }
    if (durable && pieces)
        return vv_write_sync(log, segment, &slot->flight, ret_error);
    if (durable)
        VV_COUNT(log, syncs, 1);
    return 0;
}

int vv_write_sync(struct varve_log *log, struct vv_segment *segment, struct vv_flight *flight,
                  struct varve_error *ret_error)
{
    int rc;

    vv_watch_begin(log, flight, segment->number, 0, 0);
    rc = log->io->sync(log->io, segment->file);
    vv_watch_end(flight);
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
        rc = vv_write_all(log, slot, first ? iov : iov + 1, first ? 2 : 1, first ? 0 : slot->offset + done,
                          false, ret_error);
        if (rc != 0)
            return rc;
        done += piece;
    }
    return durable ? vv_write_sync(log, slot->segment, &slot->flight, ret_error) : 0;
}

int vv_write_frame(struct varve_log *log, struct vv_slot *slot, bool durable, struct varve_error *ret_error)
{
    struct iovec iov[2] = {{log->header_page, VV_SEGMENT_HEADER_BYTES}, {slot->frame, slot->frame_bytes}};

    if (slot->large)
        return write_large(log, slot, durable, ret_error);
    if (slot->starts_segment)
        return vv_write_all(log, slot, iov, 2, 0, durable, ret_error);
    return vv_write_all(log, slot, iov + 1, 1, slot->offset, durable, ret_error);
}
