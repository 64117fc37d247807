/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at files and damaging them, behind the library's back. Paths are relative to `dir`, which may be
 * NULL for the working directory. Failing here ends the program: there is nothing to test then.
 */
#ifndef TEST_LIB_BYTES_H
#define TEST_LIB_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "varve/io.h"

uint64_t test_bytes_size(const char *dir, const char *name);
/* The whole file, to be freed by free(); one zero byte stands behind it. *ret_bytes may be NULL. */
void *test_bytes_read(const char *dir, const char *name, size_t *ret_bytes);
void test_bytes_read_at(const char *dir, const char *name, uint64_t offset, void *buf, size_t len);

/* Makes the file, or replaces its content. */
void test_bytes_write(const char *dir, const char *name, const void *buf, size_t len);
/* Overwrites in place; grows the file if need be. */
void test_bytes_patch(const char *dir, const char *name, uint64_t offset, const void *buf, size_t len);
void test_bytes_fill(const char *dir, const char *name, uint64_t offset, uint64_t len, unsigned char value);
/* Turns bit `bit` (0 to 7) of a byte that is there. */
void test_bytes_flip(const char *dir, const char *name, uint64_t offset, unsigned bit);
void test_bytes_truncate(const char *dir, const char *name, uint64_t size_bytes);

/* Copies the files and directories below `from` into the new directory `to`. */
void test_bytes_copy_dir(const char *from, const char *to);
/* A number that changes with any name, kind, mode, size or byte below the directory: to show that nothing
 * did. */
uint64_t test_bytes_dir_sum(const char *dir);
/* How many names in the directory start with `prefix`. */
unsigned test_bytes_count(const char *dir, const char *prefix);

/* The same through a table, for file systems that are not the system's: reads and replaces whole files. */
void *test_bytes_io_read(struct varve_io *io, struct varve_dir *dir, const char *name, size_t *ret_bytes);
void test_bytes_io_patch(struct varve_io *io, struct varve_dir *dir, const char *name, uint64_t offset,
                         const void *buf, size_t len);
void test_bytes_io_flip(struct varve_io *io, struct varve_dir *dir, const char *name, uint64_t offset,
                        unsigned bit);

#endif
