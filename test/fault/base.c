/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/base.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/frame.h"
#include "format/segment.h"
#include "lib/bytes.h"

static _Noreturn void base_die(const char *what, const char *why)
{
    fprintf(stderr, "fault: the disk to begin with: %s: %s\n", what, why);
    exit(1);
}

static struct varve_log *base_open(struct fault_base *base)
{
    struct varve_options options = base->options;
    struct varve_error error = {.message = "?"};
    struct varve_log *log;
    options.size = sizeof options;
    options.io = &base->memory.io;
    options.durability = VARVE_STRICT;
    if (varve_open(FAULT_LOG, &options, &log, &error) != 0) {
        base_die("open", error.message);
    }
    return log;
}

void fault_base_init(struct fault_base *base, size_t bytes_min, size_t bytes_max)
{
    test_memory_init(&base->memory, 512);
    test_ledger_init(&base->ledger, 1, bytes_min, bytes_max);
    base->trimmed = 0;
    base->code = 0;
    base->skip = false;
    base->gone_first = base->gone_last = 0;
    base->gone = (struct fault_place){.lsn = 0};
}

void fault_base_close(struct fault_base *base)
{
    test_ledger_free(&base->ledger);
    test_memory_close(&base->memory);
}

/* The process died: the system has all that was written. A table points to the struct that it is in, so the
 * files go there and back by way of a copy. */
static void base_kill(struct fault_base *base, struct varve_log *log)
{
    struct test_memory killed;
    test_memory_crash(&base->memory, TEST_CRASH_ALL, NULL, &killed);
    (void)varve_close(log, NULL);
    test_memory_close(&base->memory);
    test_memory_crash(&killed, TEST_CRASH_ALL, NULL, &base->memory);
    test_memory_close(&killed);
}

void fault_base_fill(struct fault_base *base, unsigned records, bool closed)
{
    struct varve_log *log = base_open(base);
    if (test_ledger_fill(&base->ledger, log, records) != 0) {
        base_die("append", "an error");
    }
    fault_settle_log(log);
    if (!closed) {
        base_kill(base, log);
    } else if (varve_close(log, NULL) != 0) {
        base_die("close", "an error");
    }
}

void fault_base_tear(struct fault_base *base)
{
    struct varve_log *log = base_open(base);
    unsigned char *data = malloc(base->ledger.bytes_max);
    struct fault_place place = {.lsn = 0};
    size_t bytes;
    assert(data != NULL);
    uint64_t id = test_ledger_offer(&base->ledger, data, &bytes);
    const struct varve_record record = {.data = data, .data_bytes = bytes, .type = (uint8_t)id};
    if (varve_append_record(log, &record, VARVE_STRICT, &place.lsn) != 0) {
        base_die("append", "an error");
    }
    free(data);
    fault_settle_log(log);
    base_kill(base, log);
    fault_base_flip_record(base, place.lsn);
}

static int base_see_frame(void *arg, const struct varve_frame_info *info)
{
    struct fault_place *place = arg;
    if (info->state == VARVE_FRAME_SOUND && info->first_lsn <= place->lsn &&
        place->lsn - info->first_lsn < info->records) {
        place->segment = info->segment;
        place->offset = info->offset;
        place->bytes = info->frame_bytes;
        place->first_lsn = info->first_lsn;
        place->last_lsn = info->first_lsn + info->records - 1;
        return 1;
    }
    return 0;
}

bool fault_base_find(struct fault_base *base, struct fault_place *place)
{
    const struct varve_visitor visitor = {.size = sizeof visitor, .arg = place, .frame = base_see_frame};
    return varve_inspect(FAULT_LOG, &base->memory.io, &visitor, NULL) == 1;
}

static int base_see_segment(void *arg, const struct varve_segment_info *info)
{
    if (info->state == VARVE_SEGMENT_SOUND) {
        *(uint64_t *)arg = info->number;
    }
    return 0;
}

uint64_t fault_base_last_segment(struct fault_base *base)
{
    uint64_t number = 0;
    const struct varve_visitor visitor = {
        .size = sizeof visitor, .arg = &number, .segment = base_see_segment};
    if (varve_inspect(FAULT_LOG, &base->memory.io, &visitor, NULL) != 0) {
        base_die("inspect", "an error");
    }
    return number;
}

static struct varve_dir *base_dir(struct fault_base *base)
{
    struct varve_io *io = &base->memory.io;
    struct varve_dir *dir;
    int created;
    if (io->dir_open(io, NULL, FAULT_LOG, 0, &dir, &created) != 0) {
        base_die("directory", "cannot be opened");
    }
    return dir;
}

static void base_flip(struct fault_base *base, uint64_t segment, uint64_t offset)
{
    struct varve_dir *dir = base_dir(base);
    char name[VV_SEGMENT_NAME_BYTES];
    vv_segment_name(segment, name);
    test_bytes_io_flip(&base->memory.io, dir, name, offset, 3);
    base->memory.io.dir_close(&base->memory.io, dir);
}

void fault_base_flip_record(struct fault_base *base, uint64_t lsn)
{
    struct fault_place place = {.lsn = lsn};
    if (!fault_base_find(base, &place)) {
        base_die("damage", "no such record");
    }
    /* Behind the header of the first record. */
    base_flip(base, place.segment, place.offset + VV_FRAME_HEADER_BYTES + 24);
}

void fault_base_flip_header(struct fault_base *base, uint64_t segment)
{
    base_flip(base, segment, 40); /* the salt */
}

void fault_base_blank_header(struct fault_base *base, uint64_t segment)
{
    static const uint8_t zeros[VV_SEGMENT_HEADER_BYTES];
    struct varve_dir *dir = base_dir(base);
    char name[VV_SEGMENT_NAME_BYTES];
    vv_segment_name(segment, name);
    test_bytes_io_patch(&base->memory.io, dir, name, 0, zeros, sizeof zeros);
    base->memory.io.dir_close(&base->memory.io, dir);
}

void fault_base_make_foreign(struct fault_base *base, uint64_t segment)
{
    struct varve_dir *dir = base_dir(base);
    struct varve_io *io = &base->memory.io;
    char name[VV_SEGMENT_NAME_BYTES];
    struct vv_segment_header header;
    size_t bytes;
    vv_segment_name(segment, name);
    uint8_t *content = test_bytes_io_read(io, dir, name, &bytes);
    if (vv_segment_decode(content, bytes, &header) != VV_SEGMENT_OK) {
        base_die("damage", "no header");
    }
    header.uuid[0] ^= 1;
    vv_segment_encode(&header, content);
    test_bytes_io_patch(io, dir, name, 0, content, VV_SEGMENT_HEADER_BYTES);
    free(content);
    io->dir_close(io, dir);
}

void fault_base_remove(struct fault_base *base, uint64_t segment)
{
    struct varve_dir *dir = base_dir(base);
    struct varve_io *io = &base->memory.io;
    char name[VV_SEGMENT_NAME_BYTES];
    vv_segment_name(segment, name);
    if (io->unlink(io, dir, name) != 0 || io->dir_sync(io, dir) != 0) {
        base_die("damage", "a segment cannot be removed");
    }
    io->dir_close(io, dir);
}

void fault_base_truncate(struct fault_base *base, const char *name, uint64_t bytes)
{
    struct varve_dir *dir = base_dir(base);
    struct varve_io *io = &base->memory.io;
    struct varve_file *file;
    if (io->open(io, dir, name, VARVE_IO_WRITE, &file) != 0 || io->truncate(io, file, bytes) != 0 ||
        io->sync(io, file) != 0) {
        base_die("damage", "a file cannot be cut");
    }
    io->close(io, file);
    io->dir_close(io, dir);
}
