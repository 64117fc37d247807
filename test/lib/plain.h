/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs in formats of others: the samples that their own programs wrote, copied into the working directory,
 * also torn as those programs' crashes left them.
 */
#ifndef TEST_LIB_PLAIN_H
#define TEST_LIB_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "varve/varve.h"

struct test_plain {
    const char *format, *name;
    unsigned records;
};

/* The samples, ended by a format of NULL. */
extern const struct test_plain test_plains[];

/* Copies the log's directory of a sample into the new directory `to`. */
void test_plain_copy(const struct test_plain *plain, const char *to);

/* The sample's manifest, to be freed by free(); *ret_lines stands behind its first line. */
char *test_plain_manifest(const struct test_plain *plain, char **ret_lines);

/* The sample "a-small" of that format. */
const struct test_plain *test_plain_small(const char *format);

struct test_plain_torn {
    const char *format;
    char name[32], file[64];
    unsigned records; /* that are left */
    uint64_t stop;    /* offset in the file where they end */
    uint64_t bytes;   /* of the file */
    char edit[256];
};

/* The torn forms of the small samples: 1 and *ret_torn, 0 past the last. Opened for each call. */
int test_plain_torn_at(unsigned index, struct test_plain_torn *ret_torn);
/* Makes it in the new directory `to`. */
void test_plain_tear(const struct test_plain_torn *torn, const char *to);

/* The log at hand: a new directory in the working directory for each, which is not made. */
extern char test_plain_path[32];
const char *test_plain_next(void);
/* The small sample of that format, at the next one. */
void test_plain_fresh(const char *format);

/* That log open read-only, and a cursor; `error`: of what failed last. */
struct test_plain_reader {
    struct varve_log *log;
    struct varve_cursor *cursor;
    struct varve_error error;
    unsigned warnings;
    char warning[512]; /* the last one */
};

int test_plain_open(struct test_plain_reader *reader, const char *format, enum varve_policy at_open,
                    enum varve_policy policy);
void test_plain_shut(struct test_plain_reader *reader);
/* Reads to the end: what ended it. */
int test_plain_read_on(struct test_plain_reader *reader, unsigned *ret_records);

#endif
