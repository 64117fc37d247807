/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_find: a directory -> the format of the log in it.
 *
 * In: names and first bytes. Out: a format. Bytes go before names, since names are shared: `wal.log` is a
 * name in aero and in lfwal, `wal-00000001.log` in lfwal and in dbkv. Nothing is read of a native log but the
 * beginning of its MANIFEST.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "format/tail.h"
#include "log/manifest.h"
#include "log/plain.h"
#include "log/plain_side.h"
#include "log/replace.h"

enum {
    HEAD_BYTES = 64 * 1024, /* of a file; a first record that is longer does not tell */
    FILES_MAX = 32,         /* that are looked into, of each format */
};

static const char native_title[] = "varve manifest ";

/* The beginning of a file, to be searched for records. */
static int head_read(void *arg, uint64_t offset, size_t len, const uint8_t **ret_bytes)
{
    (void)len;
    *ret_bytes = (const uint8_t *)arg + offset;
    return 0;
}

/* Whether a sound record stands anywhere in it: where files have no header, a first record that is damaged
 * would leave nothing but the name to go by. Negative errno. */
static int has_record(const struct varve_format *format, uint8_t *head, size_t bytes, bool *ret_found)
{
    const struct vv_format_source source = {head_read, head, bytes};
    void *memory = vv_alloc(vv_format_search_bytes(bytes));
    uint64_t offset;

    if (!memory)
        return -ENOMEM;
    *ret_found = vv_format_search_next(vv_format_search_init(memory, format, &source), 0, &offset) == 0;
    vv_free(memory);
    return 0;
}

static int look_like(const struct varve_format *format, const char *name, uint8_t *head, size_t bytes,
                     uint64_t file_bytes, enum vv_format_likeness *ret_like)
{
    bool found = false;
    int rc = 0;

    *ret_like = vv_format_matches(format, name, head, bytes, file_bytes);
    if (*ret_like == VV_FORMAT_LIKE_NAME && format->header_bytes == 0)
        rc = has_record(format, head, bytes, &found);
    if (found)
        *ret_like = VV_FORMAT_LIKE_BYTES;
    return rc;
}

/* What speaks for one format. */
struct signs {
    struct varve_io *io;
    struct varve_dir *dir;
    const struct varve_format *format;
    uint8_t *head; /* HEAD_BYTES */
    unsigned named, read, like;
    bool home; /* the folder is the format's own, not one that holds its files without their directory */
};

static ssize_t read_head(struct varve_io *io, struct varve_dir *dir, const char *name, uint8_t *head,
                         uint64_t *ret_file_bytes)
{
    struct varve_io_stat stat;
    struct varve_file *file;
    size_t got = 0;
    ssize_t n = 1;
    int rc = io->open(io, dir, name, VARVE_IO_READ, &file);

    if (rc != 0)
        return rc;
    rc = io->stat(io, file, &stat);
    while (rc == 0 && got < HEAD_BYTES && n != 0) {
        n = io->pread(io, file, head + got, HEAD_BYTES - got, got);
        if (n > 0)
            got += (size_t)n;
        else if (n < 0 && n != -EINTR)
            rc = (int)n;
    }
    io->close(io, file);
    *ret_file_bytes = stat.size_bytes > got ? stat.size_bytes : got;
    return rc != 0 ? rc : (ssize_t)got;
}

/* Something stands there that is not the file, or the folder, of a log: who reads the log says so. */
static bool is_other(int rc)
{
    return rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP || rc == -EMEDIUMTYPE;
}

static int see_name(void *arg, const char *name)
{
    struct signs *s = arg;
    enum vv_format_likeness like;
    uint64_t number, file_bytes;
    ssize_t n;
    int rc;

    if (s->format->name_get(name, &number) == VARVE_NAME_NONE)
        return 0;
    s->named++;
    if (s->read == FILES_MAX)
        return 0;
    s->read++;
    n = read_head(s->io, s->dir, name, s->head, &file_bytes);
    if (n < 0)
        return is_other((int)n) ? 0 : (int)n;
    rc = look_like(s->format, name, s->head, (size_t)n, file_bytes, &like);
    if (rc == 0 && like == VV_FORMAT_LIKE_BYTES)
        s->like++;
    return rc;
}

static int look_at(struct signs *s, struct varve_dir *dir, struct varve_error *ret_error)
{
    struct varve_dir *folder = NULL;
    int rc = -ENOENT;

    s->dir = dir;
    s->named = s->read = s->like = 0;
    if (s->format->folder[0] != 0)
        rc = s->io->dir_open(s->io, dir, s->format->folder, 0, &folder, NULL);
    if (rc == 0)
        s->dir = folder;
    s->home = rc == 0 || s->format->folder[0] == 0;
    if (rc == 0 || is_other(rc))
        rc = s->io->dir_list(s->io, s->dir, see_name, s);
    if (s->dir != dir)
        s->io->dir_close(s->io, folder);
    if (rc == -ENOMEM)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "looking for the log's format");
    if (rc != 0 && !s->home)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "the directory %s cannot be read", s->format->folder);
    return rc == 0 ? 0 : vv_error_set(ret_error, VARVE_E_IO, -rc, "the directory cannot be read");
}

/* What the files themselves say. *ret_sure: bytes said it, and not only names. */
static int by_files(struct varve_io *io, struct varve_dir *dir, const struct varve_format **ret_format,
                    bool *ret_sure, struct varve_error *ret_error)
{
    struct signs s = {.io = io, .head = vv_alloc(HEAD_BYTES)};
    unsigned like = 0, named = 0;
    bool home = false;
    int rc = 0;

    if (!s.head)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "looking for the log's format");
    *ret_format = NULL;
    for (unsigned i = 0; rc == 0 && (s.format = varve_format_at(i)); i++) {
        if (s.format->traits & VARVE_FORMAT_NATIVE)
            continue;
        rc = look_at(&s, dir, ret_error);
        if (rc == 0 && (s.like > like || (like == 0 && s.named > 0 &&
                                          (s.home > home || (s.home == home && s.named > named))))) {
            like = s.like;
            named = s.named;
            home = s.home;
            *ret_format = s.format;
        }
    }
    vv_free(s.head);
    *ret_sure = like > 0;
    return rc;
}

/* A MANIFEST that cannot be read tells of no other format. Errors: IO NOT_REGULAR. */
static int is_native(struct varve_io *io, struct varve_dir *dir, bool *ret_native,
                     struct varve_error *ret_error)
{
    char text[sizeof native_title - 1];
    size_t len;
    int rc = vv_replace_read(io, dir, VV_MANIFEST_NAME, text, sizeof text, &len);

    *ret_native = rc == 0 && len == sizeof text && memcmp(text, native_title, len) == 0;
    return rc == 0 || rc == -ENOENT ? 0 : vv_manifest_unread(rc, ret_error);
}

/* Every name that is known, for a message. */
static void list_names(char *out, size_t room)
{
    const struct varve_format *format;
    size_t used = 0;

    out[0] = 0;
    for (unsigned i = 0; (format = varve_format_at(i)) && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", i > 0 ? ", " : "", format->name);
}

int vv_plain_named(const char *asked, const struct varve_format **ret_format, struct varve_error *ret_error)
{
    char names[256];

    *ret_format = asked ? varve_format_get(asked) : NULL;
    if (!asked || *ret_format)
        return 0;
    list_names(names, sizeof names);
    return vv_error_set(ret_error, VARVE_E_INVALID, 0, "option format: '%s' is not one of %s", asked, names);
}

/* `found`: what the log is, or seems to be. NULL in *ret_format: the native one. */
static int settle(const struct varve_format *asked, const struct varve_format *found, bool sure,
                  const struct varve_format **ret_format, struct varve_error *ret_error)
{
    if (asked && found && sure && asked != found)
        return vv_error_set(ret_error, VARVE_E_FORMAT, 0, "the log is in the format %s, not in %s",
                            found->name, asked->name);
    *ret_format = asked ? asked : found;
    if (*ret_format && ((*ret_format)->traits & VARVE_FORMAT_NATIVE))
        *ret_format = NULL;
    return 0;
}

int vv_plain_find(struct varve_io *io, struct varve_dir *dir, const char *asked_name,
                  const struct varve_format **ret_format, struct varve_error *ret_error)
{
    const struct varve_format *asked, *found = NULL;
    struct varve_error error;
    struct vv_side side;
    bool sure = true, native;
    int rc = vv_plain_named(asked_name, &asked, ret_error), beside;

    if (rc == 0)
        rc = is_native(io, dir, &native, ret_error);
    if (rc != 0)
        return rc;
    if (native)
        return settle(asked, varve_format_at(0), true, ret_format, ret_error);
    beside = vv_plain_side_read(io, dir, &side, &error);
    if (beside == VARVE_E_IO || beside == VARVE_E_NOT_REGULAR) {
        vv_error_copy(ret_error, &error);
        return beside;
    }
    if (beside == 0) {
        found = varve_format_get(side.format);
        if (!found)
            return vv_error_set(ret_error, VARVE_E_FORMAT, 0,
                                "the log is in the format '%s', which this program does not know",
                                side.format);
    } else {
        rc = by_files(io, dir, &found, &sure, ret_error);
    }
    return rc != 0 ? rc : settle(asked, found, sure, ret_format, ret_error);
}

int vv_plain_refuse(struct varve_io *io, struct varve_dir *dir, const char *what, const char *instead,
                    struct varve_error *ret_error)
{
    const struct varve_format *format;
    int rc = vv_plain_find(io, dir, NULL, &format, ret_error);

    if (rc != 0 || !format)
        return rc;
    return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0, "the log is in the format %s, which %s; %s",
                        format->name, what, instead);
}

int vv_plain_find_file(struct varve_io *io, struct varve_dir *dir, const char *name, const char *asked_name,
                       const struct varve_format **ret_format, struct varve_error *ret_error)
{
    const struct varve_format *asked, *format, *found = NULL;
    uint8_t *head = vv_alloc(HEAD_BYTES);
    uint64_t file_bytes = 0;
    bool sure = false;
    ssize_t n = 0;
    int rc = head ? vv_plain_named(asked_name, &asked, ret_error)
                  : vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s: looking for its format", name);

    if (rc == 0)
        n = read_head(io, dir, name, head, &file_bytes);
    for (unsigned i = 0; rc == 0 && n > 0 && !sure && (format = varve_format_at(i)); i++) {
        enum vv_format_likeness like;

        if (look_like(format, name, head, (size_t)n, file_bytes, &like) != 0)
            rc = vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s: looking for its format", name);
        if (rc != 0 || like == VV_FORMAT_UNLIKE || (found && like != VV_FORMAT_LIKE_BYTES))
            continue;
        found = format;
        sure = like == VV_FORMAT_LIKE_BYTES;
    }
    vv_free(head);
    return rc != 0 ? rc : settle(asked, found, sure, ret_format, ret_error);
}
