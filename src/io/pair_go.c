/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair: from one side to the other and back, and how long calls are waited for.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/pair_impl.h"

#define PROBE_BYTES 4096u

static int learn_name(void *arg, const char *name)
{
    struct vv_pair *p = arg;

    vv_pair_remember(p, name);
    return p->learnt ? 0 : -ENOMEM;
}

int vv_pair_learn(struct vv_pair *p)
{
    int rc;

    p->learnt = true;
    p->names.used = 0;
    rc = vv_pair_list_on(p, VV_AWAY, learn_name, p);
    if (rc != 0)
        p->learnt = false;
    return rc;
}

int vv_pair_guard(struct vv_pair *p, uint64_t limit_us, unsigned workers, size_t buffer_bytes,
                  vv_patience_fn fn, void *arg)
{
    int rc =
        vv_patience_new(p->below, limit_us, workers, buffer_bytes, fn, arg, VV_HOME, &p->patience[VV_HOME]);

    if (rc == 0)
        rc = vv_patience_new(p->below, limit_us, 0, buffer_bytes, fn, arg, VV_AWAY, &p->patience[VV_AWAY]);
    return rc;
}

void vv_pair_unguard(struct vv_pair *p, bool forked)
{
    if (forked)
        atomic_store(&p->forked, 1);
    for (int side = VV_HOME; side <= VV_AWAY; side++) {
        vv_patience_free(p->patience[side], forked);
        p->patience[side] = NULL;
    }
}

void vv_pair_forked(struct vv_pair *p)
{
    atomic_store(&p->forked, 1);
}

uint32_t vv_pair_hung(struct vv_pair *p, enum vv_half side)
{
    return p->patience[side] ? vv_patience_hung(p->patience[side]) : 0;
}

void vv_pair_go(struct vv_pair *p, enum vv_half side)
{
    if (side == VV_HOME) {
        atomic_store(&p->side, VV_HOME);
        atomic_store(&p->gone, 0);
        return;
    }
    atomic_store(&p->side, VV_AWAY);
    atomic_store(&p->gone, 1);
    if (p->patience[VV_HOME])
        vv_patience_leave(p->patience[VV_HOME]);
}

/* Calls on HOME that are made although it was given up. */
static int force(struct vv_pair *p, enum vv_call_op op, const char *name, const char *other)
{
    struct vv_call call;
    int rc = vv_pair_call(op, name, &call);

    if (rc != 0)
        return rc;
    memcpy(call.other, other, strlen(other) + 1);
    call.dir = p->dirs[VV_HOME];
    call.flag = 1;
    call.forced = true;
    vv_pair_changed(p, VV_HOME);
    return (int)vv_pair_ask(p, VV_HOME, &call);
}

static int force_write(struct vv_pair *p, const char *name, const void *bytes, size_t len)
{
    struct vv_call call = {.op = VV_CALL_WRITE, .forced = true};
    struct varve_file *file;
    size_t done = 0;
    int rc = force(p, VV_CALL_UNLINK, name, "");

    if (rc == 0 || rc == -ENOENT)
        rc = vv_pair_open_file(p, VV_HOME, NULL, name, VARVE_IO_WRITE | VARVE_IO_CREATE, true, &file);
    if (rc != 0)
        return rc;
    call.held = (struct vv_held_file *)(void *)file;
    while (rc == 0 && done < len) {
        long n;

        call.iov[0] = (struct iovec){(char *)(uintptr_t)bytes + done, len - done};
        call.iov_count = 1;
        call.offset = done;
        n = vv_pair_ask(p, VV_HOME, &call);
        if (n > 0)
            done += (size_t)n;
        else if (n != -EINTR)
            rc = n == 0 ? -EIO : (int)n;
    }
    call.op = VV_CALL_SYNC;
    if (rc == 0)
        rc = (int)vv_pair_ask(p, VV_HOME, &call);
    p->io.close(&p->io, file);
    return rc;
}

int vv_pair_probe(struct vv_pair *p, const char *name)
{
    uint8_t *bytes = vv_alloc_zero(PROBE_BYTES);
    int rc = bytes ? force_write(p, name, bytes, PROBE_BYTES) : -ENOMEM, gone;

    vv_free(bytes);
    gone = rc == -ETIMEDOUT ? 0 : force(p, VV_CALL_UNLINK, name, "");
    if (rc == 0)
        rc = gone;
    return rc == 0 ? force(p, VV_CALL_DIR_SYNC, "", "") : rc;
}

/* Reads a whole file of AWAY. */
static int read_away(struct vv_pair *p, const char *name, char *buf, size_t room, size_t *ret_len)
{
    struct varve_io_stat stat;
    struct varve_file *file;
    size_t len = 0;
    int rc = vv_pair_open_on(p, VV_AWAY, name, VARVE_IO_READ, &file);

    if (rc != 0)
        return rc;
    rc = p->io.stat(&p->io, file, &stat);
    if (rc == 0 && stat.size_bytes > room)
        rc = -EFBIG;
    while (rc == 0 && len < stat.size_bytes) {
        ssize_t n = p->io.pread(&p->io, file, buf + len, (size_t)stat.size_bytes - len, len);

        if (n > 0)
            len += (size_t)n;
        else if (n != -EINTR)
            rc = n == 0 ? -EIO : (int)n;
    }
    p->io.close(&p->io, file);
    *ret_len = len;
    return rc;
}

int vv_pair_bring_home(struct vv_pair *p, const char *temp, const char *name, size_t bytes_max)
{
    int rc = vv_pair_is_away(p, name);
    size_t len;
    char *text;

    if (rc <= 0)
        return rc;
    text = vv_alloc(bytes_max);
    if (!text)
        return -ENOMEM;
    rc = read_away(p, name, text, bytes_max, &len);
    if (rc == 0)
        rc = force_write(p, temp, text, len);
    vv_free(text);
    if (rc == 0)
        rc = force(p, VV_CALL_RENAME, temp, name);
    if (rc == 0)
        rc = force(p, VV_CALL_DIR_SYNC, "", "");
    if (rc == 0)
        rc = vv_pair_unlink_on(p, VV_AWAY, name);
    /* Before anything is written at HOME that AWAY's, were it back after a crash, would cover. */
    return rc == 0 ? vv_pair_sync_on(p, VV_AWAY) : rc;
}

int vv_pair_absolute(const char *path, char *out, size_t room)
{
    size_t len = strlen(path), above = 0;

    if (path[0] != '/') {
        if (!getcwd(out, room))
            return errno == ERANGE ? -ENAMETOOLONG : -errno;
        above = strlen(out);
        if (above + 1 >= room)
            return -ENAMETOOLONG;
        out[above++] = '/';
    }
    if (len >= room - above)
        return -ENAMETOOLONG;
    memcpy(out + above, path, len + 1);
    return 0;
}
