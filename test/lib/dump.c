/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/dump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"

enum {
    LINE = 16
};

size_t test_dump_add(char *text, size_t room, size_t at, struct varve_io *io, struct varve_dir *dir,
                     const char *name)
{
    static const unsigned char zeros[LINE];
    size_t bytes;
    unsigned char *file = test_bytes_io_read(io, dir, name, &bytes);
    at += (size_t)snprintf(text + at, room - at, "file %s %zu\n", name, bytes);
    for (size_t offset = 0; offset < bytes; offset += LINE) {
        size_t len = bytes - offset < LINE ? bytes - offset : LINE;
        if (memcmp(file + offset, zeros, len) == 0) {
            continue;
        }
        at += (size_t)snprintf(text + at, room - at, "%08zx ", offset);
        for (size_t k = 0; k < len; k++) {
            at += (size_t)snprintf(text + at, room - at, " %02x", file[offset + k]);
        }
        at += (size_t)snprintf(text + at, room - at, "\n");
        assert_true(at < room - 256);
    }
    free(file);
    return at;
}

/* The next line of a file's bytes, into `file`; NULL when there is none. */
static const char *take_line(const char *text, unsigned char *file, size_t bytes)
{
    char *end;
    unsigned long offset = strtoul(text, &end, 16);
    if (end != text + 8) {
        return NULL;
    }
    for (text = end; *end != '\n'; offset++) {
        unsigned long byte = strtoul(text, &end, 16);
        assert_true(end > text && byte < 256 && offset < bytes);
        file[offset] = (unsigned char)byte;
        text = end;
    }
    return end + 1;
}

void test_dump_read(const char *text,
                    void (*fn)(void *arg, const char *name, const void *bytes, size_t length), void *arg)
{
    while (*text != '\0') {
        char name[64];
        size_t bytes;
        assert_int_equal(sscanf(text, "file %63s %zu", name, &bytes), 2);
        unsigned char *file = calloc(1, bytes);
        assert_non_null(file);
        text = strchr(text, '\n') + 1;
        for (const char *next; (next = take_line(text, file, bytes)) != NULL; text = next) {
        }
        fn(arg, name, file, bytes);
        free(file);
    }
}
