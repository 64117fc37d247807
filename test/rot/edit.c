/* SPDX-License-Identifier: Apache-2.0 */
#include "rot/edit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/segment.h"

enum {
    BEYOND = 4 /* sectors behind the last frame */
};

void rot_say(struct rot_case *c, const char *format, ...)
{
    size_t at = strlen(c->what);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->what + at, sizeof c->what - at, format, args);
    va_end(args);
}

const char *rot_name_of(const struct rot_case *c, uint32_t node)
{
    const struct crash_node *dir = &c->log->fs.nodes[c->log->dir];
    for (size_t i = 0; i < dir->name_count; i++) {
        if (dir->names[i].node == node) {
            return dir->names[i].name;
        }
    }
    return "?";
}

/* How many of `len` bytes at `offset` the file has. */
static size_t inside(const struct rot_case *c, uint32_t node, size_t len, uint64_t offset)
{
    uint64_t size = c->fs.nodes[node].size;
    uint64_t left = size > offset ? size - offset : 0;
    return len < left ? len : (size_t)left;
}

void rot_put(struct rot_case *c, uint32_t node, const void *data, size_t len, uint64_t offset)
{
    len = inside(c, node, len, offset);
    if (len > 0) {
        crash_fs_write(&c->fs, node, data, len, offset);
    }
}

void rot_put_zeros(struct rot_case *c, uint32_t node, size_t len, uint64_t offset)
{
    rot_put(c, node, NULL, len, offset);
}

void rot_put_garbage(struct rot_case *c, uint32_t node, size_t len, uint64_t offset)
{
    len = inside(c, node, len, offset);
    unsigned char *bytes = crash_need(len);
    test_rng_fill(&c->rng, bytes, len);
    rot_put(c, node, bytes, len, offset);
    free(bytes);
}

void rot_flip(struct rot_case *c, uint32_t node, uint64_t bit)
{
    unsigned char byte;
    crash_fs_read(&c->fs, node, &byte, 1, bit / 8);
    byte ^= (unsigned char)(1U << bit % 8);
    rot_put(c, node, &byte, 1, bit / 8);
}

void rot_copy_bytes(struct rot_case *c, const struct crash_fs *from_fs, uint32_t from, uint64_t from_offset,
                    uint32_t to, uint64_t to_offset, size_t len)
{
    unsigned char *bytes = crash_need(len);
    uint64_t size = from_fs->nodes[from].size;
    size_t left = size > from_offset ? (size_t)(size - from_offset) : 0;
    crash_fs_read(from_fs, from, bytes, len < left ? len : left, from_offset);
    rot_put(c, to, bytes, len, to_offset);
    free(bytes);
}

static uint64_t sectors_in(const struct rot_log *log, uint32_t segment)
{
    const struct rot_segment *s = &log->segments[segment];
    uint64_t end = s->end + (uint64_t)BEYOND * log->sector_bytes;
    return (end < s->file_bytes ? end : s->file_bytes) / log->sector_bytes;
}

uint64_t rot_sector_count(const struct rot_log *log)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        count += sectors_in(log, i);
    }
    return count;
}

struct rot_sector rot_sector_at(const struct rot_log *log, uint64_t index)
{
    uint32_t segment = 0;
    while (index >= sectors_in(log, segment)) {
        index -= sectors_in(log, segment++);
    }
    return (struct rot_sector){segment, index * log->sector_bytes};
}

const struct rot_frame *rot_any_frame(struct rot_case *c)
{
    return &c->log->frames[test_rng_below(&c->rng, c->log->frame_count)];
}

uint32_t rot_frame_node(const struct rot_case *c, const struct rot_frame *frame)
{
    return c->log->segments[frame->segment_index].node;
}
