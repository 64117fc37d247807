/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead: the later half of a chain -> which of its frames are sound.
 *
 * In: a chain. Out: for each segment a stretch of sound frames, and where the zeros behind them begin. Next:
 * scan, which asks.
 *
 * Copying out of the page cache is most of what a recovery does, and two processors do it in half the time.
 * The middle is found by going from header to header, without the bodies. Whoever walks the chain finds the
 * same frames there: both go by the same headers, and nobody writes.
 *
 * It cannot fail: where it meets anything but a sound frame, or a read error, it notes nothing and goes on
 * with the next segment.
 */
#include "log/ahead.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/thread.h"
#include "log/scan.h"

struct stretch {
    uint64_t number;
    uint64_t to;       /* behind the last of the sound frames */
    uint64_t at, next; /* the frame that was asked for last, and the next; at first both are the first one */
    uint64_t zero;     /* nothing but zeros from here to the end; UINT64_MAX: not known */
};

struct vv_ahead {
    const struct vv_chain *chain; /* [const] */
    struct vv_link *links;        /* [const] of the later half: the walk may change those of the chain */
    size_t link_count;            /* [const] */
    uint64_t offset;              /* [const] about where in the first of them it begins */
    pthread_t thread;
    bool joined; /* [the walk's thread], as all below */
    _Atomic uint32_t stop;
    struct vv_scan scan; /* [its thread, then the walk's] like the stretches */
    size_t count;
    struct stretch stretches[];
};

/* What is read of a link: frames and the zeros behind them, or the zeros of one that was not used yet. */
static uint64_t link_bytes(const struct vv_link *link)
{
    if (link->state != VV_LINK_SOUND && link->state != VV_LINK_BLANK)
        return 0;
    return link->state == VV_LINK_SOUND ? vv_min_u64(link->file_bytes, link->header.capacity)
                                        : link->file_bytes;
}

/* From header to header to the first frame at or behind `offset`. false: there is none. */
static bool skip_to(struct vv_scan *scan, uint64_t offset)
{
    while (scan->offset < offset) {
        struct vv_scan_frame frame;
        enum vv_scan_status status;

        if (vv_scan_look_at_header(scan, &frame, &status, NULL) != 0 || status != VV_SCAN_FRAME)
            return false;
        scan->offset += frame.bytes;
    }
    return true;
}

/* Notes it when there is nothing but zeros up to the segment's end. */
static void read_zeros(struct vv_ahead *ahead, struct stretch *s)
{
    struct vv_scan *scan = &ahead->scan;
    uint64_t from = scan->offset;

    if (!atomic_load(&ahead->stop) && vv_scan_zeros(scan, NULL) == 0 &&
        scan->offset + scan->place.sector_bytes > vv_min_u64(scan->file_bytes, scan->place.capacity))
        s->zero = from;
}

static void read_frames(struct vv_ahead *ahead, uint64_t offset, struct stretch *s)
{
    struct vv_scan *scan = &ahead->scan;
    struct vv_scan_frame frame;
    enum vv_scan_status status = VV_SCAN_FULL;

    if (!skip_to(scan, offset))
        return;
    s->at = s->next = s->to = scan->offset;
    while (!atomic_load(&ahead->stop) && vv_scan_look(scan, &frame, &status, NULL) == 0 &&
           status == VV_SCAN_FRAME)
        s->to = scan->offset += frame.bytes;
    if (status == VV_SCAN_NONE && frame.zero)
        read_zeros(ahead, s);
}

static void read_link(struct vv_ahead *ahead, const struct vv_link *link, uint64_t offset)
{
    struct stretch *s = &ahead->stretches[ahead->count];
    struct vv_link guess;

    if (link_bytes(link) == 0)
        return;
    guess = link->state == VV_LINK_SOUND ? *link : vv_chain_guess(link);
    if (vv_scan_open(&ahead->scan, ahead->chain, &guess, NULL) != 0)
        return;
    *s = (struct stretch){.number = link->number, .zero = UINT64_MAX};
    ahead->count++;
    if (link->state == VV_LINK_SOUND)
        read_frames(ahead, offset, s);
    else
        read_zeros(ahead, s);
    vv_scan_close(&ahead->scan);
}

static void *run(void *arg)
{
    struct vv_ahead *ahead = arg;
    uint64_t offset = ahead->offset;

    for (size_t i = 0; i < ahead->link_count && !atomic_load(&ahead->stop); i++) {
        read_link(ahead, &ahead->links[i], offset);
        offset = 0;
    }
    return NULL;
}

static struct vv_ahead *make(const struct vv_chain *chain, size_t from, uint64_t offset)
{
    size_t count = chain->count - from;
    struct vv_ahead *ahead = vv_alloc_zero(sizeof *ahead + count * sizeof ahead->stretches[0]);

    if (!ahead)
        return NULL;
    ahead->chain = chain;
    ahead->offset = offset;
    ahead->link_count = count;
    ahead->links = vv_alloc_array(count, sizeof *ahead->links);
    if (!ahead->links || vv_scan_init(&ahead->scan, chain->io) != 0) {
        vv_free(ahead->links);
        vv_free(ahead);
        return NULL;
    }
    memcpy(ahead->links, chain->links + from, count * sizeof *ahead->links);
    return ahead;
}

static void unmake(struct vv_ahead *ahead)
{
    vv_scan_free(&ahead->scan);
    vv_free(ahead->links);
    vv_free(ahead);
}

struct vv_ahead *vv_ahead_start(const struct vv_chain *chain, size_t first, uint64_t bytes_min)
{
    uint64_t total = 0, before = 0;
    struct vv_ahead *ahead;
    size_t from = first;

    for (size_t i = first; i < chain->count; i++)
        total += link_bytes(&chain->links[i]);
    if (total == 0 || total < bytes_min)
        return NULL;
    while (before + link_bytes(&chain->links[from]) <= total / 2)
        before += link_bytes(&chain->links[from++]);
    ahead = make(chain, from, total / 2 - before);
    if (ahead && vv_thread_start(&ahead->thread, "varve-ahead", run, ahead) != 0) {
        unmake(ahead);
        return NULL;
    }
    return ahead;
}

static void join(struct vv_ahead *ahead)
{
    if (!ahead->joined)
        (void)pthread_join(ahead->thread, NULL);
    ahead->joined = true;
}

void vv_ahead_free(struct vv_ahead *ahead)
{
    if (!ahead)
        return;
    atomic_store(&ahead->stop, 1);
    join(ahead);
    unmake(ahead);
}

/* NULL: not of the later half, or nothing was noted of it. */
static struct stretch *find(struct vv_ahead *ahead, uint64_t number, uint64_t offset)
{
    uint64_t first = ahead->links[0].number;

    if (number < first || (number == first && offset < ahead->offset))
        return NULL;
    join(ahead);
    for (size_t i = 0; i < ahead->count; i++) {
        if (ahead->stretches[i].number == number)
            return &ahead->stretches[i];
    }
    return NULL;
}

/* In step from the stretch's first frame on: only so is a place that looks like a frame one of those that
 * were summed, and not bytes inside one of them. */
bool vv_ahead_sound(struct vv_ahead *ahead, uint64_t number, uint64_t offset, uint64_t bytes)
{
    struct stretch *s = find(ahead, number, offset);

    if (!s || offset >= s->to || bytes > s->to - offset || (offset != s->at && offset != s->next))
        return false;
    s->at = offset;
    s->next = offset + bytes;
    return true;
}

bool vv_ahead_zero(struct vv_ahead *ahead, uint64_t number, uint64_t offset)
{
    const struct stretch *s = find(ahead, number, offset);

    return s && offset >= s->zero;
}

uint64_t vv_ahead_bytes_read(struct vv_ahead *ahead)
{
    uint64_t bytes;

    if (!ahead->joined)
        return 0;
    bytes = ahead->scan.bytes_read;
    ahead->scan.bytes_read = 0;
    return bytes;
}
