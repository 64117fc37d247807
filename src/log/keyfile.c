/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where master keys come from, when not from the program itself: files, descriptors, the environment.
 *
 * What is read on the way lies in memory for keys and is wiped. No message holds anything of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/secret.h"
#include "codec/keys.h"
#include "io/keyfile.h"

/* `what`: for messages. */
static int add_fd(struct varve_keys *keys, int fd, const char *what, struct varve_error *ret_error)
{
    char *text = vv_secret_alloc(VV_KEYS_TEXT_MAX);
    struct varve_error error;
    ssize_t n;
    int rc;

    if (!text)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", what);
    n = vv_keyfile_read(fd, text, VV_KEYS_TEXT_MAX);
    if (n == -EFBIG)
        rc = vv_error_set(ret_error, VARVE_E_INVALID, 0, "%s: more than %u bytes: not a file of keys", what,
                          VV_KEYS_TEXT_MAX);
    else if (n < 0)
        rc = vv_error_set(ret_error, VARVE_E_IO, (int)-n, "%s: cannot be read", what);
    else
        rc = varve_keys_add_text(keys, text, (size_t)n, &error);
    if (n >= 0 && rc != 0) {
        vv_error_wrap(&error, "%s", what);
        vv_error_copy(ret_error, &error);
    }
    vv_secret_free(text, VV_KEYS_TEXT_MAX);
    return rc;
}

/* Errors: INVALID NOT_REGULAR. */
static int check_file(const struct vv_keyfile *file, const char *path, struct varve_error *ret_error)
{
    if (!file->regular)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s: not a regular file", path);
    if (!file->private)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "%s: others than its owner may read or write it; keys need mode 0600 or 0400",
                            path);
    if (!file->own)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "%s: belongs to another user, who could put other keys into it", path);
    return 0;
}

int varve_keys_add_file(struct varve_keys *keys, const char *path, struct varve_error *ret_error)
{
    struct vv_keyfile file;
    int rc;

    if (!keys || !path || !*path)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "keys and the path of a file are needed");
    rc = vv_keyfile_open(path, &file);
    if (rc == -ENOENT)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "%s: there is no such file", path);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be opened", path);
    rc = check_file(&file, path, ret_error);
    if (rc == 0)
        rc = add_fd(keys, file.fd, path, ret_error);
    vv_keyfile_close(&file);
    return rc;
}

int varve_keys_add_fd(struct varve_keys *keys, int fd, struct varve_error *ret_error)
{
    if (!keys)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "keys are needed");
    return add_fd(keys, fd, "the descriptor of keys", ret_error);
}

int varve_keys_add_env(struct varve_keys *keys, const char *name, struct varve_error *ret_error)
{
    const char *text = name ? getenv(name) : NULL;
    struct varve_error error;
    int rc;

    if (!keys || !name)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "keys and the name of a variable are needed");
    if (!text)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "%s: not in the environment", name);
    rc = varve_keys_add_text(keys, text, strlen(text), &error);
    if (rc != 0) {
        vv_error_wrap(&error, "%s", name);
        vv_error_copy(ret_error, &error);
    }
    return rc;
}
