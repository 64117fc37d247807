/* SPDX-License-Identifier: Apache-2.0 */
#include "feed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

#define FEED_BUFFER (256u << 10)

/* What a record takes in a frame beyond its payload: header and padding, at most. */
#define FEED_RECORD_OVERHEAD 24

const char *feed_name(const struct feed *feed, uint64_t number, char *text, size_t text_bytes)
{
    if (feed->form == FEED_FILES && number <= feed->file_count)
        snprintf(text, text_bytes, "%s", feed->files[number - 1]);
    else
        snprintf(text, text_bytes, "%s %" PRIu64, feed->form == FEED_LINES ? "line" : "record", number);
    return text;
}

/* Bytes that standard input still holds, where that can be known. */
static uint64_t feed_total(int fd)
{
    struct stat st;
    off_t at;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    at = lseek(fd, 0, SEEK_CUR);
    return at >= 0 && at < st.st_size ? (uint64_t)(st.st_size - at) : 0;
}

bool feed_open(struct feed *feed)
{
    feed->fd = STDIN_FILENO;
    feed->size = FEED_BUFFER;
    feed->progress.what = "append";
    pthread_mutex_init(&feed->lock, NULL);
    if (feed->form == FEED_FILES)
        return true;
    feed->total_bytes = feed_total(feed->fd);
    feed->buf = malloc(feed->size);
    if (!feed->buf)
        say_system("input", ENOMEM);
    return feed->buf != NULL;
}

void feed_close(struct feed *feed)
{
    term_progress_clear();
    free(feed->buf);
    pthread_mutex_destroy(&feed->lock);
}

void feed_batch_free(struct feed_batch *batch)
{
    free(batch->records);
    free(batch->copy);
    *batch = (struct feed_batch){0};
}

static void feed_fail(struct feed *feed)
{
    feed->failed = true;
    feed->ended = true;
}

/* Waits until there is something to read. False: stop_fd says that there shall be no more reading. */
static bool feed_wait(struct feed *feed)
{
    struct pollfd fds[2] = {{.fd = feed->fd, .events = POLLIN}, {.fd = feed->stop_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    if (fds[1].revents)
        feed->stopped = true;
    return !fds[1].revents;
}

/* Room behind `end`: by moving what is left to the front, or by a larger buffer where a single record fills
 * it. It grows with what has really come, never by what a length field claims. */
static bool feed_make_room(struct feed *feed)
{
    uint8_t *larger;

    if (feed->start > 0) {
        memmove(feed->buf, feed->buf + feed->start, feed->end - feed->start);
        feed->searched -= feed->start;
        feed->end -= feed->start;
        feed->start = 0;
    }
    if (feed->end < feed->size)
        return true;
    larger = realloc(feed->buf, feed->size * 2);
    if (!larger) {
        say_system("input", ENOMEM);
        return false;
    }
    feed->buf = larger;
    feed->size *= 2;
    return true;
}

/* Reads what there is, and waits only for the first byte of it. */
static void feed_fill(struct feed *feed)
{
    ssize_t got;

    if (!feed_make_room(feed)) {
        feed_fail(feed);
        return;
    }
    do {
        if (!feed_wait(feed)) {
            feed->ended = true;
            return;
        }
        got = read(feed->fd, feed->buf + feed->end, feed->size - feed->end);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got < 0) {
        say_system("standard input", errno);
        feed_fail(feed);
        return;
    }
    feed->end += (size_t)got;
    feed->ended = got == 0;
}

static void feed_fail_too_long(struct feed *feed)
{
    say_to_do("raise --record-max and, if need be, --segment-bytes; what came before is in the log");
    feed_fail(feed);
}

static void feed_too_long(struct feed *feed, uint64_t number)
{
    char name[64];

    say("%s: longer than the largest record, %" PRIu64 " bytes", feed_name(feed, number, name, sizeof name),
        feed->record_max);
    feed_fail_too_long(feed);
}

/* Where a record lies in the buffer, from `start` on. */
struct feed_place {
    size_t skip;  /* bytes before its payload */
    size_t bytes; /* of payload */
    size_t all;   /* of both and the delimiter */
};

/* Finds record `number`, the next one. False when it is not all there, or too large. */
static bool feed_find_framed(struct feed *feed, struct feed_place *ret_place)
{
    const uint8_t *at = feed->buf + feed->start;
    size_t left = feed->end - feed->start;
    uint32_t bytes;

    if (left < 4)
        return false;
    bytes = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    if (bytes > feed->record_max) {
        say("byte %" PRIu64 " of the input: a length of %" PRIu32 ", more than the largest record, %" PRIu64
            " bytes",
            feed->offset, bytes, feed->record_max);
        feed_fail_too_long(feed);
        return false;
    }
    *ret_place = (struct feed_place){.skip = 4, .bytes = bytes, .all = 4 + (size_t)bytes};
    return ret_place->all <= left;
}

static bool feed_find_delimited(struct feed *feed, uint64_t number, struct feed_place *ret_place)
{
    int delimiter = feed->form == FEED_NUL ? '\0' : '\n';
    const uint8_t *at = memchr(feed->buf + feed->searched, delimiter, feed->end - feed->searched);
    size_t bytes;

    feed->searched = at ? (size_t)(at - feed->buf) : feed->end;
    bytes = feed->searched - feed->start;
    if (bytes > feed->record_max) {
        feed_too_long(feed, number);
        return false;
    }
    *ret_place = (struct feed_place){.skip = 0, .bytes = bytes, .all = bytes + 1};
    return at != NULL;
}

static bool feed_find(struct feed *feed, uint64_t number, struct feed_place *ret_place)
{
    if (feed->form == FEED_FRAMED)
        return feed_find_framed(feed, ret_place);
    return feed_find_delimited(feed, number, ret_place);
}

/* The input ends: what is behind the last whole record? */
static void feed_rest(struct feed *feed, struct feed_batch *batch)
{
    size_t left = feed->end - feed->start;

    if (left == 0 || feed->stopped || feed->failed)
        return;
    if (feed->form == FEED_FRAMED) {
        say("byte %" PRIu64 " of the input: the record that begins here is cut off after %zu bytes",
            feed->offset, left);
        say_to_do("look at what wrote the input; what came before is in the log");
        feed_fail(feed);
        return;
    }
    batch->records[batch->count++] = (struct varve_record){.data = feed->buf + feed->start,
                                                           .data_bytes = left,
                                                           .type = feed->type,
                                                           .flags = feed->flags,
                                                           .time = feed->time};
    batch->bytes = left;
    feed->start = feed->end;
}

/* Cuts whole records off the front of the buffer, as many as are there and fit into a batch. */
static void feed_cut(struct feed *feed, struct feed_batch *batch)
{
    size_t room = feed->batch_bytes;
    struct feed_place place;

    while (batch->count < feed->batch_records && !feed->failed &&
           feed_find(feed, feed->count + batch->count + 1, &place)) {
        size_t cost = place.bytes + FEED_RECORD_OVERHEAD;

        if (batch->count > 0 && cost > room)
            break;
        batch->records[batch->count++] = (struct varve_record){.data = feed->buf + feed->start + place.skip,
                                                               .data_bytes = place.bytes,
                                                               .type = feed->type,
                                                               .flags = feed->flags,
                                                               .time = feed->time};
        batch->bytes += place.bytes;
        feed->start += place.all;
        feed->offset += place.all;
        feed->searched = feed->start;
        if (cost >= room)
            break;
        room -= cost;
    }
}

static bool feed_reserve(struct feed_batch *batch, size_t bytes)
{
    if (bytes <= batch->copy_size)
        return true;
    free(batch->copy);
    batch->copy = malloc(bytes);
    batch->copy_size = batch->copy ? bytes : 0;
    return batch->copy != NULL;
}

/* Takes the records out of the buffer, which the next taker will overwrite. They lie close together there. */
static bool feed_copy(struct feed_batch *batch)
{
    struct varve_record *last = &batch->records[batch->count - 1];
    const uint8_t *from = batch->records[0].data;
    size_t bytes = (size_t)((const uint8_t *)last->data - from) + last->data_bytes;

    if (!feed_reserve(batch, bytes)) {
        say_system("input", ENOMEM);
        return false;
    }
    if (bytes > 0)
        memcpy(batch->copy, from, bytes);
    for (size_t i = 0; i < batch->count; i++)
        batch->records[i].data = batch->copy + ((const uint8_t *)batch->records[i].data - from);
    return true;
}

static void feed_take_stream(struct feed *feed, struct feed_batch *batch)
{
    for (;;) {
        feed_cut(feed, batch);
        if (batch->count > 0 || feed->failed)
            break;
        if (feed->ended) {
            feed_rest(feed, batch);
            break;
        }
        feed_fill(feed);
    }
    if (batch->count > 0 && feed->copies && !feed_copy(batch)) {
        batch->count = 0;
        feed_fail(feed);
    }
}

/* Reads all of `fd` into the batch, one byte more than a record may have at most. Returns 0 or an errno. */
static int feed_read_file(int fd, uint64_t bytes_max, struct feed_batch *batch)
{
    struct stat st;
    size_t used = 0, want = FEED_BUFFER;
    ssize_t got;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size < bytes_max)
        want = (size_t)st.st_size + 1;
    if (!feed_reserve(batch, want))
        return ENOMEM;
    for (;;) {
        got = read(fd, batch->copy + used, batch->copy_size - used);
        if (got < 0)
            return errno;
        used += (size_t)got;
        if (got == 0 || used > bytes_max)
            break;
        if (used == batch->copy_size) {
            uint8_t *larger = realloc(batch->copy, used * 2);

            if (!larger)
                return ENOMEM;
            batch->copy = larger;
            batch->copy_size = used * 2;
        }
    }
    batch->bytes = used;
    return 0;
}

static void feed_take_file(struct feed *feed, struct feed_batch *batch)
{
    const char *path;
    int fd, failed;

    if (feed->count == feed->file_count || feed->stopped) {
        feed->ended = true;
        return;
    }
    path = feed->files[feed->count];
    fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    failed = fd < 0 ? errno : feed_read_file(fd, feed->record_max, batch);
    if (fd > STDIN_FILENO)
        close(fd);
    if (failed == EINTR) {
        feed->ended = true;
    } else if (failed) {
        say_system(path, failed);
        feed_fail(feed);
    } else if (batch->bytes > feed->record_max) {
        feed_too_long(feed, feed->count + 1);
    } else {
        batch->records[batch->count++] = (struct varve_record){.data = batch->copy,
                                                               .data_bytes = batch->bytes,
                                                               .type = feed->type,
                                                               .flags = feed->flags,
                                                               .time = feed->time};
    }
}

static bool feed_is_stopped(const struct feed *feed)
{
    struct pollfd stop = {.fd = feed->stop_fd, .events = POLLIN};

    return poll(&stop, 1, 0) > 0;
}

enum feed_result feed_take(struct feed *feed, struct feed_batch *batch)
{
    enum feed_result result;

    batch->count = 0;
    batch->bytes = 0;
    if (!batch->records) {
        batch->records = calloc(feed->batch_records, sizeof *batch->records);
        if (!batch->records) {
            say_system("input", ENOMEM);
            return FEED_FAILED;
        }
    }
    pthread_mutex_lock(&feed->lock);
    if (!feed->failed && feed->form == FEED_FILES) {
        feed->stopped = feed_is_stopped(feed);
        feed_take_file(feed, batch);
    } else if (!feed->failed) {
        feed_take_stream(feed, batch);
    }
    /* Not when the input is read: a full buffer may take seconds to commit record by record. */
    term_progress(&feed->progress, feed->offset, feed->total_bytes);
    batch->first = feed->count + 1;
    feed->count += batch->count;
    result = batch->count > 0 ? FEED_TAKEN : feed->failed ? FEED_FAILED : FEED_END;
    pthread_mutex_unlock(&feed->lock);
    return result;
}
