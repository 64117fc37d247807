/* SPDX-License-Identifier: Apache-2.0 */
#include "out.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "say.h"

#define OUT_BYTES (256u << 10)

bool out_open(struct out *out)
{
    *out = (struct out){.buf = malloc(OUT_BYTES), .size = OUT_BYTES, .fd = STDOUT_FILENO};
    if (!out->buf)
        say_system("standard output", ENOMEM);
    return out->buf != NULL;
}

int out_write_all(int fd, const void *data, size_t bytes)
{
    const uint8_t *at = data;

    while (bytes > 0) {
        ssize_t done = write(fd, at, bytes);

        if (done >= 0) {
            at += done;
            bytes -= (size_t)done;
        } else if (errno == EAGAIN) {
            /* Somebody who shares the terminal or pipe has made it non-blocking. */
            struct pollfd ready = {.fd = fd, .events = POLLOUT};

            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static void out_through(struct out *out, const void *data, size_t bytes)
{
    if (!out->failed)
        out->failed = out_write_all(out->fd, data, bytes);
}

bool out_flush(struct out *out)
{
    out_through(out, out->buf, out->used);
    out->used = 0;
    return !out->failed;
}

void out_bytes(struct out *out, const void *data, size_t bytes)
{
    if (bytes > out->size - out->used) {
        out_flush(out);
        if (bytes >= out->size) {
            out_through(out, data, bytes);
            return;
        }
    }
    if (bytes > 0)
        memcpy(out->buf + out->used, data, bytes);
    out->used += bytes;
}

void out_byte(struct out *out, uint8_t byte)
{
    if (out->used == out->size)
        out_flush(out);
    out->buf[out->used++] = byte;
}

void out_string(struct out *out, const char *text)
{
    out_bytes(out, text, strlen(text));
}

/* printf is most of the cost of a dump when every number goes through it. */
void out_number(struct out *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    out_bytes(out, digits + at, sizeof digits - at);
}

void out_print(struct out *out, const char *format, ...)
{
    char text[1024];
    va_list args;
    int chars;

    va_start(args, format);
    chars = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (chars > 0)
        out_bytes(out, text, (size_t)chars < sizeof text ? (size_t)chars : sizeof text - 1);
}

int out_close(struct out *out)
{
    int failed;

    out_flush(out);
    failed = out->failed;
    /* Some file systems tell only here that there was no room. */
    if (!failed && close(out->fd) != 0 && errno != EINTR)
        failed = errno;
    free(out->buf);
    *out = (struct out){.failed = failed};
    return failed ? say_system("standard output", failed) : EXIT_FINE;
}

bool out_is_abandoned(const struct out *out)
{
    struct pollfd gone = {.fd = out->fd};

    return poll(&gone, 1, 0) > 0 && (gone.revents & POLLERR);
}
