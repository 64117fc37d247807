/* SPDX-License-Identifier: Apache-2.0 */
/* What the maker left: where each frame lies, and what a reader must give. */
#include "rot/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/manifest.h"
#include "format/segment.h"
#include "rot/make.h"

const struct rot_record *rot_record_at(const struct rot_log *log, uint64_t lsn)
{
    return lsn >= log->first_lsn && lsn <= log->last_lsn ? &log->records[lsn] : NULL;
}

/* -- the map -- */

static int map_segment(void *arg, const struct varve_segment_info *info)
{
    struct rot_log *log = arg;
    rot_must(log->segment_count < ROT_SEGMENTS);
    struct rot_segment *s = &log->segments[log->segment_count++];
    rot_must(info->state == VARVE_SEGMENT_SOUND || info->state == VARVE_SEGMENT_EMPTY);
    *s = (struct rot_segment){
        .number = info->number,
        .base_lsn = info->base_lsn,
        .file_bytes = info->file_bytes,
        .end = VV_SEGMENT_HEADER_BYTES,
        .sound = info->state == VARVE_SEGMENT_SOUND,
        .node = crash_fs_find(&log->fs, log->dir, info->name),
    };
    (void)snprintf(s->name, sizeof s->name, "%s", info->name);
    return 0;
}

static int map_frame(void *arg, const struct varve_frame_info *info)
{
    struct rot_log *log = arg;
    if (info->state != VARVE_FRAME_SOUND && info->state != VARVE_FRAME_SUPERSEDED) {
        return 0;
    }
    rot_must(log->frame_count < ROT_FRAMES);
    log->frames[log->frame_count++] = (struct rot_frame){
        .segment = info->segment,
        .offset = info->offset,
        .bytes = info->frame_bytes,
        .stored_bytes = info->stored_bytes,
        .records = info->records,
        .first_lsn = info->first_lsn,
        .durable_lsn = info->durable_lsn,
        .segment_index = log->segment_count - 1,
    };
    return 0;
}

/* The LSN with which any later segment begins. */
static uint64_t end_lsn(const struct rot_log *log, uint32_t segment)
{
    uint64_t end = UINT64_MAX;
    for (uint32_t i = segment + 1; i < log->segment_count; i++) {
        if (log->segments[i].sound && log->segments[i].base_lsn < end) {
            end = log->segments[i].base_lsn;
        }
    }
    return end;
}

/* Every LSN is in just one frame of the log. */
static void map_parts(struct rot_log *log)
{
    uint64_t next = log->first_lsn;
    for (uint32_t i = 0; i < log->frame_count; i++) {
        struct rot_frame *f = &log->frames[i];
        struct rot_segment *s = &log->segments[f->segment_index];
        f->part = f->first_lsn < end_lsn(log, f->segment_index);
        if (!f->part) {
            continue;
        }
        rot_must(f->first_lsn == next);
        next += f->records;
        s->end = f->offset + f->bytes;
        for (uint64_t lsn = f->first_lsn; lsn < next; lsn++) {
            log->records[lsn].frame = i;
        }
    }
    rot_must(next == log->last_lsn + 1);
}

static void map(struct rot_log *log, struct varve_io *io)
{
    const struct varve_visitor visitor = {
        .size = sizeof visitor, .arg = log, .segment = map_segment, .frame = map_frame};
    rot_must(varve_inspect("log", io, &visitor, NULL) == 0);
    map_parts(log);
    for (uint32_t i = 0; i < log->segment_count; i++) {
        unsigned char header[VV_SEGMENT_HEADER_BYTES];
        struct vv_segment_header h;
        crash_fs_read(&log->fs, log->segments[i].node, header, sizeof header, 0);
        (void)vv_segment_decode(header, sizeof header, &h);
        log->segments[i].reused = h.reused != 0;
    }
}

/* Every record as it was appended, and its time. */
static void read_back(struct rot_log *log, struct varve_io *io)
{
    const struct varve_options options = {.size = sizeof options, .flags = VARVE_OPEN_READ_ONLY, .io = io};
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct varve_log *open;
    rot_must(varve_open("log", &options, &open, NULL) == 0);
    rot_must(varve_cursor_open(open, VARVE_POLICY_TRUNCATE, &cursor, NULL) == 0);
    log->first_lsn = varve_first_lsn(open);
    uint64_t next = log->first_lsn;
    while (varve_cursor_next(cursor, &entry) == 0) {
        struct rot_record *r = &log->records[next];
        rot_must(entry.lsn == next && next < ROT_RECORDS && r->data != NULL && r->bytes == entry.data_bytes);
        rot_must(memcmp(r->data, entry.data, r->bytes) == 0);
        rot_must(r->type == entry.type && r->flags == entry.flags && r->txn_id == entry.txn_id);
        r->time_us = entry.time_us;
        next++;
    }
    log->last_lsn = next - 1;
    rot_must(log->last_lsn == varve_last_lsn(open));
    varve_cursor_close(cursor);
    rot_must(varve_close(open, NULL) == 0);
}

/* The next segment stands ready, as it often does: a spare, or a new file. */
static void add_ready(struct rot_log *log, uint64_t segment_bytes)
{
    const struct crash_node *dir = &log->fs.nodes[log->dir];
    char spare[CRASH_NAME] = "", name[VV_SEGMENT_NAME_BYTES];
    uint64_t number, last = 0;
    for (size_t i = 0; i < dir->name_count; i++) {
        const char *n = dir->names[i].name;
        if (vv_segment_name_parse(n, &number) && number > last) {
            last = number;
        }
        if (strncmp(n, "spare-", 6) == 0 && (spare[0] == '\0' || strcmp(n, spare) < 0)) {
            memcpy(spare, n, sizeof spare);
        }
    }
    vv_segment_name(last + 1, name);
    if (spare[0] != '\0') {
        uint32_t node = crash_fs_find(&log->fs, log->dir, spare);
        crash_fs_drop_name(&log->fs, log->dir, spare);
        crash_fs_set_name(&log->fs, log->dir, name, node);
    } else {
        uint32_t node = log->fs.count;
        crash_fs_add_node(&log->fs, node, false, log->dir);
        log->fs.nodes[node].size = segment_bytes;
        crash_fs_set_name(&log->fs, log->dir, name, node);
    }
}

void rot_log_make(struct rot_log *log, const struct rot_scenario *scenario, uint64_t seed, bool closed)
{
    struct rot_maker maker;
    struct crash_disk disk;
    struct crash_fs copy;
    *log = (struct rot_log){
        .scenario = scenario->name,
        .seed = seed,
        .closed = closed,
        .sector_bytes = scenario->sector_bytes,
        .records = crash_need(ROT_RECORDS * sizeof *log->records),
        .frames = crash_need(ROT_FRAMES * sizeof *log->frames),
    };
    rot_make_init(&maker, log, scenario->sector_bytes);
    scenario->make(&maker);
    if (closed) {
        rot_make_close(&maker);
    } else {
        rot_kill(&maker);
    }
    crash_disk_copy(&maker.disk, &log->fs);
    rot_must(log->stale.count > 0);
    log->dir = crash_fs_find(&log->fs, CRASH_ROOT, "log");
    add_ready(log, maker.options.segment_bytes);
    rot_make_free(&maker);
    crash_fs_copy(&log->fs, &copy);
    crash_disk_init(&disk, &copy, 1);
    read_back(log, &disk.io);
    map(log, &disk.io);
    crash_disk_close(&disk);
    log->manifest = crash_fs_find(&log->fs, log->dir, "MANIFEST");
    log->manifest_bytes = (size_t)log->fs.nodes[log->manifest].size;
    rot_must(log->manifest_bytes <= sizeof log->manifest_text);
    crash_fs_read(&log->fs, log->manifest, log->manifest_text, log->manifest_bytes, 0);
    struct vv_manifest manifest;
    rot_must(vv_manifest_decode(log->manifest_text, log->manifest_bytes, &manifest, NULL) == 0);
    memcpy(log->uuid, manifest.uuid, sizeof log->uuid);
}

void rot_log_free(struct rot_log *log)
{
    for (uint64_t lsn = 0; lsn < ROT_RECORDS; lsn++) {
        free(log->records[lsn].data);
        for (unsigned i = 0; i < log->older_count; i++) {
            free(log->older[i][lsn].data);
        }
    }
    for (unsigned i = 0; i < log->older_count; i++) {
        free(log->older[i]);
    }
    free(log->records);
    free(log->frames);
    crash_fs_free(&log->fs);
    crash_fs_free(&log->stale);
}

uint64_t rot_log_sum(const struct rot_log *log)
{
    const struct crash_node *dir = &log->fs.nodes[log->dir];
    uint64_t all = 0;
    for (size_t i = 0; i < dir->name_count; i++) {
        uint64_t sum = 1, words[CRASH_PAGE / sizeof(uint64_t)];
        const struct crash_name *name = &dir->names[i];
        /* It says which process made it. */
        if (strcmp(name->name, "LOCK") == 0) {
            continue;
        }
        for (const char *c = name->name; *c != '\0'; c++) {
            sum = test_rng_mix(sum ^ (unsigned char)*c);
        }
        for (uint64_t at = 0; at < log->fs.nodes[name->node].size; at += CRASH_PAGE) {
            crash_fs_read(&log->fs, name->node, words, sizeof words, at);
            for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
                sum = words[w] != 0 ? test_rng_mix(sum ^ words[w] ^ (at + w) << 32) : sum;
            }
        }
        all += test_rng_mix(sum ^ log->fs.nodes[name->node].size);
    }
    return all;
}
