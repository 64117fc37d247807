/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: segments -> the log's frames in order, or the place and the verdict where that ends.
 *
 * In: a chain. Out: frames. Next: decode (cursor), or counting (recover, verify, stat). Verdicts are in
 * verdict.c.
 *
 * The rule that a later segment wins: a segment's records end where the first LSN of any later one begins.
 */
#include "log/walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "log/verdict.h"

int vv_walk_init(struct vv_walk *walk, struct vv_chain *chain, uint64_t lsn, enum varve_policy policy)
{
    int rc;

    memset(walk, 0, sizeof *walk);
    rc = vv_scan_init(&walk->scan, chain->io);
    if (rc != 0)
        return rc;
    walk->chain = chain;
    walk->policy = policy;
    walk->expected = chain->manifest.first_lsn ? chain->manifest.first_lsn : 1;
    if (lsn > walk->expected) {
        /* A segment tells its first LSN itself: what lies before is not read. */
        size_t index = vv_chain_find(chain, lsn);
        uint64_t base = index < chain->count ? chain->links[index].header.base_lsn : 0;

        if (base > walk->expected && base <= lsn) {
            walk->index = index;
            walk->expected = base;
        }
    }
    walk->vouched = chain->manifest_rc == 0 ? chain->manifest.last_lsn : 0;
    return 0;
}

void vv_walk_free(struct vv_walk *walk)
{
    vv_scan_free(&walk->scan);
}

int vv_walk_code(enum varve_verdict verdict)
{
    switch (verdict) {
    case VARVE_VERDICT_CLEAN_END:
        return 0;
    case VARVE_VERDICT_TORN:
        return VARVE_E_TORN;
    case VARVE_VERDICT_CORRUPT:
        return VARVE_E_CORRUPT;
    case VARVE_VERDICT_HOLE:
        return VARVE_E_HOLE;
    case VARVE_VERDICT_MISSING_SEGMENT:
        return VARVE_E_MISSING_SEGMENT;
    case VARVE_VERDICT_FOREIGN:
        return VARVE_E_FOREIGN;
    }
    return VARVE_E_CORRUPT;
}

static void leave_segment(struct vv_walk *walk)
{
    vv_scan_close(&walk->scan);
    walk->index++;
}

/* What is to be done about walk->damage: 0 = it is passed over and the walk goes on, else a code. */
static int settle(struct vv_walk *walk, const struct vv_resume *resume, struct varve_error *ret_error)
{
    struct vv_damage *d = &walk->damage;
    int rc;

    if (d->verdict == VARVE_VERDICT_CLEAN_END)
        return VARVE_END;
    if (d->verdict == VARVE_VERDICT_TORN)
        /* Beside a live writer a torn end is a write under way. */
        return walk->policy == VARVE_POLICY_HALT && !walk->live
                   ? vv_error_set(ret_error, VARVE_E_TORN, 0, "%s", d->message)
                   : VARVE_END;
    if (walk->policy != VARVE_POLICY_SKIP &&
        !(walk->accepted && vv_lost_has(walk->accepted, d->lsn_first, d->lsn_last)))
        return vv_error_set(ret_error, vv_walk_code(d->verdict), 0, "%s", d->message);
    rc = walk->damaged ? walk->damaged(walk->damaged_arg, d) : 0;
    if (rc != 0)
        return rc;
    walk->lost += d->lsn_last + 1 - d->lsn_first;
    walk->expected = d->lsn_last + 1;
    memset(d, 0, sizeof *d);
    if (resume->in_segment)
        walk->scan.offset = resume->offset;
    else if (walk->index < walk->chain->count)
        leave_segment(walk);
    return 0;
}

/* The chain is at its end: is that where the log should end? */
static int at_chain_end(struct vv_walk *walk, struct varve_error *ret_error)
{
    const struct vv_resume resume = {.in_segment = false};

    vv_verdict_chain_end(walk);
    return settle(walk, &resume, ret_error);
}

/* Opens the segment at walk->index, or passes over it. 0 = opened; VARVE_END = passed over. */
static int enter(struct vv_walk *walk, struct varve_error *ret_error)
{
    struct vv_link *link = &walk->chain->links[walk->index];
    struct vv_resume resume = {.in_segment = true, .offset = VV_SEGMENT_HEADER_BYTES};
    bool headless = false;
    int rc;

    if (link->state != VV_LINK_SOUND || link->end_lsn <= walk->expected) {
        rc = vv_verdict_headless(walk, link, &headless, ret_error);
        if (rc != 0)
            return rc;
        if (headless) {
            resume.in_segment = false;
            rc = settle(walk, &resume, ret_error);
            return rc == 0 ? VARVE_END : rc;
        }
        walk->index++;
        return VARVE_END;
    }
    rc = vv_scan_open(&walk->scan, walk->chain, link, ret_error);
    if (rc != 0)
        return rc;
    if (walk->live && link->header.base_lsn < walk->expected) {
        /* Frames that had moved here were read where they had been before: not a second time. */
        walk->given = vv_max_u64(walk->given, walk->expected);
        walk->expected = link->header.base_lsn;
    }
    if (link->header.base_lsn > walk->expected) {
        vv_verdict_gap(walk, link);
        rc = settle(walk, &resume, ret_error);
        if (rc != 0) {
            vv_scan_close(&walk->scan);
            return rc;
        }
    }
    walk->segments++;
    walk->end_segment = link->number;
    walk->end_offset = VV_SEGMENT_HEADER_BYTES;
    walk->unvouched_offset = 0;
    walk->end_lsn = walk->expected;
    return 0;
}

/* The scan stands at something that is not the frame that must come. */
static int at_break(struct vv_walk *walk, const struct vv_scan_frame *frame, enum vv_scan_status status,
                    struct varve_error *ret_error)
{
    struct vv_resume resume;
    int rc = vv_verdict_break(walk, frame, status, &resume, ret_error);

    if (rc != 0)
        return rc;
    /* Beside a live writer this may have been written since it was read: look once more before judging. */
    if (walk->live && !walk->again && walk->damage.verdict > VARVE_VERDICT_TORN) {
        walk->again = true;
        vv_scan_refresh(&walk->scan);
        memset(&walk->damage, 0, sizeof walk->damage);
        return 0;
    }
    walk->again = false;
    /* Zeros to the end, and the log goes on in a later segment: what is between, if anything, says more. */
    if (walk->damage.verdict == VARVE_VERDICT_HOLE) {
        memset(&walk->damage, 0, sizeof walk->damage);
        leave_segment(walk);
        return 0;
    }
    if ((walk->damage.verdict <= VARVE_VERDICT_TORN ||
         walk->damage.verdict == VARVE_VERDICT_MISSING_SEGMENT || resume.unsure) &&
        !walk->live && walk->index + 1 < walk->chain->count) {
        /* Nothing is missing here; but does the next file say so too? A damaged header there is not seen from
         * here. */
        const struct vv_damage kept = walk->damage;
        const struct vv_link *next = &walk->chain->links[walk->index + 1];
        uint64_t offset = walk->scan.offset;
        bool headless;

        rc = vv_verdict_headless(walk, next, &headless, ret_error);
        if (rc != 0)
            return rc;
        if (headless) {
            resume.in_segment = false;
            walk->index++;
            return settle(walk, &resume, ret_error);
        }
        walk->damage = kept;
        /* Looking there has closed this one, where the walk still stands. */
        if (!walk->scan.file) {
            rc = vv_scan_open(&walk->scan, walk->chain, &walk->chain->links[walk->index], ret_error);
            if (rc != 0)
                return rc;
            walk->scan.offset = offset;
        }
    }
    return settle(walk, &resume, ret_error);
}

static void take_frame(struct vv_walk *walk, const struct vv_scan_frame *frame)
{
    const struct vv_frame_header *h = &frame->header;

    walk->again = false;
    walk->scan.offset += frame->bytes;
    walk->end_offset = walk->scan.offset;
    walk->expected = h->first_lsn + h->count;
    walk->end_lsn = walk->expected;
    walk->vouched = vv_max_u64(walk->vouched, h->durable_lsn);
    /* The header goes out with the first frame, and is vouched for with it. */
    if (walk->vouched + 1 >= h->first_lsn && frame->offset > VV_SEGMENT_HEADER_BYTES)
        walk->unvouched_offset = frame->offset;
    walk->last = *frame;
    walk->last_segment = walk->end_segment;
    if (h->codec != 0 && h->stored_bytes <= VV_SCAN_WINDOW_BYTES) {
        walk->encoded = *frame;
        walk->encoded_segment = walk->end_segment;
    }
    if (h->count == 0) {
        walk->marks++;
    } else {
        walk->frames++;
        walk->records += h->count;
    }
}

int vv_walk_next(struct vv_walk *walk, struct vv_scan_frame *ret_frame, struct varve_error *ret_error)
{
    memset(&walk->damage, 0, sizeof walk->damage);
    for (;;) {
        enum vv_scan_status status;
        int rc;

        if (walk->index >= walk->chain->count) {
            rc = at_chain_end(walk, ret_error);
            if (rc != 0)
                return rc;
            continue;
        }
        if (!walk->scan.file) {
            rc = enter(walk, ret_error);
            if (rc == VARVE_END && walk->damage.verdict == VARVE_VERDICT_CLEAN_END)
                continue;
            if (rc != 0)
                return rc;
        }
        if (walk->expected >= walk->chain->links[walk->index].end_lsn) {
            leave_segment(walk);
            continue;
        }
        rc = vv_scan_look(&walk->scan, ret_frame, &status, ret_error);
        if (rc != 0)
            return rc;
        if (status == VV_SCAN_FULL) {
            leave_segment(walk);
            continue;
        }
        if (status != VV_SCAN_FRAME || ret_frame->header.first_lsn != walk->expected) {
            rc = at_break(walk, ret_frame, status, ret_error);
            if (rc != 0)
                return rc;
            continue;
        }
        take_frame(walk, ret_frame);
        if (ret_frame->header.count != 0 && ret_frame->header.first_lsn >= walk->given)
            return 0;
    }
}

void vv_walk_resume(struct vv_walk *walk)
{
    uint64_t number = walk->scan.file ? walk->scan.place.segment : walk->end_segment;
    size_t i = 0;

    vv_scan_refresh(&walk->scan);
    if (number == 0) {
        walk->index = 0;
        return;
    }
    while (i < walk->chain->count && walk->chain->links[i].number < number)
        i++;
    /* The segment was trimmed away: what comes now is in the first one that is left, or was trimmed too. */
    if (walk->scan.file && (i == walk->chain->count || walk->chain->links[i].number != number))
        vv_scan_close(&walk->scan);
    /* A segment that was read to its end and closed is not entered again. */
    if (!walk->scan.file && i < walk->chain->count && walk->chain->links[i].number == number)
        i++;
    walk->index = i;
}

bool vv_walk_superseded(struct vv_walk *walk, const struct vv_scan_frame *frame)
{
    if (walk->scan.file && walk->chain->links[walk->index].end_lsn > frame->header.first_lsn)
        return false;
    walk->expected = frame->header.first_lsn;
    return true;
}

int vv_walk_vouched(struct vv_walk *walk, uint64_t lsn, bool *ret_vouched, struct varve_error *ret_error)
{
    uint64_t offset = walk->scan.offset;
    int rc = 0;

    *ret_vouched = true;
    if (walk->vouched >= lsn || !walk->scan.file || walk->chain->links[walk->index].end_lsn != UINT64_MAX)
        return 0;
    for (;;) {
        struct vv_scan_frame frame;
        enum vv_scan_status status;

        rc = vv_scan_look(&walk->scan, &frame, &status, ret_error);
        if (rc != 0 || status != VV_SCAN_FRAME || frame.header.first_lsn <= lsn)
            break;
        walk->vouched = vv_max_u64(walk->vouched, frame.header.durable_lsn);
        if (walk->vouched >= lsn)
            break;
        walk->scan.offset += frame.bytes;
    }
    walk->scan.offset = offset;
    *ret_vouched = walk->vouched >= lsn;
    return rc;
}
