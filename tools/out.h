/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard output with a large buffer, for streams of millions of small records. The first error stays: what
 * is written after it goes nowhere, and out_close tells it.
 */
#ifndef OUT_H
#define OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/export.h"

struct out {
    uint8_t *buf;
    size_t used;
    size_t size;
    int fd;
    int failed; /* the errno of the first error, 0 = none */
};

/* False when there is no memory. */
bool out_open(struct out *out);

void out_bytes(struct out *out, const void *data, size_t bytes);
void out_byte(struct out *out, uint8_t byte);
void out_string(struct out *out, const char *text);
void out_number(struct out *out, uint64_t value);
void out_print(struct out *out, const char *format, ...) VARVE_PRINTF(2, 3);

/* False once anything has failed. */
bool out_flush(struct out *out);

/* Flushes and frees. Returns EXIT_FINE, or after saying so EXIT_FAILED. */
int out_close(struct out *out);

/* Whether nobody can read any more what is written: the reader of a pipe is gone. */
bool out_is_abandoned(const struct out *out);

/* All of it to `fd`, however many calls that takes. Returns 0 or an errno. */
int out_write_all(int fd, const void *data, size_t bytes);

#endif
