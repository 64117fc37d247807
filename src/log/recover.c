/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover: a chain of segments -> where the log ends.
 *
 * In: a chain, as a crash may have left it. Out: the next LSN, and whether the last segment can be gone on
 * with. Nothing is rewritten and nothing is cut: after a torn tail the next frame starts a fresh segment, and
 * what lies behind the tear is superseded by that.
 *
 * Ways to fail: damage, under the policies that refuse it; a read error; a key that the last encrypted frame
 * was not written with.
 */
#include "log/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/tooth.h"
#include "format/record.h"
#include "log/ahead.h"
#include "log/decode.h"
#include "log/stages.h"
#include "log/tell.h"

struct recovering {
    struct varve_log *log;
    struct vv_chain *chain;
    struct vv_lost lost;
    bool kept; /* the lines that were there are durable */
    uint64_t damaged_segment;
    struct varve_recovery *stats;
    struct varve_error *ret_error;
    uint64_t total_bytes, done_bytes;
};

static int on_damage(void *arg, const struct vv_damage *damage)
{
    struct recovering *r = arg;
    struct varve_log *log = r->log;
    bool known = vv_lost_has(&r->lost, damage->lsn_first, damage->lsn_last);

    if (r->stats->verdict <= VARVE_VERDICT_TORN) {
        r->stats->verdict = damage->verdict;
        r->stats->segment = damage->segment;
        r->stats->offset = damage->offset;
    }
    if (damage->offset == 0 && damage->end_offset != 0)
        r->damaged_segment = damage->segment;
    /* So that it stays seen to be missing: the next segment must not get its number. */
    if (damage->trust == VV_TRUST_NONE)
        r->damaged_segment = damage->segment + 1;
    if (r->stats->lost_records == 0)
        r->stats->lost_first = damage->lsn_first;
    r->stats->lost_records += damage->lsn_last + 1 - damage->lsn_first;
    r->stats->lost_last = damage->lsn_last;
    vv_tell(log, DAMAGE_PASSED,
            VV_ABOUT(.segment = damage->segment, .offset = damage->offset, .lsn = damage->lsn_first), "%s%s",
            damage->message, known ? " (set aside before, in lost/)" : "; passed over");
    if (log->read_only || log->in_memory || (known && r->kept))
        return 0;
    if (known) {
        /* From now on the log is built on that line. */
        r->kept = true;
        return vv_lost_keep(log->io, log->dir, r->ret_error);
    }
    return vv_lost_add(&r->lost, log->io, log->dir, log->dir, damage, r->ret_error);
}

static int progress(struct recovering *r, const struct vv_walk *walk)
{
    const struct varve_options *o = &r->log->options;

    if (!o->progress || walk->scan.bytes_read - r->done_bytes < (UINT64_C(16) << 20))
        return 0;
    r->done_bytes = walk->scan.bytes_read;
    if (o->progress(o->progress_arg, vv_min_u64(r->done_bytes, r->total_bytes), r->total_bytes) == 0)
        return 0;
    return vv_error_set(r->ret_error, VARVE_E_CLOSED, 0, "stopped by the caller while reading the log");
}

/* Where to begin: with VARVE_CHECK_TAIL at the last segment but one. */
static uint64_t start_lsn(const struct varve_log *log, const struct vv_chain *chain)
{
    unsigned sound = 0;

    if (log->options.check == VARVE_CHECK_FULL)
        return 0;
    for (size_t i = chain->count; i-- > 0;) {
        if (chain->links[i].state == VV_LINK_SOUND && ++sound == 2)
            return chain->links[i].header.base_lsn;
    }
    return 0;
}

/* The body of a frame that was given before. */
static int body_of(struct vv_walk *walk, const struct vv_scan_frame *frame, uint64_t segment,
                   const uint8_t **ret_body, struct varve_error *ret_error)
{
    for (size_t i = 0; i < walk->chain->count; i++) {
        if (walk->chain->links[i].number == segment) {
            int rc = vv_scan_open(&walk->scan, walk->chain, &walk->chain->links[i], ret_error);

            if (rc != 0)
                return rc;
        }
    }
    return vv_decode_body(&walk->scan, frame, ret_body, ret_error);
}

/* A log is not gone on with under keys that are not its own: what is written would be under two keys of one
 * id. */
static int check_codec(struct recovering *r, struct vv_walk *walk)
{
    const uint8_t *body;

    if (walk->encoded_segment == 0)
        return 0;
    return body_of(walk, &walk->encoded, walk->encoded_segment, &body, r->ret_error);
}

/* The time of the last record: its frame's, and how long after. The only record of a frame set the frame's
 * time itself, and may be too large to be read for this. */
static int last_time(struct recovering *r, struct vv_walk *walk, uint64_t *ret_us)
{
    const struct vv_scan_frame *last = &walk->last;
    uint64_t offset = 0, max = 0;
    const uint8_t *body;
    int rc;

    *ret_us = last->header.time_us;
    if (last->header.count <= 1)
        return 0;
    rc = body_of(walk, last, walk->last_segment, &body, r->ret_error);
    for (uint32_t i = 0; rc == 0 && i < last->header.count; i++) {
        struct vv_record record;

        if (vv_record_decode(body, last->header.raw_bytes, offset, 0, &record, &offset) == VV_RECORD_LOST)
            break;
        max = vv_max_u64(max, record.delta_us);
    }
    *ret_us += max;
    return rc;
}

/* What only the bodies of the last frames say. Damage there is passed over where all damage is: a cursor says
 * then what is gone. */
static int look_inside(struct recovering *r, struct vv_walk *walk, uint64_t *ret_us)
{
    int rc = last_time(r, walk, ret_us);

    if (rc == 0)
        rc = check_codec(r, walk);
    if (rc == VARVE_E_CORRUPT && r->log->options.policy == VARVE_POLICY_SKIP)
        rc = 0;
    return rc;
}

static int read_all(struct recovering *r, struct vv_walk *walk)
{
    struct vv_scan_frame frame;
    int rc;

    while ((rc = vv_walk_next(walk, &frame, r->ret_error)) == 0) {
        rc = progress(r, walk);
        if (rc != 0)
            return rc;
    }
    /* Nobody trims a log whose lock is held here. */
    if (rc == VARVE_E_TRIMMED)
        return vv_error_set(r->ret_error, VARVE_E_IO, ENOENT,
                            "a segment was taken away while the log was read");
    return rc == VARVE_END ? 0 : rc;
}

static void fill_stats(struct vv_recovered *out, const struct vv_walk *walk, const struct vv_chain *chain,
                       uint64_t first_lsn)
{
    struct varve_recovery *s = &out->stats;

    s->segments = walk->segments;
    s->frames = walk->frames;
    s->marks = walk->marks;
    s->records = walk->records;
    s->bytes = walk->scan.bytes_read;
    s->first_lsn = first_lsn;
    s->last_lsn = walk->expected > first_lsn ? walk->expected - 1 : 0;
    if (s->verdict == VARVE_VERDICT_CLEAN_END && walk->damage.verdict != VARVE_VERDICT_CLEAN_END) {
        s->verdict = walk->damage.verdict;
        s->segment = walk->damage.segment;
        s->offset = walk->damage.offset;
    }
    out->next_lsn = walk->expected;
    out->vouched_lsn = walk->vouched;
    out->end_segment = walk->end_segment;
    out->end_offset = walk->end_offset;
    out->unvouched_offset = walk->unvouched_offset;
    /* What was passed over at the very end stays as it is: a new frame there would come behind a gap. */
    out->torn = walk->damage.verdict == VARVE_VERDICT_TORN;
    out->go_on = (walk->damage.verdict == VARVE_VERDICT_CLEAN_END || VV_TOOTH(TORN_TAIL_GONE_ON_WITH)) &&
                 walk->end_segment != 0 && walk->end_lsn == walk->expected;
    for (size_t i = 0; i < chain->count; i++) {
        /* Behind a damaged or foreign file nothing goes on in an older one. */
        if (chain->links[i].number > walk->end_segment && chain->links[i].state != VV_LINK_BLANK)
            out->go_on = false;
    }
}

int vv_recover_chain(struct varve_log *log, struct vv_chain *chain, struct vv_recovered *ret_recovered,
                     struct varve_error *ret_error)
{
    struct recovering r = {
        .log = log, .chain = chain, .stats = &ret_recovered->stats, .ret_error = ret_error};
    uint64_t start_us = log->io->monotonic_us(log->io);
    uint64_t first_lsn = chain->manifest.first_lsn ? chain->manifest.first_lsn : 1;
    struct vv_walk walk;
    int rc;

    memset(ret_recovered, 0, sizeof *ret_recovered);
    for (size_t i = 0; i < chain->count; i++)
        r.total_bytes += chain->links[i].state == VV_LINK_SOUND ? chain->links[i].file_bytes : 0;
    rc = vv_lost_load(&r.lost, log->io, log->dir, ret_error);
    if (rc != 0)
        return rc;
    if (r.lost.unread != 0)
        vv_tell(log, LOST_UNREAD, VV_ABOUT(.segment = 0),
                VV_LOST_DIR "/" VV_LOST_INDEX ": %" PRIu64
                            " lines do not check; a loss that they accepted is damage again",
                r.lost.unread);
    rc = vv_walk_init(&walk, chain, start_lsn(log, chain), log->options.policy);
    if (rc != 0) {
        vv_lost_free(&r.lost);
        return vv_error_set(ret_error, rc, 0, "reading the log");
    }
    walk.accepted = &r.lost;
    walk.damaged = on_damage;
    walk.damaged_arg = &r;
    walk.scan.ahead = vv_ahead_start(chain, walk.index, VV_AHEAD_BYTES_MIN);
    rc = read_all(&r, &walk);
    vv_ahead_free(walk.scan.ahead);
    walk.scan.ahead = NULL;
    if (rc == 0) {
        fill_stats(ret_recovered, &walk, chain, first_lsn);
        ret_recovered->damaged_segment = r.damaged_segment;
        ret_recovered->stats.duration_us = log->io->monotonic_us(log->io) - start_us;
        if (walk.damage.verdict == VARVE_VERDICT_TORN)
            vv_tell(log, TORN_TAIL,
                    VV_ABOUT(.segment = walk.damage.segment, .offset = walk.damage.offset,
                             .lsn = walk.expected),
                    "%s; the log goes on in a fresh segment", walk.damage.message);
        rc = look_inside(&r, &walk, &ret_recovered->last_time_us);
    }
    vv_walk_free(&walk);
    vv_lost_free(&r.lost);
    return rc;
}
