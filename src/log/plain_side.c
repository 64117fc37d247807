/* SPDX-License-Identifier: Apache-2.0 */
/* VARVE <-> its file. What a crash leaves of a write: see replace.c. */
#include "log/plain_side.h"

#include <errno.h>

#include "base/error.h"
#include "log/replace.h"

int vv_plain_side_read(struct varve_io *io, struct varve_dir *dir, struct vv_side *ret_side,
                       struct varve_error *ret_error)
{
    char text[VV_SIDE_BYTES_MAX + 1];
    size_t len;
    int rc = vv_replace_read(io, dir, VV_PLAIN_SIDE_NAME, text, sizeof text, &len);

    if (rc == -ENOENT)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "there is no " VV_PLAIN_SIDE_NAME);
    if (rc == -ELOOP || rc == -EMEDIUMTYPE)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, VV_PLAIN_SIDE_NAME ": not a regular file");
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_PLAIN_SIDE_NAME ": cannot be read");
    return vv_side_decode(text, len, ret_side, ret_error);
}

int vv_plain_side_write(struct varve_io *io, struct varve_dir *dir, const struct vv_side *side,
                        struct varve_error *ret_error)
{
    char text[VV_SIDE_BYTES_MAX];
    size_t len = vv_side_encode(side, text);
    int rc = vv_replace_file(io, dir, VV_PLAIN_SIDE_TEMP, VV_PLAIN_SIDE_NAME, text, len);

    if (rc != 0)
        return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                            VV_PLAIN_SIDE_NAME ": cannot be written");
    return 0;
}
