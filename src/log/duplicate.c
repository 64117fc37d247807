/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duplicate: the files of a log -> a directory beside, under a name that says what it is until it is whole.
 *
 * The file COPYING stands in it from the first moment to the last: a directory that has it, or nothing, is
 * what a copy was cut off in, and may be begun again. One without it is somebody else's.
 *
 * Ways to fail: no space, a read error; then the copy stays as it is, for the next try to remove.
 */
#include "log/duplicate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "format/segment.h"
#include "log/lock.h"
#include "log/lost.h"
#include "log/manifest.h"
#include "log/pin.h"

#define MARK "COPYING"

struct names {
    char (*name)[VV_NAME_BYTES];
    size_t count, room;
    bool any; /* also those that no log has, and were not kept */
};

static int keep_name(void *arg, const char *name)
{
    struct names *n = arg;

    n->any = true;
    if (strlen(name) >= VV_NAME_BYTES)
        return 0;
    if (n->count == n->room) {
        size_t room = n->room ? n->room * 2 : 64;
        char(*grown)[VV_NAME_BYTES] = vv_realloc(n->name, room * sizeof *grown);

        if (!grown)
            return -ENOMEM;
        n->name = grown;
        n->room = room;
    }
    memcpy(n->name[n->count++], name, strlen(name) + 1);
    return 0;
}

char *vv_duplicate_path(const char *to)
{
    size_t len = strlen(to);
    char *path;

    while (len > 1 && to[len - 1] == '/')
        len--;
    path = vv_alloc(len + sizeof ".repairing");
    if (path)
        snprintf(path, len + sizeof ".repairing", "%.*s.repairing", (int)len, to);
    return path;
}

/* Whether a log's file is more than what the next writer makes anew. */
static bool is_kept(const char *name)
{
    uint64_t number;

    return vv_segment_name_parse(name, &number) || strncmp(name, "dictionary-", strlen("dictionary-")) == 0 ||
           strcmp(name, VV_MANIFEST_NAME) == 0 || strcmp(name, VV_PIN_FILE) == 0;
}

static int copy_file(struct varve_io *io, struct varve_dir *from_dir, struct varve_dir *to_dir,
                     const char *name)
{
    struct varve_file *from, *to;
    struct varve_io_stat stat;
    int rc = io->open(io, from_dir, name, VARVE_IO_READ, &from);

    if (rc != 0)
        return rc;
    rc = io->open(io, to_dir, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &to);
    if (rc == 0) {
        rc = io->stat(io, from, &stat);
        if (rc == 0)
            rc = vv_lost_copy(io, from, 0, stat.size_bytes, to, 0);
        if (rc == 0)
            rc = io->sync(io, to);
        io->close(io, to);
    }
    io->close(io, from);
    return rc;
}

/* Copies the files that are wanted, and makes their names durable. */
static int copy_files(struct varve_io *io, struct varve_dir *from, struct varve_dir *to, bool all,
                      struct varve_error *ret_error)
{
    struct names n = {NULL, 0, 0, false};
    int rc = io->dir_list(io, from, keep_name, &n);

    if (rc != 0)
        rc = vv_error_set(ret_error, rc == -ENOMEM ? VARVE_E_NOMEM : VARVE_E_IO, -rc,
                          "the directory cannot be listed");
    for (size_t i = 0; rc == 0 && i < n.count; i++) {
        struct varve_io_stat stat;

        if (!all && !is_kept(n.name[i]))
            continue;
        rc = io->stat_name(io, from, n.name[i], &stat);
        if (rc == 0 && all && stat.kind != VARVE_IO_KIND_FILE)
            continue;
        if (rc == 0)
            rc = copy_file(io, from, to, n.name[i]);
        if (rc == -ELOOP || rc == -EMEDIUMTYPE)
            rc = vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s: not a regular file", n.name[i]);
        else if (rc != 0)
            rc = vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                              "%s: cannot be copied", n.name[i]);
    }
    vv_free(n.name);
    if (rc == 0) {
        rc = io->dir_sync(io, to);
        if (rc != 0)
            rc = vv_error_set(ret_error, VARVE_E_IO, -rc, "the copy cannot be made durable");
    }
    return rc;
}

static int copy_lost(struct varve_io *io, struct varve_dir *from, struct varve_dir *to,
                     struct varve_error *ret_error)
{
    struct varve_dir *from_sub, *to_sub;
    struct varve_error error;
    int rc = vv_lost_open(io, from, false, &from_sub, &error);

    if (rc == VARVE_E_NOT_FOUND)
        return 0;
    if (rc != 0) {
        vv_error_copy(ret_error, &error);
        return rc;
    }
    rc = vv_lost_open(io, to, true, &to_sub, ret_error);
    if (rc == 0) {
        rc = copy_files(io, from_sub, to_sub, true, ret_error);
        io->dir_close(io, to_sub);
    }
    io->dir_close(io, from_sub);
    return rc;
}

/* Removes the files in a directory, the mark last. Negative errno. */
static int remove_files(struct varve_io *io, struct varve_dir *dir, const struct names *n)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n->count; i++) {
        struct varve_io_stat stat;

        if (strcmp(n->name[i], MARK) == 0)
            continue;
        rc = io->stat_name(io, dir, n->name[i], &stat);
        if (rc == 0 && stat.kind != VARVE_IO_KIND_DIR)
            rc = io->unlink(io, dir, n->name[i]);
    }
    return rc;
}

static int clear_lost(struct varve_io *io, struct varve_dir *dir)
{
    struct names n = {NULL, 0, 0, false};
    struct varve_io_stat stat;
    struct varve_dir *sub;
    int rc = io->stat_name(io, dir, VV_LOST_DIR, &stat);

    if (rc == -ENOENT)
        return 0;
    if (rc == 0)
        rc = io->dir_open(io, dir, VV_LOST_DIR, 0, &sub, NULL);
    if (rc != 0)
        return rc;
    rc = io->dir_list(io, sub, keep_name, &n);
    if (rc == 0)
        rc = remove_files(io, sub, &n);
    vv_free(n.name);
    io->dir_close(io, sub);
    return rc;
}

/* Empties what a copy was cut off in, and marks it. */
static int begin(struct varve_io *io, struct varve_dir *dir, const char *path, struct varve_error *ret_error)
{
    struct names n = {NULL, 0, 0, false};
    struct varve_io_stat stat;
    struct varve_file *file;
    int rc = io->dir_list(io, dir, keep_name, &n);

    if (rc == 0 && n.any && io->stat_name(io, dir, MARK, &stat) != 0) {
        vv_free(n.name);
        return vv_error_set(ret_error, VARVE_E_EXISTS, 0,
                            "%s: is there already, and no copy that was cut off", path);
    }
    if (rc == 0)
        rc = clear_lost(io, dir);
    if (rc == 0)
        rc = remove_files(io, dir, &n);
    if (rc == 0 && !n.any) {
        rc = io->open(io, dir, MARK, VARVE_IO_WRITE | VARVE_IO_CREATE, &file);
        if (rc == 0)
            io->close(io, file);
    }
    vv_free(n.name);
    if (rc == 0)
        rc = io->dir_sync(io, dir);
    if (rc == 0)
        rc = io->dir_sync_parent(io, dir);
    if (rc != 0)
        return vv_error_set(ret_error, rc == -ENOMEM ? VARVE_E_NOMEM : VARVE_E_IO, -rc, "%s: cannot be made",
                            path);
    return 0;
}

/* The copy has everything in one directory. */
static int stay_alone(struct varve_io *io, struct varve_dir *to, struct varve_error *ret_error)
{
    struct vv_manifest manifest;
    struct varve_error error;

    /* One that is damaged is copied as it is. */
    if (vv_manifest_read(io, to, &manifest, &error) != 0 || !manifest.failover[0])
        return 0;
    manifest.failover[0] = 0;
    return vv_manifest_write(io, to, &manifest, ret_error);
}

int vv_duplicate_make(struct varve_io *io, struct varve_dir *dir, const char *path,
                      struct varve_error *ret_error)
{
    struct varve_dir *to;
    int created, rc = io->dir_open(io, NULL, path, 1, &to, &created);

    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be made", path);
    rc = begin(io, to, path, ret_error);
    if (rc == 0)
        rc = copy_files(io, dir, to, false, ret_error);
    if (rc == 0)
        rc = stay_alone(io, to, ret_error);
    if (rc == 0)
        rc = copy_lost(io, dir, to, ret_error);
    io->dir_close(io, to);
    return rc;
}

/* Opens the directory that holds `path`; *ret_name is its last component, in `path`. */
static int open_parent(struct varve_io *io, const char *path, struct varve_dir **ret_parent,
                       const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    char *parent = vv_alloc(len + 2);
    int created, rc;

    if (!parent)
        return -ENOMEM;
    memcpy(parent, path, len);
    parent[len] = 0;
    if (len == 0)
        memcpy(parent, slash ? "/" : ".", 2);
    rc = io->dir_open(io, NULL, parent, 0, ret_parent, &created);
    vv_free(parent);
    *ret_name = slash ? slash + 1 : path;
    return rc;
}

int vv_duplicate_finish(struct varve_io *io, const char *path, const char *to, struct varve_error *ret_error)
{
    char name[256];
    struct varve_dir *dir, *parent;
    const char *from;
    size_t len;
    int created, rc;

    rc = open_parent(io, path, &parent, &from);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: the directory above it cannot be opened", to);
    len = strlen(from) - strlen(".repairing");
    if (len >= sizeof name) {
        io->dir_close(io, parent);
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "%s: the name is too long", to);
    }
    memcpy(name, from, len);
    name[len] = 0;
    rc = io->dir_open(io, NULL, path, 0, &dir, &created);
    if (rc == 0) {
        rc = io->rename(io, parent, from, name, 0);
        if (rc == 0)
            rc = io->dir_sync(io, parent);
        /* The mark means nothing under this name. */
        if (rc == 0)
            rc = io->unlink(io, dir, MARK);
        if (rc == 0)
            rc = io->dir_sync(io, dir);
        io->dir_close(io, dir);
    }
    io->dir_close(io, parent);
    if (rc == -EEXIST || rc == -ENOTEMPTY)
        return vv_error_set(ret_error, VARVE_E_EXISTS, 0, "%s: has come to be there meanwhile", to);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: the copy cannot be given its name", to);
    return 0;
}
