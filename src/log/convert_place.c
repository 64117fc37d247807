/* SPDX-License-Identifier: Apache-2.0 */
/*
 * convert_place: the directory of a conversion's target, before and after.
 *
 * A directory under the name of what is not finished is whoever's it was: the next call neither goes on with
 * it nor removes it, but says what it is.
 */
#include "log/convert_place.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "log/lock.h"

static int any_name(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return 1;
}

int vv_convert_place(struct varve_io *io, const char *path, bool temp, struct varve_error *ret_error)
{
    struct varve_dir *dir;
    bool held = false;
    int created, rc = io->dir_open(io, NULL, path, 0, &dir, &created);

    if (rc == -ENOENT)
        return 0;
    if (rc == -ENOTDIR || rc == -ELOOP)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s: not a directory, or a link", path);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be opened", path);
    rc = io->dir_list(io, dir, any_name, NULL);
    if (rc == 1 && temp)
        (void)vv_lock_held(io, dir, &held, NULL, NULL);
    io->dir_close(io, dir);
    if (rc < 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be listed", path);
    if (held)
        return vv_error_set(ret_error, VARVE_E_LOCKED, 0, "%s: somebody is making it", path);
    if (rc == 1 && temp)
        return vv_error_set(ret_error, VARVE_E_EXISTS, 0,
                            "%s: a conversion that was not finished; remove it, and start again", path);
    if (rc == 1)
        return vv_error_set(ret_error, VARVE_E_EXISTS, 0,
                            "%s: is there already, and nothing in it is touched", path);
    return 0;
}

int vv_convert_name(struct varve_io *io, const char *temp, const char *path, struct varve_error *ret_error)
{
    const char *slash = strrchr(temp, '/'), *from = slash ? slash + 1 : temp;
    const char *to = slash ? path + (slash + 1 - temp) : path;
    size_t length = slash ? (size_t)(slash - temp) : 0;
    char *above = vv_alloc(length + 2);
    struct varve_dir *parent;
    int created, rc;

    if (!above)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", path);
    memcpy(above, temp, length);
    above[length] = '\0';
    if (length == 0)
        memcpy(above, slash ? "/" : ".", 2);
    rc = io->dir_open(io, NULL, above, 0, &parent, &created);
    vv_free(above);
    if (rc == 0) {
        /* An empty directory gives way; one that is not does not. */
        rc = io->rename(io, parent, from, to, 1);
        if (rc == 0)
            rc = io->dir_sync(io, parent);
        io->dir_close(io, parent);
    }
    if (rc == -EEXIST || rc == -ENOTEMPTY || rc == -ENOTDIR)
        return vv_error_set(ret_error, VARVE_E_EXISTS, 0, "%s: has come to be there meanwhile", path);
    return rc == 0 ? 0 : vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be given its name", path);
}
