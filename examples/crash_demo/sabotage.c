/* SPDX-License-Identifier: Apache-2.0 */
/* Damage on purpose, to the files of the log between two writers. What the writer itself does wrong is in
 * writer.c. */
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[] = {
    [SABOTAGE_NONE] = "none",       [SABOTAGE_DROP] = "drop",     [SABOTAGE_DUPLICATE] = "duplicate",
    [SABOTAGE_REORDER] = "reorder", [SABOTAGE_CHANGE] = "change", [SABOTAGE_DAMAGE] = "damage",
};

int sabotage_parse(const char *name, enum sabotage *ret_kind)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_kind = (enum sabotage)i;
            return 0;
        }
    }
    return -1;
}

const char *sabotage_name(enum sabotage kind)
{
    return names[kind];
}

/* Where a record's frame lies. */
struct place {
    uint64_t lsn; /* that is looked for */
    char segment_name[64];
    uint64_t segment;
    uint64_t offset;
    uint64_t frame_bytes;
    int found;
    uint64_t vouched_lsn; /* the highest for which a frame behind it vouches */
    /* while walking */
    char walking_name[64];
    const char *wipe_dir; /* second walk: wipe what follows the place */
    int failed;
};

static int note_segment(void *arg, const struct varve_segment_info *segment)
{
    struct place *place = arg;
    snprintf(place->walking_name, sizeof place->walking_name, "%s", segment->name);
    return 0;
}

static int note_frame(void *arg, const struct varve_frame_info *frame)
{
    struct place *place = arg;
    if (frame->state == VARVE_FRAME_SOUND && frame->durable_lsn > place->vouched_lsn)
        place->vouched_lsn = frame->durable_lsn;
    if (frame->state != VARVE_FRAME_SOUND || frame->first_lsn > place->lsn ||
        place->lsn - frame->first_lsn >= frame->records)
        return 0;
    memcpy(place->segment_name, place->walking_name, sizeof place->segment_name);
    place->segment = frame->segment;
    place->offset = frame->offset;
    place->frame_bytes = frame->frame_bytes;
    place->found = 1;
    return 0;
}

static int find(const struct demo *demo, uint64_t lsn, struct place *ret_place)
{
    struct varve_error error = {0};
    memset(ret_place, 0, sizeof *ret_place);
    ret_place->lsn = lsn;
    struct varve_visitor visitor = {
        .size = sizeof visitor,
        .arg = ret_place,
        .segment = note_segment,
        .frame = note_frame,
    };
    if (varve_inspect(demo->log_path, NULL, &visitor, &error) != VARVE_OK)
        return demo_complain("sabotage: %s", error.message);
    if (!ret_place->found)
        return demo_complain("sabotage: LSN %llu is not in the log", (unsigned long long)lsn);
    return 0;
}

static int open_segment(const struct demo *demo, const char *name, uint64_t *ret_bytes)
{
    char path[4096];
    struct stat info;
    int length = snprintf(path, sizeof path, "%s/%s", demo->log_path, name);
    int fd = length > 0 && (size_t)length < sizeof path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0 || fstat(fd, &info) < 0)
        return demo_complain("sabotage: %s: %s", name, strerror(errno));
    *ret_bytes = (uint64_t)info.st_size;
    return fd;
}

static int wipe(const struct demo *demo, const char *name, uint64_t from)
{
    static const char zeros[4096];
    uint64_t bytes = 0;
    int fd = open_segment(demo, name, &bytes);
    if (fd < 0)
        return -1;
    int failed = 0;
    for (uint64_t at = from; at < bytes && !failed; at += sizeof zeros) {
        size_t piece = bytes - at < sizeof zeros ? (size_t)(bytes - at) : sizeof zeros;
        failed = pwrite(fd, zeros, piece, (off_t)at) != (ssize_t)piece;
    }
    close(fd);
    return failed ? demo_complain("sabotage: %s: write failed", name) : 0;
}

/* A segment behind the one with the record can only hold what was not acknowledged. */
static int wipe_later(void *arg, const struct varve_segment_info *segment)
{
    struct place *place = arg;
    const struct demo demo = {.log_path = place->wipe_dir};
    if (segment->number > place->segment && segment->state != VARVE_SEGMENT_EMPTY)
        place->failed |= wipe(&demo, segment->name, 0) < 0;
    return 0;
}

/* As if the disk had said "durable" and not written: the record and all behind it were never there. Varve
 * cannot know, unless an opening has noted since how far the log went; whoever keeps account of what was
 * acknowledged can. */
static int drop(const struct demo *demo, uint64_t lsn)
{
    struct place place;
    struct varve_error error = {0};
    if (find(demo, lsn, &place) < 0 || wipe(demo, place.segment_name, place.offset) < 0)
        return -1;
    place.wipe_dir = demo->log_path;
    struct varve_visitor visitor = {.size = sizeof visitor, .arg = &place, .segment = wipe_later};
    if (varve_inspect(demo->log_path, NULL, &visitor, &error) != VARVE_OK)
        return demo_complain("sabotage: %s", error.message);
    return place.failed ? -1 : 0;
}

/* One bit, in the frame of a record for which a later frame vouches: what nothing vouches for may be a write
 * that a crash has torn. */
static int damage(const struct demo *demo, uint64_t lsn)
{
    struct place place;
    uint64_t bytes = 0;
    if (find(demo, lsn, &place) < 0 || (place.vouched_lsn < lsn && find(demo, place.vouched_lsn, &place) < 0))
        return -1;
    int fd = open_segment(demo, place.segment_name, &bytes);
    if (fd < 0)
        return -1;
    unsigned char byte = 0;
    off_t at =
        (off_t)(place.offset + 72); /* the header of a frame's first record: no padding, whatever its size */
    int failed = pread(fd, &byte, 1, at) != 1;
    byte ^= 1u;
    failed = failed || pwrite(fd, &byte, 1, at) != 1;
    close(fd);
    return failed ? demo_complain("sabotage: %s: one byte could not be changed", place.segment_name) : 0;
}

int sabotage_files(struct demo *demo)
{
    uint64_t last = 0;
    for (uint32_t number = 0; number < demo->lines; number++) {
        uint64_t lsn = atomic_load(&demo->lsns[number]);
        last = lsn > last ? lsn : last;
    }
    return demo->sabotage == SABOTAGE_DAMAGE ? damage(demo, last / 2 + 1) : drop(demo, last);
}
