/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict: what the bytes at a break mean.
 *
 * The question is always the same: was what is missing here ever acknowledged? It was, when something that
 * was written later says so: a frame's durable LSN, the base LSN of a later segment, MANIFEST's clean end.
 * Then it is damage. When nothing does, it is a write that a crash cut off, or simply the end.
 */
#include "log/verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/record.h"
#include "log/decode.h"

/* Beside a live writer the end is looked at again and again: only so far, as more would be there soon if
 * anything is. Where something vouches for what is missing it is not the end. */
#define LIVE_BYTES (UINT64_C(256) << 10)

/* What MANIFEST vouches for: the log was closed with it, or was opened with it, which made it durable first.
 */
static uint64_t clean_lsn(const struct vv_walk *walk)
{
    return walk->chain->manifest_rc == 0 ? walk->chain->manifest.last_lsn : 0;
}

/* Whether MANIFEST says that the log was closed at just this place. */
static bool closed_here(const struct vv_walk *walk)
{
    const struct vv_manifest *m = &walk->chain->manifest;

    return walk->chain->manifest_rc == 0 && m->clean && m->last_lsn + 1 == walk->expected;
}

static void set(struct vv_walk *walk, enum varve_verdict verdict, uint64_t segment, uint64_t offset,
                uint64_t end, uint64_t lsn_last)
{
    struct vv_damage *d = &walk->damage;

    *d = (struct vv_damage){
        .verdict = verdict,
        .segment = segment,
        .offset = offset,
        .end_offset = end,
        .lsn_first = walk->expected,
        .lsn_last = lsn_last,
    };
}

static void say_lost(struct vv_damage *d, const char *what)
{
    char name[VV_SEGMENT_NAME_BYTES];

    vv_segment_name(d->segment, name);
    if (d->lsn_last > d->lsn_first)
        snprintf(d->message, sizeof d->message,
                 "%s, byte %" PRIu64 ": %s; LSN %" PRIu64 " to %" PRIu64 " are gone", name, d->offset, what,
                 d->lsn_first, d->lsn_last);
    else
        snprintf(d->message, sizeof d->message, "%s, byte %" PRIu64 ": %s; LSN %" PRIu64 " is gone", name,
                 d->offset, what, d->lsn_first);
}

/* The last LSN that is known to have been acknowledged: by the clean end, or because its loss was accepted
 * before. After a crash nothing else may say so any more, and it must not be given again. */
static uint64_t known_lsn(const struct vv_walk *walk)
{
    uint64_t accepted = walk->accepted ? vv_lost_from(walk->accepted, walk->expected) : 0;

    return vv_max_u64(clean_lsn(walk), accepted);
}

/* The last LSN that is gone for certain when reading goes on at `rest`, or behind the segment. */
static uint64_t last_gone(const struct vv_walk *walk, const struct vv_link *link,
                          const struct vv_scan_rest *rest, uint64_t vouched)
{
    if (rest->found)
        return rest->frame.header.first_lsn - 1;
    if (link->end_lsn != UINT64_MAX)
        return link->end_lsn - 1;
    return vv_max_u64(vouched, walk->expected);
}

static const char *what_is_broken(enum vv_scan_status status, const struct vv_scan_frame *frame)
{
    switch (status) {
    case VV_SCAN_BAD_BODY:
        return "the body of a frame does not check";
    case VV_SCAN_BROKEN:
        return "the header of a frame does not check";
    case VV_SCAN_FRAME:
        return "a frame with an unexpected LSN";
    case VV_SCAN_OTHER:
        return "a frame from an earlier life of the file stands where one is missing";
    case VV_SCAN_NONE:
    case VV_SCAN_FULL:
        break;
    }
    return frame->zero ? "zeros where a frame should be" : "no frame where one should be";
}

static void say_torn(struct vv_walk *walk, uint64_t offset)
{
    char name[VV_SEGMENT_NAME_BYTES];

    vv_segment_name(walk->damage.segment, name);
    snprintf(walk->damage.message, sizeof walk->damage.message,
             "%s, byte %" PRIu64 ": a torn write; LSN %" PRIu64 " and above were never acknowledged", name,
             offset, walk->expected);
}

/* Nothing vouches for what should come here. In a file that had an earlier life, bytes that are no frame are
 * that life's for all that can be told; in one that was all zeros they are what arrived of a write. */
static void not_acknowledged(struct vv_walk *walk, const struct vv_scan_frame *frame,
                             enum vv_scan_status status, const struct vv_scan_rest *rest)
{
    bool reused = walk->chain->links[walk->index].header.reused || rest->others;
    bool torn = rest->found || rest->broken || status == VV_SCAN_BROKEN || status == VV_SCAN_BAD_BODY ||
                status == VV_SCAN_FRAME || (status == VV_SCAN_NONE && !rest->all_zero && !reused);

    set(walk, torn ? VARVE_VERDICT_TORN : VARVE_VERDICT_CLEAN_END, walk->scan.place.segment, frame->offset,
        walk->scan.place.capacity, walk->expected - 1);
    if (torn)
        say_torn(walk, frame->offset);
}

/* Whether no segment was in use between the two. */
static bool follows(const struct vv_link *next, const struct vv_link *link)
{
    if (next->header.before != 0)
        return next->header.before == link->number;
    return next->number == link->number + 1;
}

/* Whether a file behind this segment has a damaged header. */
static bool damaged_behind(const struct vv_walk *walk)
{
    for (size_t i = walk->index + 1; i < walk->chain->count; i++) {
        if (walk->chain->links[i].state == VV_LINK_BAD)
            return true;
    }
    return false;
}

/* How far the records at the break are sound, whatever is with the header before them; looks no further than
 * `last`. */
static int sound_until(struct vv_walk *walk, uint64_t offset, uint64_t last, uint64_t *ret_lsn,
                       struct varve_error *ret_error)
{
    uint32_t log_seed = vv_record_log_seed(walk->chain->manifest.uuid);
    uint64_t at = 0, begin = offset + VV_FRAME_HEADER_BYTES, lsn = walk->expected;
    size_t len = (size_t)vv_min_u64(walk->scan.place.capacity - begin, VV_SCAN_WINDOW_BYTES);
    struct vv_record record;
    const uint8_t *bytes;
    int rc = vv_scan_bytes(&walk->scan, begin, len, &bytes, ret_error);

    while (rc == 0 && lsn <= last &&
           vv_record_decode(bytes, len, at, vv_record_seed(log_seed, lsn), &record, &at) == VV_RECORD_OK)
        lsn++;
    *ret_lsn = lsn - 1;
    return rc;
}

/* Whether what stands at the break and behind it ends just where the log does, as far as that is known: what
 * a tear has left does not, for what was given again went on. A header that does not check is believed in
 * this alone: a damaged one does not say by chance what MANIFEST says. */
static int reaches_the_end(struct vv_walk *walk, const struct vv_scan_frame *frame,
                           enum vv_scan_status status, const struct vv_scan_rest *rest, bool *ret_reaches,
                           struct varve_error *ret_error)
{
    const struct vv_frame_header *h = &frame->header;
    uint64_t known = known_lsn(walk), lsn = 0;
    bool header = status == VV_SCAN_BAD_BODY || status == VV_SCAN_BROKEN;
    int rc = 0;

    *ret_reaches = rest->last_lsn == known || rest->claimed_lsn == known ||
                   (header && rest->last_lsn == 0 && h->first_lsn + h->count - 1 == known);
    if (!*ret_reaches && !frame->zero && (status == VV_SCAN_BROKEN || status == VV_SCAN_NONE)) {
        rc = sound_until(walk, frame->offset, known, &lsn, ret_error);
        *ret_reaches = rc == 0 && lsn == known;
    }
    return rc;
}

/* Whether what is missing may have been in a segment that cannot be read, because this one ends in a tear:
 * then what stands at the break and behind it was superseded by that one. Not when a frame in this one says
 * that all of it was durable. */
static int may_be_superseded(struct vv_walk *walk, const struct vv_scan_frame *frame,
                             enum vv_scan_status status, const struct vv_scan_rest *rest,
                             bool *ret_superseded, struct varve_error *ret_error)
{
    uint64_t missing = rest->found ? rest->frame.header.first_lsn - 1 : walk->expected;
    const struct vv_link *link = &walk->chain->links[walk->index], *next = link + 1;
    bool reaches;
    int rc;

    *ret_superseded = false;
    if (rest->vouched >= missing)
        return 0;
    if (link->end_lsn == UINT64_MAX) {
        /* Nothing at all is nothing to be mistaken in. */
        if (frame->zero && rest->all_zero)
            return 0;
        rc = reaches_the_end(walk, frame, status, rest, &reaches, ret_error);
        *ret_superseded = rc == 0 && ((rest->found && damaged_behind(walk)) || !reaches);
        return rc;
    }
    while (next->state != VV_LINK_SOUND)
        next++;
    *ret_superseded = !follows(next, link);
    return 0;
}

/* Whether a loss was accepted that ends where the frames behind the break vouch, before the first of them:
 * then they were left behind a tear, and what is missing from there on was a loss of its own. */
static bool accepted_apart(const struct vv_walk *walk, const struct vv_scan_rest *rest)
{
    return rest->found && walk->accepted && rest->vouched >= walk->expected &&
           rest->vouched < rest->frame.header.first_lsn - 1 &&
           vv_lost_has(walk->accepted, walk->expected, rest->vouched);
}

int vv_verdict_break(struct vv_walk *walk, const struct vv_scan_frame *frame, enum vv_scan_status status,
                     struct vv_resume *ret_resume, struct varve_error *ret_error)
{
    const struct vv_link *link = &walk->chain->links[walk->index];
    bool live_end = walk->live && link->end_lsn == UINT64_MAX &&
                    vv_max_u64(known_lsn(walk), walk->vouched) < walk->expected;
    uint64_t vouched;
    struct vv_scan_rest rest;
    enum varve_verdict verdict = VARVE_VERDICT_CORRUPT;
    bool superseded, apart;
    int rc;

    *ret_resume = (struct vv_resume){.in_segment = false};
    /* After a clean shutdown at just this LSN there is nothing to look for in the zeros behind. */
    if (status == VV_SCAN_NONE && frame->zero && closed_here(walk) && link->end_lsn == UINT64_MAX) {
        set(walk, VARVE_VERDICT_CLEAN_END, link->number, frame->offset, walk->scan.place.capacity,
            walk->expected - 1);
        return 0;
    }
    rc = vv_scan_beyond(&walk->scan, live_end ? LIVE_BYTES : UINT64_MAX, walk->expected, walk->expected,
                        &rest, ret_error);
    if (rc != 0)
        return rc;
    /* What a later segment supersedes is not a place to go on at. */
    if (rest.found && rest.frame.header.first_lsn >= link->end_lsn)
        rest.found = false;
    vouched = vv_max_u64(rest.vouched, known_lsn(walk));
    if (vouched < walk->expected && link->end_lsn == UINT64_MAX) {
        not_acknowledged(walk, frame, status, &rest);
        return 0;
    }
    /* Damage, and behind it a tear: what is left there was never acknowledged. */
    apart = accepted_apart(walk, &rest);
    if (apart || (link->end_lsn == UINT64_MAX && rest.found && rest.frame.header.first_lsn - 1 > vouched))
        rest.found = false;
    rc = may_be_superseded(walk, frame, status, &rest, &superseded, ret_error);
    if (rc != 0)
        return rc;
    if (superseded && link->end_lsn != UINT64_MAX)
        verdict = VARVE_VERDICT_HOLE; /* the next segments say more */
    else if (superseded && rest.found)
        verdict = VARVE_VERDICT_MISSING_SEGMENT;
    else if (rest.found)
        *ret_resume =
            (struct vv_resume){true, rest.frame.offset,
                               link->end_lsn == UINT64_MAX && rest.vouched < rest.frame.header.first_lsn - 1};
    else if (rest.all_zero && frame->zero)
        verdict = link->end_lsn != UINT64_MAX ? VARVE_VERDICT_HOLE : VARVE_VERDICT_MISSING_SEGMENT;
    rest.found = rest.found && !superseded;
    /* What superseded it may be in the next file, whose header is damaged. */
    ret_resume->unsure = ret_resume->unsure || (superseded && link->end_lsn == UINT64_MAX);
    set(walk, verdict, link->number, frame->offset,
        rest.found ? rest.frame.offset : walk->scan.place.capacity,
        apart ? rest.vouched : last_gone(walk, link, &rest, vouched));
    walk->damage.trust = superseded ? VV_TRUST_NONE : VV_TRUST_ALL;
    walk->damage.seed = walk->scan.place.seed;
    walk->damage.sector_bytes = walk->scan.place.sector_bytes;
    walk->damage.salt = link->header.salt;
    if (verdict == VARVE_VERDICT_MISSING_SEGMENT)
        say_lost(&walk->damage, "the log was closed with more than this and the rest is missing");
    else
        say_lost(&walk->damage, what_is_broken(status, frame));
    return 0;
}

/* The segment that was in use before this one, by what this one says of it; NULL when it is not there. Where
 * it does not say, the file before. */
static const struct vv_link *used_before(const struct vv_walk *walk, const struct vv_link *link)
{
    if (link->header.before == 0)
        return walk->index > 0 ? link - 1 : NULL;
    for (size_t i = walk->index; i-- > 0;) {
        if (walk->chain->links[i].number == link->header.before)
            return &walk->chain->links[i];
    }
    return NULL;
}

/* Whether a segment before this one is not there. A number alone may be skipped: that of a file that was
 * prepared and never used. */
static bool segment_missing(const struct vv_walk *walk, const struct vv_link *link,
                            const struct vv_link *before)
{
    uint64_t first = walk->chain->manifest.first_segment;

    if (link->header.before != 0)
        return !before && link->header.before >= first;
    return link->number > (before ? before->number + 1 : first);
}

void vv_verdict_gap(struct vv_walk *walk, const struct vv_link *link)
{
    const struct vv_link *before = used_before(walk, link);
    bool missing = segment_missing(walk, link, before);
    enum varve_verdict verdict = missing ? VARVE_VERDICT_MISSING_SEGMENT : VARVE_VERDICT_HOLE;
    const char *what =
        missing ? "the segment before it is missing" : "it starts past the LSN that should come next";

    if (before && before->state != VV_LINK_SOUND) {
        /* The file is there: its bytes are what is set aside, and may still hold sound records. A number that
         * was never used may come behind it. */
        verdict = VARVE_VERDICT_HOLE;
        what = "the segment has no header";
        if (before->state == VV_LINK_BAD) {
            verdict = VARVE_VERDICT_CORRUPT;
            what = "the header of the segment does not check";
        }
        set(walk, verdict, before->number, 0, before->file_bytes, link->header.base_lsn - 1);
        walk->damage.trust = VV_TRUST_VOUCHED;
        say_lost(&walk->damage, what);
        return;
    }
    set(walk, verdict, link->number, 0, 0, link->header.base_lsn - 1);
    say_lost(&walk->damage, what);
}

/* What the frames of a segment without a sound header say. */
struct evidence {
    uint64_t durable; /* the highest durable LSN */
    uint64_t last;    /* the highest LSN of a sound record */
};

/* Whether header and body of an encoded frame agree on a salt, whichever that was, and the header on its
 * place: then they are as they were written. */
static int agrees_with_itself(struct vv_walk *walk, const struct vv_scan_frame *frame, bool *ret_agrees,
                              struct varve_error *ret_error)
{
    const struct vv_frame_header *h = &frame->header;
    const uint8_t *bytes;
    uint32_t crc = 0;
    int rc;

    *ret_agrees = false;
    if (h->segment != walk->scan.place.segment ||
        (uint64_t)h->sector * walk->scan.place.sector_bytes != frame->offset)
        return 0;
    rc = vv_scan_bytes(&walk->scan, frame->offset, VV_FRAME_HEADER_BYTES, &bytes, ret_error);
    if (rc == 0)
        rc = vv_scan_checksum(&walk->scan, vv_frame_seed_of(bytes), frame->offset + VV_FRAME_HEADER_BYTES,
                              h->stored_bytes, &crc, ret_error);
    *ret_agrees = rc == 0 && crc == h->body_crc;
    return rc;
}

/* How many records at the beginning of the body are sound and in their place; without the salt that is all
 * that can be checked, and of an encoded frame, for which there may be no key, not even that. */
static int sound_records(struct vv_walk *walk, const struct vv_scan_frame *frame, uint32_t *ret_count,
                         struct varve_error *ret_error)
{
    uint32_t log_seed = vv_record_log_seed(walk->chain->manifest.uuid), count = 0;
    const struct vv_frame_header *h = &frame->header;
    uint64_t offset = 0, room = walk->scan.file_bytes - frame->offset - VV_FRAME_HEADER_BYTES;
    struct vv_record record;
    const uint8_t *body;
    int rc;

    *ret_count = 0;
    if (h->stored_bytes > VV_FRAME_BODY_MAX || h->stored_bytes > room)
        return 0;
    if (h->codec != 0) {
        bool agrees = false;

        rc = agrees_with_itself(walk, frame, &agrees, ret_error);
        *ret_count = agrees ? h->count : 0;
        return rc;
    }
    rc = vv_decode_body(&walk->scan, frame, &body, ret_error);
    if (rc != 0)
        return rc;
    while (count < h->count &&
           vv_record_decode(body, h->stored_bytes, offset, vv_record_seed(log_seed, h->first_lsn + count),
                            &record, &offset) == VV_RECORD_OK)
        count++;
    *ret_count = count;
    return 0;
}

/* Weighs what stands at scan->offset, and steps behind it. */
static int weigh(struct vv_walk *walk, const struct vv_scan_frame *frame, enum vv_scan_status status,
                 struct evidence *e, struct varve_error *ret_error)
{
    const struct vv_frame_header *h = &frame->header;
    uint32_t count = status == VV_SCAN_FRAME ? h->count : 0;
    bool trusted = status == VV_SCAN_FRAME || status == VV_SCAN_BAD_BODY;

    walk->scan.offset += status == VV_SCAN_FRAME ? frame->bytes : walk->scan.place.sector_bytes;
    if (h->first_lsn == 0 || h->durable_lsn >= h->first_lsn)
        return 0;
    if (status == VV_SCAN_BROKEN && h->count != 0) {
        int rc = sound_records(walk, frame, &count, ret_error);

        if (rc != 0)
            return rc;
        trusted = count != 0;
    } else if (status == VV_SCAN_BROKEN) {
        /* A mark has no record to vouch for it, but it comes just behind one. */
        trusted = e->last != 0 && h->first_lsn == e->last + 1;
    }
    if (trusted)
        e->durable = vv_max_u64(e->durable, h->durable_lsn);
    if (count != 0)
        e->last = vv_max_u64(e->last, h->first_lsn + count - 1);
    return 0;
}

/* Reads a segment whose header is gone, or does not check. Its salt may be gone with it, so that every header
 * of a frame is "broken"; what can be checked all the same is a record's own checksum, which starts from UUID
 * and LSN. What cannot be read is no evidence of anything, so that is an error. */
static int gather(struct vv_walk *walk, const struct vv_link *link, struct evidence *ret_evidence,
                  struct varve_error *ret_error)
{
    struct vv_scan *scan = &walk->scan;
    struct vv_link guess = vv_chain_guess(link);
    struct varve_error error;
    int rc;

    *ret_evidence = (struct evidence){0, 0};
    if (link->file_bytes < 2 * VV_SEGMENT_HEADER_BYTES)
        return 0;
    rc = vv_scan_open(scan, walk->chain, &guess, &error);
    /* Removed meanwhile: trimmed, and no part of the log any more. */
    if (rc == VARVE_E_TRIMMED)
        return 0;
    if (rc != 0)
        vv_error_copy(ret_error, &error);
    while (rc == 0) {
        struct vv_scan_frame frame;
        enum vv_scan_status status;

        rc = vv_scan_zeros(scan, ret_error);
        if (rc == 0)
            rc = vv_scan_look(scan, &frame, &status, ret_error);
        if (rc != 0 || status == VV_SCAN_FULL)
            break;
        rc = weigh(walk, &frame, status, ret_evidence, ret_error);
    }
    vv_scan_close(scan);
    return rc;
}

int vv_verdict_headless(struct vv_walk *walk, const struct vv_link *link, bool *ret_headless,
                        struct varve_error *ret_error)
{
    uint64_t known = vv_max_u64(known_lsn(walk), walk->vouched);
    struct evidence e;
    int rc;

    *ret_headless = false;
    /* After a clean shutdown at just this LSN, whatever stands here is not the log's. */
    if (link->end_lsn != UINT64_MAX || (link->state != VV_LINK_BLANK && link->state != VV_LINK_BAD) ||
        closed_here(walk) || (walk->live && link->state == VV_LINK_BLANK))
        return 0;
    rc = gather(walk, link, &e, ret_error);
    if (rc != 0)
        return rc;
    if (e.durable >= walk->expected || (link->state == VV_LINK_BAD && known >= walk->expected)) {
        set(walk, VARVE_VERDICT_CORRUPT, link->number, 0, link->file_bytes,
            vv_max_u64(vv_max_u64(e.durable, e.last), known));
        walk->damage.trust = VV_TRUST_VOUCHED;
        say_lost(&walk->damage, link->state == VV_LINK_BLANK ? "the header of the segment is gone"
                                                             : "the header of the segment does not check");
        *ret_headless = true;
    } else if (link->state == VV_LINK_BAD) {
        set(walk, VARVE_VERDICT_TORN, link->number, 0, link->file_bytes, walk->expected - 1);
        say_torn(walk, 0);
        *ret_headless = true;
    }
    return 0;
}

/* A log that was trimmed kept a file to go on from. */
static bool begins_nowhere(const struct vv_chain *chain)
{
    return chain->manifest_rc == 0 && chain->manifest.first_lsn > 1 &&
           (chain->count == 0 || chain->links[0].number != chain->manifest.first_segment);
}

void vv_verdict_chain_end(struct vv_walk *walk)
{
    uint64_t known = known_lsn(walk);
    const char *what = "the log was closed with this segment, and it is missing";

    if (known < walk->expected && walk->end_segment == 0 && walk->lost == 0 && begins_nowhere(walk->chain)) {
        known = walk->expected;
        what = "the log begins with this segment, and it is missing";
    }
    if (known < walk->expected) {
        set(walk, VARVE_VERDICT_CLEAN_END, walk->end_segment, walk->end_offset, 0, walk->expected - 1);
        return;
    }
    set(walk, VARVE_VERDICT_MISSING_SEGMENT,
        walk->end_segment ? walk->end_segment + 1 : walk->chain->manifest.first_segment, 0, 0, known);
    say_lost(&walk->damage, what);
}
