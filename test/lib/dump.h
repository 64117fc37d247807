/* SPDX-License-Identifier: Apache-2.0 */
/* Files as text, to be kept beside tests: a line with a name and a size, then every 16 bytes that are not all
 * zero, each line with its offset. */
#ifndef TEST_LIB_DUMP_H
#define TEST_LIB_DUMP_H

#include <stddef.h>

#include "varve/io.h"

/* Adds a file to the text, which has `room` bytes and has `at` of them in use; returns how many it has then.
 */
size_t test_dump_add(char *text, size_t room, size_t at, struct varve_io *io, struct varve_dir *dir,
                     const char *name);

/* Calls `fn` for each file of a text, with its bytes. */
void test_dump_read(const char *text,
                    void (*fn)(void *arg, const char *name, const void *bytes, size_t length), void *arg);

#endif
