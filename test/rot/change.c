/* SPDX-License-Identifier: Apache-2.0 */
#include "rot/change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/frame.h"
#include "format/segment.h"
#include "rot/edit.h"
#include "rot/files.h"

/* -- bits -- */

enum {
    HEADER_BITS = 8 * VV_SEGMENT_CHECKED_BYTES,
    HEADER_REST_BITS = 8 * (VV_SEGMENT_HEADER_BYTES - VV_SEGMENT_CHECKED_BYTES),
    HEADER_REST_SAMPLES = 64,
    FRAME_BITS = 8 * VV_FRAME_HEADER_BYTES
};

/* Sectors, frames and so on that are more than a few are taken by chance. */
static uint64_t at_most(uint64_t count, uint64_t most)
{
    return count < most ? count : most;
}

static uint64_t share(const struct rot_scenario *scenario, uint64_t count)
{
    return count * scenario->per_cent / 100;
}

static bool every_header_bit(const struct rot_log *log, const struct rot_scenario *scenario)
{
    return scenario->every_header_bit && log->closed;
}

static uint64_t segment_bits(const struct rot_log *log, const struct rot_scenario *scenario)
{
    uint64_t all = every_header_bit(log, scenario) ? HEADER_REST_BITS : 0;
    return log->segment_count * (HEADER_BITS + HEADER_REST_SAMPLES) + all;
}

static void flip_segment_bit(struct rot_case *c, uint64_t number)
{
    const uint64_t each = HEADER_BITS + HEADER_REST_SAMPLES;
    uint32_t segment = (uint32_t)(number / each);
    uint64_t bit = number % each;
    if (segment >= c->log->segment_count) {
        bit = HEADER_BITS + (number - c->log->segment_count * each);
        segment = 0;
    } else if (bit >= HEADER_BITS) {
        bit = HEADER_BITS + test_rng_below(&c->rng, HEADER_REST_BITS);
    }
    const struct rot_segment *s = &c->log->segments[segment];
    rot_say(c, "%s: bit %" PRIu64 " of byte %" PRIu64, s->name, bit % 8, bit / 8);
    rot_flip(c, s->node, bit);
}

static uint64_t frame_bits(const struct rot_log *log, const struct rot_scenario *scenario)
{
    return share(scenario, (uint64_t)log->frame_count * FRAME_BITS);
}

static void flip_frame_bit(struct rot_case *c, uint64_t number)
{
    uint64_t all = (uint64_t)c->log->frame_count * FRAME_BITS;
    if (c->scenario->per_cent < 100) {
        number = test_rng_below(&c->rng, all);
    }
    const struct rot_frame *frame = &c->log->frames[number / FRAME_BITS];
    uint64_t bit = number % FRAME_BITS;
    rot_say(c, "%s: frame at %" PRIu64 ": bit %" PRIu64 " of byte %" PRIu64 " of its header",
            rot_name_of(c, rot_frame_node(c, frame)), frame->offset, bit % 8, bit / 8);
    rot_flip(c, rot_frame_node(c, frame), 8 * frame->offset + bit);
}

static uint64_t body_bits(const struct rot_log *log, const struct rot_scenario *scenario)
{
    (void)log;
    return share(scenario, 2000);
}

/* Of every body in turn; one in three in what stands before the first record's payload. */
static void flip_body_bit(struct rot_case *c, uint64_t number)
{
    const struct rot_frame *frame = &c->log->frames[number % c->log->frame_count];
    uint64_t bytes = frame->stored_bytes;
    if (bytes == 0) {
        /* A mark has none: what is flipped is behind it, and nobody looks there. */
        bytes = frame->bytes - VV_FRAME_HEADER_BYTES;
    } else if (test_rng_once_in(&c->rng, 3)) {
        bytes = at_most(bytes, 40);
    }
    uint64_t bit = test_rng_below(&c->rng, 8 * bytes);
    rot_say(c, "%s: frame at %" PRIu64 ": bit %" PRIu64 " of byte %" PRIu64 " of its body",
            rot_name_of(c, rot_frame_node(c, frame)), frame->offset, bit % 8, bit / 8);
    rot_flip(c, rot_frame_node(c, frame), 8 * (frame->offset + VV_FRAME_HEADER_BYTES) + bit);
}

static uint64_t other_bits(const struct rot_log *log, const struct rot_scenario *scenario)
{
    (void)log;
    return share(scenario, 300);
}

/* Bits that carry nothing: padding, free space, what an earlier life left, files that are not in use. */
static void flip_other_bit(struct rot_case *c, uint64_t number)
{
    const struct crash_node *dir = &c->log->fs.nodes[c->log->dir];
    uint32_t node;
    uint64_t at;
    const struct rot_frame *frame = rot_any_frame(c);
    uint64_t used = VV_FRAME_HEADER_BYTES + frame->stored_bytes;
    if (number % 3 == 0 && used < frame->bytes) {
        node = rot_frame_node(c, frame);
        at = frame->offset + test_rng_range(&c->rng, used, frame->bytes - 1);
    } else if (number % 3 == 1) {
        const struct rot_segment *s = &c->log->segments[test_rng_below(&c->rng, c->log->segment_count)];
        node = s->node;
        at = s->end < s->file_bytes ? test_rng_range(&c->rng, s->end, s->file_bytes - 1) : s->file_bytes - 1;
    } else {
        node = dir->names[test_rng_below(&c->rng, dir->name_count)].node;
        if (c->fs.nodes[node].size == 0) {
            rot_say(c, "%s: empty, nothing to change", rot_name_of(c, node));
            return;
        }
        at = test_rng_below(&c->rng, c->fs.nodes[node].size);
    }
    uint64_t bit = test_rng_below(&c->rng, 8);
    rot_say(c, "%s: bit %" PRIu64 " of byte %" PRIu64, rot_name_of(c, node), bit, at);
    rot_flip(c, node, 8 * at + bit);
}

static uint64_t bursts(const struct rot_log *log, const struct rot_scenario *scenario)
{
    (void)log;
    return share(scenario, 500);
}

/* Neighbouring bytes of a frame, at once. */
static void burst(struct rot_case *c, uint64_t number)
{
    const struct rot_frame *frame = rot_any_frame(c);
    uint32_t node = rot_frame_node(c, frame);
    size_t len = (size_t)test_rng_range(&c->rng, 1, number % 2 ? 8 : 600);
    uint64_t at = frame->offset + test_rng_below(&c->rng, frame->bytes);
    unsigned char bytes[600];
    uint64_t look = test_rng_below(&c->rng, 4);
    test_rng_fill(&c->rng, bytes, len);
    if (look < 2) {
        memset(bytes, look == 0 ? 0 : 0xff, len);
    }
    rot_say(c, "%s: %zu bytes of %s at %" PRIu64, rot_name_of(c, node), len,
            look == 0   ? "zeros"
            : look == 1 ? "ones"
                        : "garbage",
            at);
    rot_put(c, node, bytes, len, at);
}

/* -- sectors -- */

enum {
    MANY = 400
};

static uint64_t any_sectors(const struct rot_log *log, const struct rot_scenario *scenario)
{
    return scenario->per_cent < 100 ? share(scenario, MANY) : at_most(rot_sector_count(log), MANY);
}

/* Each, where they are not too many; else any. */
static struct rot_sector take_sector(struct rot_case *c, uint64_t number)
{
    uint64_t count = rot_sector_count(c->log);
    bool each = c->scenario->per_cent == 100 && count <= MANY;
    return rot_sector_at(c->log, each ? number % count : test_rng_below(&c->rng, count));
}

static uint64_t zeroings(const struct rot_log *log, const struct rot_scenario *scenario)
{
    return 2 * any_sectors(log, scenario);
}

/* One sector, or several in a row. */
static void zero_sectors(struct rot_case *c, uint64_t number)
{
    struct rot_sector s = take_sector(c, number / 2);
    uint64_t count = number % 2 ? test_rng_range(&c->rng, 2, 12) : 1;
    const struct rot_segment *segment = &c->log->segments[s.segment];
    rot_say(c, "%s: %" PRIu64 " sectors zeroed from %" PRIu64, segment->name, count, s.offset);
    rot_put_zeros(c, segment->node, (size_t)(count * c->log->sector_bytes), s.offset);
}

static void garble_sector(struct rot_case *c, uint64_t number)
{
    struct rot_sector s = take_sector(c, number);
    const struct rot_segment *segment = &c->log->segments[s.segment];
    rot_say(c, "%s: a sector of garbage at %" PRIu64, segment->name, s.offset);
    rot_put_garbage(c, segment->node, c->log->sector_bytes, s.offset);
}

static uint64_t pairs(const struct rot_log *log, const struct rot_scenario *scenario)
{
    (void)log;
    return share(scenario, 600);
}

static void swap_sectors(struct rot_case *c, uint64_t number)
{
    uint64_t count = rot_sector_count(c->log);
    struct rot_sector a = rot_sector_at(c->log, test_rng_below(&c->rng, count));
    struct rot_sector b = rot_sector_at(c->log, test_rng_below(&c->rng, count));
    uint32_t from = c->log->segments[a.segment].node, to = c->log->segments[b.segment].node;
    (void)number;
    rot_say(c, "sectors swapped: %s at %" PRIu64 ", %s at %" PRIu64, c->log->segments[a.segment].name,
            a.offset, c->log->segments[b.segment].name, b.offset);
    rot_copy_bytes(c, &c->log->fs, from, a.offset, to, b.offset, c->log->sector_bytes);
    rot_copy_bytes(c, &c->log->fs, to, b.offset, from, a.offset, c->log->sector_bytes);
}

static void copy_sector(struct rot_case *c, uint64_t number)
{
    uint64_t count = rot_sector_count(c->log);
    struct rot_sector a = rot_sector_at(c->log, test_rng_below(&c->rng, count));
    struct rot_sector b = rot_sector_at(c->log, test_rng_below(&c->rng, count));
    (void)number;
    rot_say(c, "sector copied: %s at %" PRIu64 " to %s at %" PRIu64, c->log->segments[a.segment].name,
            a.offset, c->log->segments[b.segment].name, b.offset);
    rot_copy_bytes(c, &c->log->fs, c->log->segments[a.segment].node, a.offset,
                   c->log->segments[b.segment].node, b.offset, c->log->sector_bytes);
}

/* A frame that was written to another place: over another frame, into free space, into another segment. */
static void misplace_frame(struct rot_case *c, uint64_t number)
{
    const struct rot_frame *frame = rot_any_frame(c);
    uint32_t from = rot_frame_node(c, frame);
    struct rot_sector s = rot_sector_at(c->log, test_rng_below(&c->rng, rot_sector_count(c->log)));
    if (number % 3 == 0) {
        const struct rot_frame *over = rot_any_frame(c);
        s = (struct rot_sector){over->segment_index, over->offset};
    } else if (number % 3 == 1) {
        s = (struct rot_sector){frame->segment_index,
                                frame->offset + c->log->sector_bytes * test_rng_range(&c->rng, 1, 3)};
    }
    rot_say(c, "%s: frame at %" PRIu64 " put to %s at %" PRIu64, rot_name_of(c, from), frame->offset,
            c->log->segments[s.segment].name, s.offset);
    rot_copy_bytes(c, &c->log->fs, from, frame->offset, c->log->segments[s.segment].node, s.offset,
                   (size_t)frame->bytes);
    if (test_rng_once_in(&c->rng, 2)) {
        rot_say(c, ", and not where it belongs");
        rot_put_zeros(c, from, (size_t)frame->bytes, frame->offset);
    }
}

/* Writes that the disk said it had done: a sector, or all from there on, is as it was before. */
static void keep_stale_sectors(struct rot_case *c, uint64_t number)
{
    struct rot_sector s = take_sector(c, number);
    const struct rot_segment *segment = &c->log->segments[s.segment];
    uint64_t count = number % 3 == 0 ? segment->file_bytes / c->log->sector_bytes
                                     : test_rng_range(&c->rng, 1, number % 3 == 1 ? 1 : 12);
    uint32_t dir = crash_fs_find(&c->log->stale, CRASH_ROOT, "log");
    uint32_t from = crash_fs_find(&c->log->stale, dir, segment->name);
    uint64_t bytes = count * c->log->sector_bytes;
    rot_say(c, "%s: %" PRIu64 " sectors from %" PRIu64 " on as they were before", segment->name, count,
            s.offset);
    bytes = at_most(bytes, segment->file_bytes - s.offset);
    if (from == CRASH_NONE) {
        rot_put_zeros(c, segment->node, (size_t)bytes, s.offset);
    } else {
        rot_copy_bytes(c, &c->log->stale, from, s.offset, segment->node, s.offset, (size_t)bytes);
    }
}

static void put_foreign_sector(struct rot_case *c, uint64_t number)
{
    struct rot_sector s = take_sector(c, number);
    const struct rot_segment *segment = &c->log->segments[s.segment];
    uint32_t from = crash_fs_find(&c->other->fs, c->other->dir, segment->name);
    rot_say(c, "%s: a sector of another log at %" PRIu64, segment->name, s.offset);
    if (from != CRASH_NONE) {
        rot_copy_bytes(c, &c->other->fs, from, s.offset, segment->node, s.offset, c->log->sector_bytes);
    }
}

static void lose_sector(struct rot_case *c, uint64_t number)
{
    struct rot_sector s = take_sector(c, number);
    if (c->unreadable_count == ROT_UNREADABLE) {
        return;
    }
    c->unreadable[c->unreadable_count++] =
        (struct rot_unreadable){c->log->segments[s.segment].node, s.offset, c->log->sector_bytes};
    rot_say(c, "%s: the sector at %" PRIu64 " cannot be read", c->log->segments[s.segment].name, s.offset);
}

/* -- the table -- */

static void several(struct rot_case *c, uint64_t number);

static uint64_t severals(const struct rot_log *log, const struct rot_scenario *scenario)
{
    (void)log;
    return share(scenario, 1500);
}

static const struct {
    const char *name;
    uint64_t (*count)(const struct rot_log *log, const struct rot_scenario *scenario);
    void (*change)(struct rot_case *c, uint64_t number);
} kinds[] = {
    {"bit of a segment header", segment_bits, flip_segment_bit},
    {"bit of a frame header", frame_bits, flip_frame_bit},
    {"bit of a body", body_bits, flip_body_bit},
    {"bit of what is not used", other_bits, flip_other_bit},
    {"bit of MANIFEST", rot_manifest_bits, rot_flip_manifest_bit},
    {"MANIFEST otherwise", rot_manifest_changes, rot_change_manifest},
    {"bytes in a row", bursts, burst},
    {"sectors zeroed", zeroings, zero_sectors},
    {"sector of garbage", any_sectors, garble_sector},
    {"sectors swapped", pairs, swap_sectors},
    {"sector copied", pairs, copy_sector},
    {"frame misplaced", pairs, misplace_frame},
    {"sectors as before", any_sectors, keep_stale_sectors},
    {"sector of another log", any_sectors, put_foreign_sector},
    {"sector unreadable", any_sectors, lose_sector},
    {"file cut or grown", rot_cuts, rot_cut},
    {"whole segments", rot_segment_changes, rot_change_segments},
    {"several of these", severals, several},
};

enum {
    KINDS = sizeof kinds / sizeof kinds[0]
};

static void several(struct rot_case *c, uint64_t number)
{
    (void)number;
    for (uint64_t left = test_rng_range(&c->rng, 2, 4); left > 0; left--) {
        unsigned kind = (unsigned)test_rng_below(&c->rng, KINDS - 1);
        uint64_t count = kinds[kind].count(c->log, c->scenario);
        if (count > 0) {
            kinds[kind].change(c, test_rng_below(&c->rng, count));
            rot_say(c, left > 1 ? "; " : "");
        }
    }
}

unsigned rot_kind_count(void)
{
    return KINDS;
}

const char *rot_kind_name(unsigned kind)
{
    return kinds[kind].name;
}

uint64_t rot_case_count(const struct rot_log *log, const struct rot_scenario *scenario)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < KINDS; i++) {
        count += kinds[i].count(log, scenario);
    }
    return count;
}

void rot_case_init(struct rot_case *c, const struct rot_scenario *scenario, const struct rot_log *log,
                   const struct rot_log *other, uint64_t number)
{
    uint64_t in_kind = number;
    unsigned kind = 0;
    c->log = log;
    c->other = other;
    c->scenario = scenario;
    c->number = number;
    c->unreadable_count = 0;
    c->what[0] = '\0';
    test_rng_init(&c->rng, test_rng_mix(log->seed) ^ number);
    while (in_kind >= kinds[kind].count(log, scenario)) {
        in_kind -= kinds[kind++].count(log, scenario);
        rot_must(kind < KINDS);
    }
    c->kind = kind;
    crash_fs_copy(&log->fs, &c->fs);
    kinds[kind].change(c, in_kind);
}

void rot_case_free(struct rot_case *c)
{
    crash_fs_free(&c->fs);
}
