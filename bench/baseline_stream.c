/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine does without a log around it: copying and checksumming records, writing large blocks,
 * scanning. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BUFFER_BYTES (64u << 10)
#define COPY_FILE_BYTES   (256u << 20)
#define BLOCK_BYTES       (1u << 20)
#define SCAN_PIECE_BYTES  (256u << 10)

struct stream {
    int fd;
    uint64_t offset;
    size_t filled;
    uint8_t *buffer;
};

static int copy_a_bufferful(struct worker *worker)
{
    struct stream *stream = worker->arg;
    int done = 0;
    while (stream->filled + BENCH_HEADER_BYTES + BENCH_RECORD_BYTES <= COPY_BUFFER_BYTES) {
        stream->filled +=
            bench_lay_record(stream->buffer + stream->filled, worker->record, BENCH_RECORD_BYTES);
        done++;
    }
    if (disk_write_all(stream->fd, stream->buffer, COPY_BUFFER_BYTES, stream->offset) < 0)
        return -1;
    stream->offset = (stream->offset + COPY_BUFFER_BYTES) % COPY_FILE_BYTES;
    stream->filled = 0;
    return done;
}

static int write_block(struct worker *worker)
{
    struct stream *stream = worker->arg;
    if (disk_write_all(stream->fd, stream->buffer, BLOCK_BYTES, stream->offset) < 0)
        return -1;
    stream->offset += BLOCK_BYTES;
    return 1;
}

static int stream_run(const struct bench *bench, struct stream *stream, size_t buffer_bytes, crew_fn fn,
                      struct crew_result *ret_result)
{
    void *buffer = NULL;
    int failed = posix_memalign(&buffer, 4096, buffer_bytes);
    if (failed != 0)
        return bench_fail(failed, "no memory for a buffer");
    memset(buffer, 0x5A, buffer_bytes);
    stream->buffer = buffer;
    struct crew_plan plan = {
        .threads = 1,
        .fn = fn,
        .arg = stream,
        .warmup_s = bench->warmup_s,
        .measure_s = bench->measure_s,
    };
    failed = crew_run(&plan, ret_result);
    free(buffer);
    return failed;
}

/* (e) No sync: into the page cache, round and round over the same pages, which is the cheapest write there
 * is. */
int baseline_copy(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    (void)measure;
    static struct crew_result result;
    struct stream stream = {0};
    if (disk_open_zeroed(bench, "copied", COPY_FILE_BYTES, 0, &stream.fd) < 0)
        return -1;
    int failed = stream_run(bench, &stream, COPY_BUFFER_BYTES, copy_a_bufferful, &result);
    close(stream.fd);
    if (failed < 0)
        return -1;
    ret_sample->value = (double)result.operations / result.elapsed_s;
    return 0;
}

/* (f) As dd does with oflag=direct bs=1M into a new file; the sync at the end is inside the time. */
int baseline_blocks(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    (void)measure;
    static struct crew_result result;
    char path[BENCH_PATH_BYTES];
    disk_path(bench, "blocks", path);
    struct stream stream = {.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600)};
    if (stream.fd < 0)
        return bench_fail(errno, "%s", path);
    int failed = stream_run(bench, &stream, BLOCK_BYTES, write_block, &result);
    if (failed == 0 && fdatasync(stream.fd) < 0)
        failed = bench_fail(errno, "fdatasync");
    uint64_t ended = bench_now_ns();
    close(stream.fd);
    if (failed == 0) {
        double seconds = (double)(ended - result.started_ns) / 1e9;
        ret_sample->value = (double)result.operations * BLOCK_BYTES / seconds / (1 << 20);
    }
    return disk_remove(bench, "blocks") < 0 ? -1 : failed;
}

/* Writes a file of records as bench_lay_record lays them, without an end mark: the scan knows how many there
 * are. */
static int make_records(const char *path, size_t payload_bytes, unsigned count)
{
    struct stat there;
    uint64_t laid = BENCH_HEADER_BYTES + payload_bytes;
    if (stat(path, &there) == 0 && (uint64_t)there.st_size == laid * count)
        return 0;
    uint8_t *payload = calloc(1, payload_bytes), *record = malloc(laid);
    FILE *file = fopen(path, "wbe");
    int failed = payload == NULL || record == NULL || file == NULL;
    for (unsigned i = 0; i < count && !failed; i++) {
        memcpy(payload, &i, sizeof i);
        bench_lay_record(record, payload, payload_bytes);
        failed = fwrite(record, laid, 1, file) != 1;
    }
    if (file != NULL && fclose(file) != 0)
        failed = 1;
    free(payload);
    free(record);
    return failed ? bench_fail(errno, "%s", path) : 0;
}

/* Checks the whole records at the head of `bytes`; *ret_used is where the first one begins that is cut off.
 */
static int check_records(const uint8_t *data, size_t bytes, size_t payload_bytes, size_t *ret_used)
{
    size_t laid = BENCH_HEADER_BYTES + payload_bytes, at = 0;
    for (; at + laid <= bytes; at += laid) {
        uint32_t stored;
        memcpy(&stored, data + at, sizeof stored);
        if (bench_crc32c(0, data + at + 4, laid - 4) != stored)
            return bench_fail(0, "the bare scan met a wrong checksum");
    }
    *ret_used = at;
    return 0;
}

static int scan(int fd, size_t payload_bytes, uint8_t *buffer, size_t buffer_bytes)
{
    size_t kept = 0;
    for (;;) {
        ssize_t got = read(fd, buffer + kept, buffer_bytes - kept);
        if (got < 0)
            return bench_fail(errno, "read");
        if (got == 0)
            return kept == 0 ? 0 : bench_fail(0, "the bare scan met half a record");
        size_t used = 0, have = kept + (size_t)got;
        if (check_records(buffer, have, payload_bytes, &used) < 0)
            return -1;
        kept = have - used;
        memmove(buffer, buffer + used, kept);
    }
}

/* (g) Reading a cached file through and checking every record, with nothing else to do. */
static int scan_run(struct bench *bench, const char *name, size_t payload_bytes, unsigned count,
                    double *ret_s)
{
    char path[BENCH_PATH_BYTES];
    disk_path(bench, name, path);
    if (make_records(path, payload_bytes, count) < 0)
        return -1;
    size_t buffer_bytes = SCAN_PIECE_BYTES + 2 * (payload_bytes + BENCH_HEADER_BYTES);
    uint8_t *buffer = calloc(1, buffer_bytes);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int failed = fd < 0 || buffer == NULL ? bench_fail(errno, "%s", path) : 0;
    uint64_t began = 0;
    for (int pass = 0; pass < 2 && failed == 0; pass++) {
        began = bench_now_ns(); /* the second pass counts: then it is cached */
        lseek(fd, 0, SEEK_SET);
        failed = scan(fd, payload_bytes, buffer, buffer_bytes);
    }
    *ret_s = (double)(bench_now_ns() - began) / 1e9;
    if (fd >= 0)
        close(fd);
    free(buffer);
    return failed;
}

int baseline_scan_small(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    (void)measure;
    double seconds = 0;
    int failed = scan_run(bench, "scan-small", BENCH_RECORD_BYTES, BENCH_SMALL_RECORDS, &seconds);
    ret_sample->value = seconds * 1000;
    return failed;
}

int baseline_scan_large(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    (void)measure;
    double seconds = 0;
    int failed = scan_run(bench, "scan-large", BENCH_LARGE_BYTES, BENCH_LARGE_RECORDS, &seconds);
    ret_sample->value = (double)BENCH_LARGE_BYTES * BENCH_LARGE_RECORDS / (1u << 30) / seconds;
    return failed;
}
