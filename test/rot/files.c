/* SPDX-License-Identifier: Apache-2.0 */
#include "rot/files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/segment.h"
#include "rot/edit.h"

/* A file becomes what another one is, in size too. */
static void become(struct rot_case *c, uint32_t node, const struct crash_fs *from_fs, uint32_t from)
{
    crash_fs_resize(&c->fs, node, 0);
    if (from != CRASH_NONE) {
        crash_fs_resize(&c->fs, node, from_fs->nodes[from].size);
        rot_copy_bytes(c, from_fs, from, 0, node, 0, (size_t)from_fs->nodes[from].size);
    }
}

static void unread(struct rot_case *c, uint32_t node)
{
    if (c->unreadable_count < ROT_UNREADABLE) {
        c->unreadable[c->unreadable_count++] = (struct rot_unreadable){node, 0, UINT64_MAX};
    }
}

/* The node that has that name in a file system of this log, or of another; CRASH_NONE if none has. */
static uint32_t find_in(const struct crash_fs *fs, const char *name)
{
    return crash_fs_find(fs, crash_fs_find(fs, CRASH_ROOT, "log"), name);
}

/* -- MANIFEST -- */

uint64_t rot_manifest_bits(const struct rot_log *log, const struct rot_scenario *scenario)
{
    (void)scenario;
    return 8 * (uint64_t)log->manifest_bytes;
}

void rot_flip_manifest_bit(struct rot_case *c, uint64_t number)
{
    rot_say(c, "MANIFEST: bit %" PRIu64 " of byte %" PRIu64, number % 8, number / 8);
    rot_flip(c, c->log->manifest, number);
}

enum {
    MANIFEST_STALE,
    MANIFEST_FOREIGN,
    MANIFEST_GONE,
    MANIFEST_GARBAGE,
    MANIFEST_ZEROS,
    MANIFEST_LONGER,
    MANIFEST_TWICE,
    MANIFEST_HUGE,
    MANIFEST_UNREADABLE,
    MANIFEST_SWAPS, /* and so many more: two lines swapped */
    LINES = 8,
    SWAPS = LINES * (LINES - 1) / 2
};

/* Every length is one more. */
uint64_t rot_manifest_changes(const struct rot_log *log, const struct rot_scenario *scenario)
{
    (void)scenario;
    return MANIFEST_SWAPS + SWAPS + log->manifest_bytes;
}

static void grow(struct rot_case *c, uint32_t node, size_t bytes)
{
    uint64_t size = c->fs.nodes[node].size;
    crash_fs_resize(&c->fs, node, size + bytes);
    if (test_rng_once_in(&c->rng, 2)) {
        rot_put_garbage(c, node, bytes, size);
    }
}

static void swap_lines(struct rot_case *c, uint64_t number)
{
    const char *starts[LINES + 1] = {c->log->manifest_text};
    const char *end = c->log->manifest_text + c->log->manifest_bytes;
    unsigned lines = 0, a = 0, b = 1;
    for (const char *at = starts[0]; at < end && lines < LINES; at++) {
        if (*at == '\n') {
            starts[++lines] = at + 1;
        }
    }
    rot_must(lines == LINES && starts[lines] == end);
    while (number-- > 0) {
        b++;
        if (b == LINES) {
            b = ++a + 1;
        }
    }
    char text[ROT_TEXT];
    size_t bytes = 0;
    for (unsigned i = 0; i < LINES; i++) {
        unsigned from = i == a ? b : i == b ? a : i;
        memcpy(text + bytes, starts[from], (size_t)(starts[from + 1] - starts[from]));
        bytes += (size_t)(starts[from + 1] - starts[from]);
    }
    rot_say(c, "MANIFEST: lines %u and %u swapped", a, b);
    rot_put(c, c->log->manifest, text, bytes, 0);
}

void rot_change_manifest(struct rot_case *c, uint64_t number)
{
    uint32_t node = c->log->manifest;
    size_t bytes = c->log->manifest_bytes;
    if (number >= MANIFEST_SWAPS + SWAPS) {
        uint64_t length = number - MANIFEST_SWAPS - SWAPS;
        rot_say(c, "MANIFEST: cut to %" PRIu64 " bytes", length);
        crash_fs_resize(&c->fs, node, length);
        return;
    }
    if (number >= MANIFEST_SWAPS) {
        swap_lines(c, number - MANIFEST_SWAPS);
        return;
    }
    rot_say(c, "MANIFEST: change %" PRIu64, number);
    switch (number) {
    case MANIFEST_STALE:
        become(c, node, &c->log->stale, find_in(&c->log->stale, "MANIFEST"));
        break;
    case MANIFEST_FOREIGN:
        become(c, node, &c->other->fs, c->other->manifest);
        break;
    case MANIFEST_GONE:
        crash_fs_drop_name(&c->fs, c->log->dir, "MANIFEST");
        break;
    case MANIFEST_GARBAGE:
        rot_put_garbage(c, node, bytes, 0);
        break;
    case MANIFEST_ZEROS:
        rot_put_zeros(c, node, bytes, 0);
        break;
    case MANIFEST_LONGER:
        grow(c, node, 1);
        break;
    case MANIFEST_TWICE:
        crash_fs_resize(&c->fs, node, 2 * bytes);
        rot_put(c, node, c->log->manifest_text, bytes, bytes);
        break;
    case MANIFEST_HUGE:
        grow(c, node, 1 << 20);
        break;
    default:
        unread(c, node);
        break;
    }
}

/* -- cut anywhere -- */

enum {
    NEAR = 640, /* lengths, every one, that end in the last frames or just behind */
    SHORT = 18,
    ANYWHERE = 100,
    GROWN = 6,
    CUTS = NEAR + SHORT + ANYWHERE + GROWN
};

static const uint64_t short_lengths[SHORT] = {0,   1,   2,   7,   8,   16,  40,   64,   123,
                                              124, 127, 128, 129, 511, 512, 4095, 4096, 4097};

uint64_t rot_cuts(const struct rot_log *log, const struct rot_scenario *scenario)
{
    return log->segment_count * (CUTS * scenario->per_cent / 100);
}

/* A length near the segment's end: every one in the last segment that is used, every fourth in others. */
static uint64_t near_end(const struct rot_log *log, uint32_t segment, uint64_t number)
{
    bool last = segment + 2 == log->segment_count;
    uint64_t back = last ? number : 4 * number, end = log->segments[segment].end + (last ? 64 : 256);
    return end > back ? end - back : 0;
}

void rot_cut(struct rot_case *c, uint64_t number)
{
    const struct rot_log *log = c->log;
    uint32_t index = (uint32_t)(number % log->segment_count);
    const struct rot_segment *s = &log->segments[index];
    uint64_t length;
    number /= log->segment_count;
    if (c->scenario->per_cent < 100) {
        number = test_rng_below(&c->rng, CUTS);
    }
    if (number < NEAR) {
        length = near_end(log, index, number);
    } else if (number < NEAR + SHORT) {
        length = short_lengths[number - NEAR];
    } else if (number < NEAR + SHORT + ANYWHERE) {
        /* In the frames, or on the edge of a sector. */
        length = test_rng_below(&c->rng, s->end + 1);
        length = number % 2 ? length / log->sector_bytes * log->sector_bytes : length;
    } else {
        static const size_t more[GROWN] = {1, 512, 4095, 4096, 1 << 20, 3 << 20};
        size_t bytes = more[number - NEAR - SHORT - ANYWHERE];
        rot_say(c, "%s: %zu bytes longer", s->name, bytes);
        grow(c, s->node, bytes);
        return;
    }
    if (length > s->file_bytes) {
        length = s->file_bytes;
    }
    rot_say(c, "%s: cut to %" PRIu64 " bytes", s->name, length);
    crash_fs_resize(&c->fs, s->node, length);
}

/* -- whole segments -- */

enum {
    ONE_ZEROED,
    ONE_GARBAGE,
    ONE_GONE,
    ONE_HEADER_ZEROED,
    ONE_HEADER_GARBAGE,
    ONE_UNREADABLE,
    ONE_STALE,
    ONE_FOREIGN,
    ONE_FOREIGN_HEADER,
    ONE_RENAMED_NEAR,
    ONE_RENAMED_FAR,
    ONE_ALL_BEFORE_GONE,
    ONE_ALL_BEHIND_GONE,
    ONE_FRAMES_ZEROED,
    ONE_COUNT,
    TWO_COPIED = 0,
    TWO_SWAPPED,
    TWO_HEADER_COPIED,
    TWO_RENAMED,
    TWO_FRAMES_COPIED,
    TWO_COUNT
};

uint64_t rot_segment_changes(const struct rot_log *log, const struct rot_scenario *scenario)
{
    uint64_t n = log->segment_count;
    (void)scenario;
    return n * ONE_COUNT + n * (n - 1) * TWO_COUNT;
}

static void drop_segment(struct rot_case *c, uint32_t index)
{
    crash_fs_drop_name(&c->fs, c->log->dir, c->log->segments[index].name);
}

static void rename_segment(struct rot_case *c, uint32_t index, uint64_t number)
{
    char name[VV_SEGMENT_NAME_BYTES];
    vv_segment_name(number, name);
    drop_segment(c, index);
    crash_fs_set_name(&c->fs, c->log->dir, name, c->log->segments[index].node);
}

static void change_one(struct rot_case *c, unsigned how, uint32_t index)
{
    const struct rot_log *log = c->log;
    const struct rot_segment *s = &log->segments[index];
    const uint64_t last = log->segments[log->segment_count - 1].number;
    const size_t all = (size_t)s->file_bytes, header = VV_SEGMENT_HEADER_BYTES;
    rot_say(c, "%s: change %u", s->name, how);
    switch (how) {
    case ONE_ZEROED:
        rot_put_zeros(c, s->node, all, 0);
        break;
    case ONE_GARBAGE:
        rot_put_garbage(c, s->node, all, 0);
        break;
    case ONE_GONE:
        drop_segment(c, index);
        break;
    case ONE_HEADER_ZEROED:
        rot_put_zeros(c, s->node, header, 0);
        break;
    case ONE_HEADER_GARBAGE:
        rot_put_garbage(c, s->node, header, 0);
        break;
    case ONE_UNREADABLE:
        unread(c, s->node);
        break;
    case ONE_STALE:
        become(c, s->node, &log->stale, find_in(&log->stale, s->name));
        break;
    case ONE_FOREIGN:
        become(c, s->node, &c->other->fs, find_in(&c->other->fs, s->name));
        break;
    case ONE_FOREIGN_HEADER:
        rot_copy_bytes(c, &c->other->fs, c->other->segments[0].node, 0, s->node, 0, header);
        break;
    case ONE_RENAMED_NEAR:
        rename_segment(c, index, last + 1);
        break;
    case ONE_RENAMED_FAR:
        rename_segment(c, index, test_rng_next(&c->rng) | 1);
        break;
    case ONE_ALL_BEFORE_GONE:
        for (uint32_t i = 0; i <= index; i++) {
            drop_segment(c, i);
        }
        break;
    case ONE_ALL_BEHIND_GONE:
        for (uint32_t i = index; i < log->segment_count; i++) {
            drop_segment(c, i);
        }
        break;
    default:
        rot_put_zeros(c, s->node, all - header, header);
        break;
    }
}

static void change_two(struct rot_case *c, unsigned how, uint32_t a, uint32_t b)
{
    const struct rot_log *log = c->log;
    const struct rot_segment *from = &log->segments[a], *to = &log->segments[b];
    rot_say(c, "%s and %s: change %u", from->name, to->name, how);
    switch (how) {
    case TWO_COPIED:
        become(c, to->node, &log->fs, from->node);
        break;
    case TWO_SWAPPED:
        crash_fs_set_name(&c->fs, log->dir, from->name, to->node);
        crash_fs_set_name(&c->fs, log->dir, to->name, from->node);
        break;
    case TWO_HEADER_COPIED:
        rot_copy_bytes(c, &log->fs, from->node, 0, to->node, 0, VV_SEGMENT_HEADER_BYTES);
        break;
    case TWO_RENAMED:
        rename_segment(c, a, to->number);
        break;
    default:
        rot_copy_bytes(c, &log->fs, from->node, VV_SEGMENT_HEADER_BYTES, to->node, VV_SEGMENT_HEADER_BYTES,
                       (size_t)from->file_bytes - VV_SEGMENT_HEADER_BYTES);
        break;
    }
}

void rot_change_segments(struct rot_case *c, uint64_t number)
{
    uint32_t n = c->log->segment_count;
    if (number < (uint64_t)n * ONE_COUNT) {
        change_one(c, (unsigned)(number % ONE_COUNT), (uint32_t)(number / ONE_COUNT));
        return;
    }
    number -= (uint64_t)n * ONE_COUNT;
    uint32_t a = (uint32_t)(number / TWO_COUNT / (n - 1)), b = (uint32_t)(number / TWO_COUNT % (n - 1));
    change_two(c, (unsigned)(number % TWO_COUNT), a, b < a ? b : b + 1);
}
