/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log in an event loop that must never block: appends return at once, and the eventfd says when to look how
 * far durability has come. Each line of the input is a request; it is answered once its record is durable.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <varve/varve.h>

struct loop {
    struct varve_log *log;
    int input, durable_fd;
    char buf[4096];
    size_t used;
    uint64_t answered_lsn; /* requests up to here were answered */
    int at_end, full;      /* the input is closed; the log has no room just now */
};

/* Appends the whole lines that are in the buffer, as long as the log takes them without waiting. */
static int append_lines(struct loop *loop)
{
    char *line = loop->buf, *end;
    int rc = 0;

    loop->full = 0;
    while ((end = memchr(line, '\n', loop->used - (size_t)(line - loop->buf)))) {
        const struct varve_record record = {.data = line, .data_bytes = (size_t)(end - line)};

        rc = varve_append_async(loop->log, &record, NULL);
        loop->full = rc == VARVE_E_BACKPRESSURE;
        if (rc != 0)
            break;
        line = end + 1;
    }
    loop->used -= (size_t)(line - loop->buf);
    memmove(loop->buf, line, loop->used);
    return loop->full ? 0 : rc;
}

static int read_input(struct loop *loop)
{
    ssize_t n;

    if (loop->used == sizeof loop->buf)
        return VARVE_E_TOO_LARGE; /* a line without an end */
    n = read(loop->input, loop->buf + loop->used, sizeof loop->buf - loop->used);
    if (n < 0)
        return errno == EINTR ? 0 : VARVE_E_IO;
    loop->at_end = n == 0;
    loop->used += (size_t)n;
    return append_lines(loop);
}

/* The durable LSN has moved, or the log has failed. */
static int answer(struct loop *loop)
{
    uint64_t moves, durable;

    if (read(loop->durable_fd, &moves, sizeof moves) < 0 && errno != EAGAIN && errno != EINTR)
        return VARVE_E_IO;
    durable = varve_durable_lsn(loop->log);
    while (loop->answered_lsn < durable)
        printf("request %" PRIu64 " is durable\n", ++loop->answered_lsn);
    if (varve_error_first(loop->log, NULL) != 0)
        return varve_error_first(loop->log, NULL);
    return loop->full ? append_lines(loop) : 0;
}

static int run(struct loop *loop)
{
    int rc = varve_eventfd(loop->log, &loop->durable_fd);

    loop->answered_lsn = varve_last_lsn(loop->log);
    while (rc == 0 && (!loop->at_end || loop->full || loop->answered_lsn < varve_last_lsn(loop->log))) {
        struct pollfd fds[] = {
            {.fd = loop->durable_fd, .events = POLLIN},
            {.fd = loop->at_end || loop->full ? -1 : loop->input, .events = POLLIN},
        };

        /* Room may also come without a move of the durable LSN: when the next segment is ready. */
        if (poll(fds, 2, loop->full ? 10 : -1) < 0)
            rc = errno == EINTR ? 0 : VARVE_E_IO;
        else if (fds[0].revents || loop->full)
            rc = answer(loop);
        else if (fds[1].revents)
            rc = read_input(loop);
    }
    return rc;
}

/* Stands in for the clients of a server: a pipe with a few requests in it. */
static int open_requests(void)
{
    static const char requests[] = "put a 1\nput b 2\ndelete a\n";
    int ends[2];

    if (pipe(ends) != 0)
        return -1;
    if (write(ends[1], requests, sizeof requests - 1) != (ssize_t)sizeof requests - 1)
        perror("eventloop: pipe");
    close(ends[1]);
    return ends[0];
}

int main(void)
{
    struct varve_options options = {.size = sizeof options, .backpressure = VARVE_BACKPRESSURE_FAIL};
    struct loop loop = {.input = open_requests()};
    struct varve_error error;
    int rc;

    if (loop.input < 0 || varve_open("eventloop.varve", &options, &loop.log, &error) != 0) {
        fprintf(stderr, "eventloop: %s\n", loop.input < 0 ? strerror(errno) : error.message);
        return 1;
    }
    rc = run(&loop);
    if (rc != 0)
        fprintf(stderr, "eventloop: %s: %s\n", varve_error_name(rc), varve_error_meaning(rc));
    close(loop.input);
    return varve_close(loop.log, &error) != 0 || rc != 0;
}
