/* SPDX-License-Identifier: Apache-2.0 */
/* dialect: which format a log of the engine has, and what all that are not Varve's own have in common. */
#include "kv/dialect.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/utf8.h"
#include "varve/format.h"

int vv_dialect_find(const struct varve_log *log, const struct vv_dialect **ret_dialect)
{
    static const struct vv_dialect *const all[] = {&vv_dialect_dbkv, &vv_dialect_stra};
    const char *name = varve_log_format(log)->name;

    *ret_dialect = NULL;
    if (strcmp(name, "varve") == 0)
        return 0;
    for (size_t i = 0; i < sizeof all / sizeof *all && !*ret_dialect; i++)
        if (strcmp(all[i]->format, name) == 0)
            *ret_dialect = all[i];
    return *ret_dialect ? 0 : VARVE_E_UNSUPPORTED;
}

bool vv_dialect_is_text(const void *bytes, size_t count)
{
    struct vv_utf8 state = {0};

    return vv_utf8_feed(&state, bytes, count) && vv_utf8_whole(&state);
}

int vv_dialect_append(struct varve_kv *kv, struct varve_record *record, vv_put_fn put, const void *arg,
                      uint64_t *ret_lsn)
{
    size_t bytes = 0;
    uint8_t *memory;
    int rc = put(arg, NULL, 0, &bytes);

    if (rc != 0 && rc != VARVE_E_TOO_LARGE)
        return VARVE_E_UNSUPPORTED;
    memory = vv_alloc(bytes ? bytes : 1);
    if (!memory)
        return VARVE_E_NOMEM;
    rc = put(arg, memory, bytes, &bytes);
    record->data = memory;
    record->data_bytes = bytes;
    if (rc == 0)
        rc = varve_append_async(kv->log, record, ret_lsn);
    vv_free(memory);
    return rc;
}

static int is_snapshot(void *arg, const char *name)
{
    const struct vv_dialect *dialect = arg;
    size_t bytes = strlen(name), end = strlen(dialect->suffix);

    return bytes > end && name[0] != '.' && strcmp(name + bytes - end, dialect->suffix) == 0;
}

int vv_dialect_admits(struct varve_kv *kv, const char *path, struct varve_error *ret_error)
{
    const struct vv_dialect *dialect = kv->dialect;
    struct varve_dir *dir, *folder = NULL;
    struct varve_io *io = kv->io;
    int rc = io->dir_open(io, NULL, path, 0, &dir, NULL);

    if (rc == -ENOENT)
        return 0;
    if (rc)
        return vv_error_set(ret_error, VARVE_E_IO, rc, "the directory %s", path);
    if (dialect->folder)
        rc = io->dir_open(io, dir, dialect->folder, 0, &folder, NULL);
    if (rc == 0)
        rc = io->dir_list(io, folder ? folder : dir, is_snapshot, (void *)(uintptr_t)dialect);
    if (folder)
        io->dir_close(io, folder);
    io->dir_close(io, dir);
    if (rc == 1 && dialect->import && kv->read_only)
        return dialect->import(kv, path, ret_error);
    if (rc == 1)
        return vv_error_set(
            ret_error, VARVE_E_UNSUPPORTED, 0,
            "%s has a snapshot (*%s) of the program that the format %s is from, without which "
            "the log may not be all: %s",
            path, dialect->suffix, dialect->format,
            dialect->import ? "open it read-only" : "what is in it is not read");
    return rc == 0 || rc == -ENOENT ? 0 : vv_error_set(ret_error, VARVE_E_IO, rc, "the directory %s", path);
}
