/* SPDX-License-Identifier: Apache-2.0 */
/* MANIFEST <-> its file. What a crash leaves of a write: see replace.c. */
#include "log/manifest.h"

#include <errno.h>

#include "base/error.h"
#include "log/replace.h"

int vv_manifest_unread(int rc, struct varve_error *ret_error)
{
    if (rc == -ENOENT)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "there is no " VV_MANIFEST_NAME);
    if (rc == -ELOOP || rc == -EMEDIUMTYPE)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, VV_MANIFEST_NAME ": not a regular file");
    return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_MANIFEST_NAME ": cannot be read");
}

int vv_manifest_read(struct varve_io *io, struct varve_dir *dir, struct vv_manifest *ret_manifest,
                     struct varve_error *ret_error)
{
    char text[VV_MANIFEST_BYTES_MAX + 1];
    size_t len;
    int rc = vv_replace_read(io, dir, VV_MANIFEST_NAME, text, sizeof text, &len);

    if (rc != 0)
        return vv_manifest_unread(rc, ret_error);
    return vv_manifest_decode(text, len, ret_manifest, ret_error);
}

int vv_manifest_trimmed(struct varve_io *io, struct varve_dir *dir, uint64_t lsn,
                        struct varve_error *ret_error)
{
    struct vv_manifest manifest;
    struct varve_error error;
    int rc = vv_manifest_read(io, dir, &manifest, &error);

    if (rc == 0)
        return manifest.first_lsn > lsn ? VARVE_E_TRIMMED : 0;
    if (rc != VARVE_E_IO && rc != VARVE_E_NOT_REGULAR)
        return 0;
    vv_error_copy(ret_error, &error);
    return rc;
}

int vv_manifest_write(struct varve_io *io, struct varve_dir *dir, const struct vv_manifest *manifest,
                      struct varve_error *ret_error)
{
    char text[VV_MANIFEST_BYTES_MAX];
    size_t len = vv_manifest_encode(manifest, text);
    int rc = vv_replace_file(io, dir, VV_MANIFEST_TEMP, VV_MANIFEST_NAME, text, len);

    if (rc != 0)
        return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                            VV_MANIFEST_NAME ": cannot be written");
    return 0;
}
