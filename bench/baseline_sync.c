/* SPDX-License-Identifier: Apache-2.0 */
/* One thread makes 128 bytes durable, again and again: the three plain ways. What a log costs beside them is
 * Varve's doing, what they cost is the disk's. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_BYTES (64u << 20)

struct writer {
    int fd;
    uint64_t offset;
    uint8_t *sector; /* direct: aligned, `sector_bytes` long */
    unsigned sector_bytes;
};

static int write_then_sync(struct worker *worker)
{
    struct writer *writer = worker->arg;
    uint8_t laid[BENCH_HEADER_BYTES + BENCH_RECORD_BYTES];
    size_t bytes = bench_lay_record(laid, worker->record, BENCH_RECORD_BYTES);
    if (disk_write_all(writer->fd, laid, bytes, writer->offset) < 0)
        return -1;
    if (fdatasync(writer->fd) < 0)
        return bench_fail(errno, "fdatasync");
    writer->offset += bytes;
    return 1;
}

/* (a) The file is made anew for each run, so that every write makes it longer. */
int baseline_growing(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    char path[BENCH_PATH_BYTES];
    disk_path(bench, "growing", path);
    struct writer writer = {.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (writer.fd < 0)
        return bench_fail(errno, "%s", path);
    int failed = crew_sample(bench, measure->threads, write_then_sync, &writer, ret_sample);
    close(writer.fd);
    return disk_remove(bench, "growing") < 0 ? -1 : failed;
}

/* (b) A run writes far less than the file holds, so it always overwrites. */
int baseline_zeroed(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    struct writer writer = {0};
    if (disk_open_zeroed(bench, "zeroed", FILE_BYTES, 0, &writer.fd) < 0)
        return -1;
    int failed = crew_sample(bench, measure->threads, write_then_sync, &writer, ret_sample);
    close(writer.fd);
    return failed;
}

static int write_durable_sector(struct worker *worker)
{
    struct writer *writer = worker->arg;
    bench_lay_record(writer->sector, worker->record, BENCH_RECORD_BYTES);
    struct iovec piece = {.iov_base = writer->sector, .iov_len = writer->sector_bytes};
    ssize_t wrote = pwritev2(writer->fd, &piece, 1, (off_t)writer->offset, RWF_DSYNC);
    if (wrote != (ssize_t)writer->sector_bytes)
        return bench_fail(wrote < 0 ? errno : 0, "durable write of a sector");
    writer->offset = (writer->offset + writer->sector_bytes) % FILE_BYTES;
    return 1;
}

/* (c) The limit of one writer on this disk. */
int baseline_direct(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    struct writer writer = {.sector_bytes = bench->sector_bytes};
    void *sector = NULL;
    if (disk_open_zeroed(bench, "zeroed", FILE_BYTES, O_DIRECT, &writer.fd) < 0)
        return -1;
    int failed = posix_memalign(&sector, 4096, writer.sector_bytes);
    if (failed != 0) {
        failed = bench_fail(failed, "no memory for a sector");
    } else {
        memset(sector, 0, writer.sector_bytes);
        writer.sector = sector;
        failed = crew_sample(bench, measure->threads, write_durable_sector, &writer, ret_sample);
    }
    free(sector);
    close(writer.fd);
    return failed;
}
