/* SPDX-License-Identifier: Apache-2.0 */
/* Direct writes that return durable, N of them in flight at once through io_uring, each with one record in a
 * sector of its own: what the device does when nobody waits. */
#include "peers.h"

#include "syncs.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES ((uint64_t)64 << 20)
#define DEPTH_MAX  256u

struct store {
    struct io_uring ring;
    int fd;
    unsigned sector_bytes; /* of one write: the record, up to whole sectors */
    unsigned write_bytes;
    unsigned flight;
    uint64_t file_bytes; /* whole writes; the offset starts again there */
    uint64_t offset;
    uint8_t
        *buffers; /* DEPTH_MAX of write_bytes, used in turn; each run writes the same bytes again and again */
    unsigned next;
};

static int uring_open(const struct peer_setup *setup, void **ret_store)
{
    struct bench place = {0};
    struct store *store = calloc(1, sizeof *store);
    void *buffers = NULL;
    if (store == NULL)
        return bench_fail(ENOMEM, "io_uring");
    size_t whole = setup->bytes_max + BENCH_HEADER_BYTES + setup->sector_bytes - 1;
    store->sector_bytes = setup->sector_bytes;
    store->write_bytes = (unsigned)(whole / setup->sector_bytes * setup->sector_bytes);
    if (posix_memalign(&buffers, 4096, (size_t)DEPTH_MAX * store->write_bytes) != 0) {
        free(store);
        return bench_fail(ENOMEM, "io_uring");
    }
    memset(buffers, 0, (size_t)DEPTH_MAX * store->write_bytes);
    store->buffers = buffers;
    store->file_bytes =
        (setup->brief ? FILE_BYTES / 16 : FILE_BYTES) / store->write_bytes * store->write_bytes;
    snprintf(place.dir, sizeof place.dir, "%s", setup->dir);
    int code = io_uring_queue_init(DEPTH_MAX, &store->ring, 0);
    if (code < 0) {
        bench_fail(-code, "io_uring_queue_init");
    } else if (disk_open_zeroed(&place, "zeroed", store->file_bytes, O_DIRECT, &store->fd) < 0) {
        io_uring_queue_exit(&store->ring);
        code = -1;
    }
    if (code < 0) {
        free(store->buffers);
        free(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static void prepare(struct store *store, const void *data, size_t bytes)
{
    struct io_uring_sqe *entry =
        io_uring_get_sqe(&store->ring); /* never full: `flight` is at most DEPTH_MAX */
    uint8_t *buffer = store->buffers + (size_t)store->next * store->write_bytes;
    size_t laid = bench_lay_record(buffer, data, bytes);
    laid = (laid + store->sector_bytes - 1) / store->sector_bytes * store->sector_bytes;
    io_uring_prep_write(entry, store->fd, buffer, (unsigned)laid, store->offset);
    entry->rw_flags = RWF_DSYNC;
    entry->user_data = laid;
    store->next = (store->next + 1) % DEPTH_MAX;
    store->offset = (store->offset + store->write_bytes) % store->file_bytes;
    store->flight++;
}

static int reap(struct store *store)
{
    struct io_uring_cqe *entry = NULL;
    int done = 0;
    while (io_uring_peek_cqe(&store->ring, &entry) == 0) {
        if (entry->res < 0 || (uint64_t)entry->res != entry->user_data)
            return bench_fail(entry->res < 0 ? -entry->res : 0, "durable write through io_uring");
        io_uring_cqe_seen(&store->ring, entry);
        store->flight--;
        done++;
    }
    syncs_add_writes((uint64_t)done);
    return done;
}

static int uring_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    struct store *store = arg;
    while (store->flight < count && store->flight < DEPTH_MAX)
        prepare(store, data, bytes);
    int code = io_uring_submit_and_wait(&store->ring, 1);
    if (code < 0 && code != -EINTR)
        return bench_fail(-code, "io_uring_submit_and_wait");
    return reap(store);
}

static int uring_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    (void)thread;
    return uring_batch(arg, data, bytes, 1) < 0 ? -1 : 0;
}

static int uring_close(void *arg)
{
    struct store *store = arg;
    int failed = 0;
    while (store->flight > 0 && failed >= 0)
        failed = io_uring_submit_and_wait(&store->ring, 1) < 0 ? -1 : reap(store);
    io_uring_queue_exit(&store->ring);
    close(store->fd);
    free(store->buffers);
    free(store);
    return failed < 0 ? -1 : 0;
}

static int uring_version(char version[PEER_VERSION_BYTES])
{
    snprintf(version, PEER_VERSION_BYTES, "%s", PEER_URING_VERSION);
    return 0;
}

const struct peer peer_raw_uring = {
    .name = "raw-uring",
    .title = "O_DIRECT + RWF_DSYNC, a write for each",
    .settings = "io_uring, N writes in flight, each one record in a sector of its own",
    .flags = PEER_RAW | PEER_LIMIT,
    .modes = 1u << PEER_DURABLE,
    .version = uring_version,
    .open = uring_open,
    .append = uring_append,
    .batch = uring_batch,
    .close = uring_close,
};
