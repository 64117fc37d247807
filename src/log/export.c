/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export: a thread of its own writes the metrics into a file four times a second, so that others can
 * watch a log without asking its process; also while every other thread hangs on a disk. Nobody waits for it.
 *
 * The file is a header and the text, with a checksum over both: a reader that comes in the middle of a change
 * sees that it does not match, and reads again.
 */
#include "log/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "base/error.h"
#include "base/thread.h"
#include "base/wait.h"
#include "io/shared.h"
#include "varve/metrics.h"

/*
 * off  size
 *   0     8  "VARVEMET"
 *   8     4  version, 1
 *  12     4  CRC-32C of bytes 16 to the end of the text
 *  16     8  process
 *  24     8  microseconds since 1970 UTC
 *  32     4  1: the log was closed
 *  36     4  length of the text, from byte 64 on
 */
static const char magic[] = "VARVEMET";

enum {
    HEADER_BYTES = 64,
    FILE_BYTES = HEADER_BYTES + VARVE_METRICS_BYTES,
    READ_TRIES = 200
};

struct vv_exporter {
    struct vv_shared file;
    pthread_t thread;
    _Atomic uint32_t stop;
    char page[FILE_BYTES]; /* [thread; then who stops it] */
};

static void write_page(struct varve_log *log, struct vv_exporter *e, bool closed)
{
    uint8_t *page = (uint8_t *)e->page;
    size_t len = 0;

    memset(page, 0, HEADER_BYTES);
    if (varve_metrics_text(log, NULL, e->page + HEADER_BYTES, VARVE_METRICS_BYTES, &len) != 0)
        len = 0;
    memcpy(page, magic, 8);
    vv_put_u32(page + 8, 1);
    vv_put_u64(page + 16, (uint64_t)getpid());
    vv_put_u64(page + 24, log->io->realtime_us(log->io));
    vv_put_u32(page + 32, closed);
    vv_put_u32(page + 36, (uint32_t)len);
    vv_put_u32(page + 12, vv_crc32c(0, page + 16, HEADER_BYTES - 16 + len));
    /* Where it fails the reader sees by the time that this is not of now. */
    (void)vv_shared_write(&e->file, page, HEADER_BYTES + len);
}

static void *export_run(void *arg)
{
    struct varve_log *log = arg;
    struct vv_exporter *e = log->exporter;

    while (atomic_load(&e->stop) == 0) {
        write_page(log, e, false);
        (void)vv_wait_on(&e->stop, 0, VV_EXPORT_PERIOD_US);
    }
    return NULL;
}

int vv_export_start(struct varve_log *log, struct varve_error *ret_error)
{
    const char *path = log->options.metrics_file;
    struct vv_exporter *e;
    int rc;

    if (!path)
        return 0;
#ifdef VARVE_NO_METRICS
    return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0,
                        "metrics_file: this library was built without them");
#endif
    e = vv_alloc_zero(sizeof *e);
    if (!e)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "metrics_file");
    rc = vv_shared_open(&e->file, path, FILE_BYTES);
    if (rc != 0) {
        vv_free(e);
        if (rc == -EAGAIN)
            return vv_error_set(ret_error, VARVE_E_LOCKED, 0, "metrics_file: another log exports to %s",
                                path);
        if (rc == -EMEDIUMTYPE || rc == -ELOOP)
            return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "metrics_file: %s", path);
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "metrics_file: %s cannot be made", path);
    }
    log->options.metrics_file = log->asked.metrics_file = NULL; /* the caller's again */
    log->exporter = e;
    rc = vv_thread_start(&e->thread, "varve-export", export_run, log);
    if (rc != 0) {
        log->exporter = NULL;
        vv_shared_close(&e->file);
        vv_free(e);
        return vv_error_set(ret_error, VARVE_E_NOMEM, -rc, "a thread cannot be started");
    }
    return 0;
}

void vv_export_stop(struct varve_log *log, bool forked)
{
    struct vv_exporter *e = log->exporter;

    if (!e)
        return;
    if (!forked) {
        atomic_store(&e->stop, 1);
        vv_wake_all(&e->stop);
        pthread_join(e->thread, NULL);
        write_page(log, e, true);
    }
    log->exporter = NULL;
    vv_shared_close(&e->file);
    vv_free(e);
}

/* Whether the `len` bytes are one whole state. */
static bool whole(const uint8_t *page, size_t len)
{
    uint32_t text;

    if (len < HEADER_BYTES)
        return false;
    text = vv_get_u32(page + 36);
    return text <= VARVE_METRICS_BYTES && text <= len - HEADER_BYTES &&
           vv_get_u32(page + 12) == vv_crc32c(0, page + 16, HEADER_BYTES - 16 + text);
}

static int read_page(const char *path, uint8_t *page, struct varve_error *ret_error)
{
    _Atomic uint32_t nobody = 0;
    size_t len = 0;

    for (unsigned i = 0; i < READ_TRIES; i++) {
        int rc = vv_shared_read(path, page, FILE_BYTES, &len);

        if (rc == -ENOENT)
            return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "%s: nobody exports metrics there", path);
        if (rc == -EMEDIUMTYPE || rc == -ELOOP)
            return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s", path);
        if (rc != 0)
            return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be read", path);
        if (len >= HEADER_BYTES && memcmp(page, magic, 8) == 0 && vv_get_u32(page + 8) == 1 &&
            whole(page, len))
            return 0;
        (void)vv_wait_on(&nobody, 0, 1000);
    }
    return vv_error_set(ret_error, VARVE_E_FORMAT, 0, "%s: not a file of metrics, or never a whole one",
                        path);
}

int varve_metrics_read(const char *path, char *text, size_t room, struct varve_metrics_export *ret_export,
                       struct varve_error *ret_error)
{
    uint8_t *page;
    uint32_t len;
    int rc;

    if (!path || !text || !ret_export || ret_export->size < sizeof *ret_export)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "a path, a buffer and a place for the facts are needed");
    page = vv_alloc(FILE_BYTES);
    if (!page)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", path);
    rc = read_page(path, page, ret_error);
    if (rc == 0) {
        len = vv_get_u32(page + 36);
        if (len >= room) {
            rc = vv_error_set(ret_error, VARVE_E_TOO_LARGE, 0, "%s: %u bytes of text", path, (unsigned)len);
        } else {
            memcpy(text, page + HEADER_BYTES, len);
            text[len] = 0;
            *ret_export = (struct varve_metrics_export){.size = sizeof *ret_export,
                                                        .pid = (int64_t)vv_get_u64(page + 16),
                                                        .updated_us = vv_get_u64(page + 24),
                                                        .closed = vv_get_u32(page + 32) != 0,
                                                        .text_bytes = len};
        }
    }
    vv_free(page);
    return rc;
}
