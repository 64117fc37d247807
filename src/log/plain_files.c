/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_files: a directory -> the files of a log in a format of others, in order.
 *
 * In: a directory and a format. Out: names, numbers, headers, sizes, facts. Next: plain_walk.
 *
 * A rotation may happen while the directory is looked at. Of a file that is gone again between the list and
 * the look, nothing is said; who reads looks again (reload), and a file that was renamed is known by its
 * number then.
 */
#include "log/plain_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "log/plain_side.h"
#include "log/replace.h"

struct listing {
    const struct varve_format *format;
    struct vv_plain_file *items;
    size_t count, room;
    bool unborn;
};

static int add_item(struct listing *l, const char *name, uint64_t number)
{
    struct vv_plain_file *file;

    if (l->count == l->room) {
        size_t room = l->room ? l->room * 2 : 64;
        struct vv_plain_file *items = vv_realloc(l->items, room * sizeof *items);

        if (!items)
            return -ENOMEM;
        l->items = items;
        l->room = room;
    }
    file = &l->items[l->count++];
    memset(file, 0, sizeof *file);
    snprintf(file->name, sizeof file->name, "%s", name);
    file->number = number;
    return 0;
}

static int see_name(void *arg, const char *name)
{
    struct listing *l = arg;
    uint64_t number = 0;

    switch (l->format->name_get(name, &number)) {
    case VARVE_NAME_SEGMENT:
        return strlen(name) < VARVE_FORMAT_FILE_NAME_BYTES ? add_item(l, name, number) : 0;
    case VARVE_NAME_UNBORN:
        l->unborn = true;
        return 0;
    case VARVE_NAME_NONE:
    case VARVE_NAME_LEFTOVER:
        break;
    }
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct vv_plain_file *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

/* Opens the folder, or settles for the directory itself where it holds the files and there is no folder. */
static int open_folder(struct vv_plain_files *files, struct varve_error *ret_error)
{
    const char *name = files->format->folder;
    struct varve_io *io = files->io;
    int rc;

    if (files->folder)
        return 0;
    if (*name == 0) {
        files->folder = files->dir;
        return 0;
    }
    rc = io->dir_open(io, files->dir, name, 0, &files->folder, NULL);
    if (rc == -ENOTDIR || rc == -ELOOP)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s: not a directory, or a link", name);
    if (rc != 0 && rc != -ENOENT)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be opened", name);
    return 0;
}

static int list(struct vv_plain_files *files, struct listing *l, struct varve_error *ret_error)
{
    struct varve_io *io = files->io;
    struct varve_dir *where;
    int rc = open_folder(files, ret_error);

    if (rc != 0)
        return rc;
    where = files->folder ? files->folder : files->dir;
    rc = io->dir_list(io, where, see_name, l);
    if (rc == -ENOMEM)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "the list of files");
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "the directory cannot be read");
    if (!files->folder && (l->count > 0 || l->unborn))
        files->folder = files->dir;
    if (l->count > 1)
        qsort(l->items, l->count, sizeof *l->items, by_number);
    return 0;
}

/* -- a header -- */

/* What was known of a file before, which is not looked at again unless it may have changed. */
static const struct vv_plain_file *known(const struct vv_plain_files *files, const struct vv_plain_file *item)
{
    size_t i = vv_plain_files_find(files, item->number);

    return i < files->count && files->items[i].number == item->number ? &files->items[i] : NULL;
}

static ssize_t read_full(struct varve_io *io, struct varve_file *file, uint8_t *buf, size_t len)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = io->pread(io, file, buf + got, len - got, got);

        if (n == -EINTR)
            continue;
        if (n < 0)
            return n;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static void judge_header(const struct varve_format *f, struct vv_plain_file *item, const uint8_t *bytes,
                         size_t have)
{
    item->state = VARVE_HEADER_SOUND;
    item->reason = NULL;
    item->blank = false;
    memset(&item->header, 0, sizeof item->header);
    if (f->header_bytes == 0)
        return;
    item->state = f->header_get(bytes, have, &item->header, &item->reason);
    if (item->state == VARVE_HEADER_SOUND && item->header.number != 0 &&
        item->header.number != item->number) {
        item->state = VARVE_HEADER_BAD;
        item->reason = "the number in its header is not that of its name";
    }
}

/* Whether no byte of the file is anything but zero. Negative errno. */
static int all_zero(struct varve_io *io, struct varve_file *file, bool *ret_zero)
{
    uint8_t bytes[16384];
    uint64_t at = 0;
    ssize_t n;

    *ret_zero = true;
    do {
        n = io->pread(io, file, bytes, sizeof bytes, at);
        if (n > 0) {
            at += (uint64_t)n;
            *ret_zero = vv_is_zero(bytes, (size_t)n);
        }
    } while (*ret_zero && (n > 0 || n == -EINTR));
    return n < 0 ? (int)n : 0;
}

/* A file that is cut off inside its header holds no record; else all of it must be zero. */
static int see_blank(struct vv_plain_files *files, struct vv_plain_file *item, struct varve_file *file)
{
    const struct vv_plain_file *old = known(files, item);

    item->blank = item->bytes < files->format->header_bytes;
    if (item->blank)
        return 0;
    /* Not read again and again while it waits to be used. */
    if (old && old->blank && old->bytes == item->bytes) {
        item->blank = true;
        return 0;
    }
    return all_zero(files->io, file, &item->blank);
}

/* Looks at size and header. 1: the file is gone again. */
static int look(struct vv_plain_files *files, struct vv_plain_file *item, struct varve_error *ret_error)
{
    uint8_t bytes[VARVE_FORMAT_HEADER_MAX];
    struct varve_io *io = files->io;
    struct varve_io_stat stat;
    struct varve_file *file;
    ssize_t n = 0;
    int rc = io->open(io, files->folder, item->name, VARVE_IO_READ, &file);

    if (rc == -ENOENT)
        return 1;
    if (rc == -ELOOP || rc == -EMEDIUMTYPE)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s: not a regular file", item->name);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be opened", item->name);
    rc = io->stat(io, file, &stat);
    if (rc == 0) {
        n = read_full(io, file, bytes, files->format->header_bytes);
        rc = n < 0 ? (int)n : 0;
    }
    if (rc == 0) {
        item->bytes = stat.size_bytes;
        judge_header(files->format, item, bytes, (size_t)n);
        rc = item->state == VARVE_HEADER_UNMADE ? see_blank(files, item, file) : 0;
    }
    io->close(io, file);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be read", item->name);
    return 0;
}

/* -- the list -- */

/* Without an active file, the next one is it: a rotation was interrupted between its two renames. */
static int settle_unborn(struct vv_plain_files *files, struct listing *l, struct varve_error *ret_error)
{
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    struct vv_plain_file item = {.number = VARVE_FORMAT_ACTIVE};
    int rc;

    files->unborn = files->borne = false;
    if (!l->unborn)
        return 0;
    files->format->name_put(VARVE_FORMAT_UNBORN, name);
    memcpy(item.name, name, sizeof item.name);
    rc = look(files, &item, ret_error);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (l->count > 0 && l->items[l->count - 1].number == VARVE_FORMAT_ACTIVE) {
        files->unborn = true;
        files->unborn_bytes = item.bytes;
        return 0;
    }
    files->borne = true;
    if (add_item(l, name, VARVE_FORMAT_ACTIVE) != 0)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "the list of files");
    l->items[l->count - 1] = item;
    return 0;
}

static void read_facts(struct vv_plain_files *files)
{
    const struct varve_format *f = files->format;
    uint8_t bytes[VARVE_FORMAT_META_MAX + 1];
    size_t len;
    int rc = -ENOENT;

    memset(&files->meta, 0, sizeof files->meta);
    vv_error_clear(&files->meta_error);
    files->meta_rc = VARVE_E_NOT_FOUND;
    if (f->meta_name)
        rc = vv_replace_read(files->io, files->dir, f->meta_name, (char *)bytes, sizeof bytes, &len);
    if (rc == 0)
        files->meta_rc = f->meta_get(bytes, len, &files->meta, &files->meta_error);
    else if (rc == -ELOOP || rc == -EMEDIUMTYPE)
        files->meta_rc = vv_error_set(&files->meta_error, VARVE_E_NOT_REGULAR, 0, "not a regular file");
    else if (rc != -ENOENT)
        files->meta_rc = vv_error_set(&files->meta_error, VARVE_E_IO, -rc, "cannot be read");
    if (files->meta_rc != 0 && files->meta_rc != VARVE_E_NOT_FOUND &&
        strncmp(files->meta_error.message, f->meta_name, strlen(f->meta_name)) != 0)
        vv_error_wrap(&files->meta_error, "%s", f->meta_name);
    memset(&files->side, 0, sizeof files->side);
    files->side_rc = vv_plain_side_read(files->io, files->dir, &files->side, &files->side_error);
}

/* Files below the first are no part of the log any more. */
static void drop_stale(struct vv_plain_files *files, struct listing *l)
{
    size_t stale = 0;

    files->stale = 0;
    if (files->side_rc != 0 || l->count == 0)
        return;
    while (stale < l->count && l->items[stale].number < files->side.first)
        stale++;
    files->stale = stale;
    l->count -= stale;
    memmove(l->items, l->items + stale, l->count * sizeof *l->items);
}

/* The active file gets the first number above those that were there, when it is rotated. */
static void note_rotation(struct vv_plain_files *files, struct listing *l)
{
    const struct vv_plain_file *active = files->count > 0 ? &files->items[files->count - 1] : NULL;
    uint64_t before = files->count > 1 ? files->items[files->count - 2].number : 0;

    files->rotated = 0;
    if (!active || active->number != VARVE_FORMAT_ACTIVE)
        return;
    for (size_t i = 0; i < l->count && files->rotated == 0; i++) {
        if (l->items[i].number <= before || l->items[i].number == VARVE_FORMAT_ACTIVE)
            continue;
        files->rotated = l->items[i].number;
        l->items[i].first_lsn = active->first_lsn;
    }
}

static int look_all(struct vv_plain_files *files, struct listing *l, struct varve_error *ret_error)
{
    size_t kept = 0;

    note_rotation(files, l);
    for (size_t i = 0; i < l->count; i++) {
        struct vv_plain_file *item = &l->items[i];
        const struct vv_plain_file *old = known(files, item);
        int rc = 0;

        if (old && !(item->number == VARVE_FORMAT_ACTIVE && files->rotated != 0))
            item->first_lsn = old->first_lsn;
        if (old && old->state == VARVE_HEADER_SOUND && old < &files->items[files->count - 1])
            *item = *old;
        else
            rc = look(files, item, ret_error);
        if (rc < 0)
            return rc;
        if (rc == 0)
            l->items[kept++] = *item;
    }
    l->count = kept;
    return 0;
}

int vv_plain_files_reload(struct vv_plain_files *files, struct varve_error *ret_error)
{
    struct listing l = {.format = files->format};
    int rc;

    read_facts(files);
    rc = list(files, &l, ret_error);
    if (rc == 0)
        rc = settle_unborn(files, &l, ret_error);
    if (rc == 0) {
        drop_stale(files, &l);
        rc = look_all(files, &l, ret_error);
    }
    if (rc != 0) {
        vv_free(l.items);
        return rc;
    }
    vv_free(files->items);
    files->items = l.items;
    files->count = l.count;
    files->room = l.room;
    files->disk_bytes = 0;
    for (size_t i = 0; i < files->count; i++)
        files->disk_bytes += files->items[i].bytes;
    return 0;
}

int vv_plain_files_load(struct vv_plain_files *files, const struct varve_format *format, struct varve_io *io,
                        struct varve_dir *dir, struct varve_error *ret_error)
{
    int rc;

    memset(files, 0, sizeof *files);
    files->io = io;
    files->format = format;
    files->dir = dir;
    rc = vv_plain_files_reload(files, ret_error);
    if (rc != 0)
        vv_plain_files_free(files);
    return rc;
}

int vv_plain_files_load_one(struct vv_plain_files *files, const struct varve_format *format,
                            struct varve_io *io, struct varve_dir *dir, const char *name,
                            struct varve_error *ret_error)
{
    struct listing l = {.format = format};
    int rc;

    memset(files, 0, sizeof *files);
    files->io = io;
    files->format = format;
    files->dir = files->folder = dir;
    files->meta_rc = files->side_rc = VARVE_E_NOT_FOUND;
    if (strlen(name) >= VARVE_FORMAT_FILE_NAME_BYTES)
        return vv_error_set(ret_error, VARVE_E_FORMAT, 0, "%s: a name that no file of a log has", name);
    if (add_item(&l, name, 0) != 0)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", name);
    files->items = l.items;
    files->count = 1;
    (void)format->name_get(name, &l.items->number);
    rc = look(files, l.items, ret_error);
    if (rc == 1)
        rc = vv_error_set(ret_error, VARVE_E_IO, ENOENT, "%s: cannot be opened", name);
    /* It may be a copy under any name. */
    if (rc == 0 && l.items->state == VARVE_HEADER_BAD && l.items->header.number != 0) {
        l.items->number = l.items->header.number;
        l.items->state = VARVE_HEADER_SOUND;
    }
    if (rc != 0)
        vv_plain_files_free(files);
    return rc;
}

void vv_plain_files_free(struct vv_plain_files *files)
{
    if (files->folder && files->folder != files->dir)
        files->io->dir_close(files->io, files->folder);
    vv_free(files->items);
    files->folder = NULL;
    files->items = NULL;
    files->count = files->room = 0;
}

/* -- what it means -- */

bool vv_plain_files_foreign(const struct vv_plain_files *files, size_t index)
{
    const struct vv_plain_file *item = &files->items[index];
    const uint8_t *uuid = NULL;

    if (!(files->format->carries & VARVE_FIELD_UUID) || item->state != VARVE_HEADER_SOUND)
        return false;
    if (files->meta_rc == 0)
        uuid = files->meta.uuid;
    for (size_t i = 0; !uuid && i < index; i++) {
        if (files->items[i].state == VARVE_HEADER_SOUND)
            uuid = files->items[i].header.uuid;
    }
    return uuid && memcmp(uuid, item->header.uuid, sizeof item->header.uuid) != 0;
}

int vv_plain_files_refuse(const struct vv_plain_files *files, struct varve_error *ret_error)
{
    const struct varve_format *f = files->format;

    if (files->side_rc == VARVE_E_VERSION) {
        vv_error_copy(ret_error, &files->side_error);
        return VARVE_E_VERSION;
    }
    if (files->side_rc == 0 && strcmp(files->side.format, f->name) != 0)
        return vv_error_set(ret_error, VARVE_E_FORMAT, 0,
                            VV_PLAIN_SIDE_NAME ": is of a log in the format %s, not %s", files->side.format,
                            f->name);
    if (files->meta_rc == VARVE_E_VERSION || files->meta_rc == VARVE_E_CODEC) {
        vv_error_copy(ret_error, &files->meta_error);
        return files->meta_rc;
    }
    if (files->meta_rc == 0 && files->meta.codec[0] && strcmp(files->meta.codec, "identity") != 0)
        return vv_error_set(ret_error, VARVE_E_CODEC, 0,
                            "%s: payloads have the codec '%s'; of those of %s only 'identity' is known",
                            f->meta_name, files->meta.codec, f->name);
    for (size_t i = 0; i < files->count; i++) {
        const struct vv_plain_file *item = &files->items[i];

        if (item->state == VARVE_HEADER_VERSION)
            return vv_error_set(ret_error, VARVE_E_VERSION, 0, "%s: %s", item->name, item->reason);
        if (vv_plain_files_foreign(files, i))
            return vv_error_set(ret_error, VARVE_E_FOREIGN, 0, "%s: belongs to another log than %s",
                                item->name, files->meta_rc == 0 ? f->meta_name : files->items[0].name);
    }
    return 0;
}

int vv_plain_files_facts(const struct vv_plain_files *files, struct varve_error *ret_error)
{
    const struct varve_format *f = files->format;

    if (files->meta_rc != 0 && files->meta_rc != VARVE_E_NOT_FOUND) {
        vv_error_copy(ret_error, &files->meta_error);
        return files->meta_rc;
    }
    if (files->side_rc != 0 && files->side_rc != VARVE_E_NOT_FOUND) {
        vv_error_copy(ret_error, &files->side_error);
        vv_error_wrap(ret_error, "the file that says which LSN the log begins with");
        return files->side_rc;
    }
    if (files->unborn && files->unborn_bytes > f->header_bytes) {
        char next[VARVE_FORMAT_FILE_NAME_BYTES], active[VARVE_FORMAT_FILE_NAME_BYTES];

        f->name_put(VARVE_FORMAT_UNBORN, next);
        f->name_put(VARVE_FORMAT_ACTIVE, active);
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                            "%s holds records and stands beside %s: which is the log's cannot be told", next,
                            active);
    }
    return 0;
}

bool vv_plain_files_exist(const struct vv_plain_files *files)
{
    return files->count > 0 || files->meta_rc != VARVE_E_NOT_FOUND || files->side_rc != VARVE_E_NOT_FOUND ||
           (files->folder && files->folder != files->dir);
}

size_t vv_plain_files_made(const struct vv_plain_files *files)
{
    size_t count = files->count;

    while (count > 0 && files->items[count - 1].blank)
        count--;
    return count;
}

size_t vv_plain_files_find(const struct vv_plain_files *files, uint64_t number)
{
    size_t low = 0, high = files->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (files->items[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool vv_plain_files_gap(const struct vv_plain_files *files, uint64_t before, uint64_t after)
{
    return !(files->format->traits & VARVE_FORMAT_GAPS) && after - before != 1;
}
