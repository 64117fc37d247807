/* SPDX-License-Identifier: Apache-2.0 */
#include "rot/truth.h"

#include <string.h>

#include "format/frame.h"
#include "format/segment.h"

static uint64_t at_least(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool readable(const struct rot_case *c, uint32_t node, uint64_t offset, uint64_t len)
{
    for (unsigned i = 0; i < c->unreadable_count; i++) {
        const struct rot_unreadable *u = &c->unreadable[i];
        if (u->node == node && offset < (u->bytes == UINT64_MAX ? u->bytes : u->offset + u->bytes) &&
            u->offset < offset + len) {
            return false;
        }
    }
    return true;
}

static const void *page_of(const struct crash_fs *fs, uint32_t node, uint64_t offset)
{
    const struct crash_node *n = &fs->nodes[node];
    size_t page = (size_t)(offset / CRASH_PAGE);
    return page < n->page_count ? n->pages[page] : NULL;
}

/* Whether the file has these bytes as the log had them. What was not touched still shares its pages. */
static bool same(const struct rot_case *c, uint32_t node, uint32_t was, uint64_t offset, uint64_t len)
{
    if (!readable(c, node, offset, len)) {
        return false;
    }
    while (len > 0) {
        unsigned char now[CRASH_PAGE], before[CRASH_PAGE];
        uint64_t left = CRASH_PAGE - offset % CRASH_PAGE;
        size_t bytes = (size_t)(len < left ? len : left);
        if (page_of(&c->fs, node, offset) != page_of(&c->log->fs, was, offset)) {
            crash_fs_read(&c->fs, node, now, bytes, offset);
            crash_fs_read(&c->log->fs, was, before, bytes, offset);
            if (memcmp(now, before, bytes) != 0) {
                return false;
            }
        }
        offset += bytes;
        len -= bytes;
    }
    return true;
}

static void find_segments(const struct rot_case *c, struct rot_truth *t)
{
    uint32_t nodes[ROT_SEGMENTS];
    const struct rot_log *log = c->log;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        const struct rot_segment *s = &log->segments[i];
        nodes[i] = crash_fs_find(&c->fs, log->dir, s->name);
        t->header_same[i] = nodes[i] != CRASH_NONE &&
                            same(c, nodes[i], s->node, 0, VV_SEGMENT_CHECKED_BYTES) &&
                            readable(c, nodes[i], 0, VV_SEGMENT_HEADER_BYTES);
        t->carriers_same = t->carriers_same && t->header_same[i];
        uint64_t rest = s->sound ? s->end : 0;
        t->rest_same = t->rest_same && nodes[i] != CRASH_NONE &&
                       c->fs.nodes[nodes[i]].size == s->file_bytes &&
                       same(c, nodes[i], s->node, rest, s->file_bytes - rest);
    }
    for (uint32_t i = 0; i < log->frame_count; i++) {
        const struct rot_frame *f = &log->frames[i];
        uint32_t node = nodes[f->segment_index];
        t->frame_same[i] =
            node != CRASH_NONE && same(c, node, log->segments[f->segment_index].node, f->offset,
                                       VV_FRAME_HEADER_BYTES + (uint64_t)f->stored_bytes);
        t->carriers_same = t->carriers_same && (t->frame_same[i] || !f->part);
    }
}

static void find_manifest(const struct rot_case *c, struct rot_truth *t)
{
    const struct rot_log *log = c->log;
    uint32_t node = crash_fs_find(&c->fs, log->dir, "MANIFEST");
    char text[ROT_TEXT + 1];
    uint64_t size = node != CRASH_NONE ? c->fs.nodes[node].size : UINT64_MAX;
    if (size > ROT_TEXT || !readable(c, node, 0, size)) {
        return;
    }
    crash_fs_read(&c->fs, node, text, (size_t)size, 0);
    t->manifest_same = size == log->manifest_bytes && memcmp(text, log->manifest_text, size) == 0;
    t->manifest_valid = vv_manifest_decode(text, (size_t)size, &t->manifest, NULL) == 0;
}

static bool names_same(const struct rot_case *c)
{
    const struct crash_node *was = &c->log->fs.nodes[c->log->dir], *now = &c->fs.nodes[c->log->dir];
    if (was->name_count != now->name_count) {
        return false;
    }
    for (size_t i = 0; i < was->name_count; i++) {
        if (crash_fs_find(&c->fs, c->log->dir, was->names[i].name) == CRASH_NONE) {
            return false;
        }
    }
    return true;
}

static bool same_log(const struct rot_case *c, const struct rot_truth *t)
{
    return t->manifest_valid && memcmp(t->manifest.uuid, c->log->uuid, sizeof c->log->uuid) == 0;
}

static void find_vouched(const struct rot_case *c, struct rot_truth *t)
{
    const struct rot_log *log = c->log;
    if (same_log(c, t)) {
        t->vouched = t->manifest.last_lsn;
    }
    for (uint32_t i = 0; i < log->segment_count; i++) {
        if (log->segments[i].sound && t->header_same[i]) {
            t->vouched = at_least(t->vouched, log->segments[i].base_lsn - 1);
        }
    }
    for (uint32_t i = 0; i < log->frame_count; i++) {
        const struct rot_frame *f = &log->frames[i];
        if (f->part && t->frame_same[i] && t->header_same[f->segment_index]) {
            t->vouched = at_least(t->vouched, f->durable_lsn);
        }
    }
}

static void find_prefix(const struct rot_case *c, struct rot_truth *t)
{
    const struct rot_log *log = c->log;
    t->prefix = log->first_lsn - 1;
    for (uint32_t i = 0; i < log->frame_count; i++) {
        const struct rot_frame *f = &log->frames[i];
        if (!f->part) {
            continue;
        }
        if (!t->frame_same[i] || !t->header_same[f->segment_index]) {
            break;
        }
        t->prefix = f->first_lsn + f->records - 1;
    }
}

void rot_truth_find(const struct rot_case *c, struct rot_truth *ret_truth)
{
    *ret_truth = (struct rot_truth){.carriers_same = true, .rest_same = true};
    find_segments(c, ret_truth);
    find_manifest(c, ret_truth);
    ret_truth->names_same = names_same(c);
    ret_truth->carriers_same = ret_truth->carriers_same && ret_truth->manifest_same && ret_truth->names_same;
    ret_truth->rest_same = ret_truth->rest_same && ret_truth->carriers_same;
    find_vouched(c, ret_truth);
    find_prefix(c, ret_truth);
}
