/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What include/varve/io.h asks of every table, as cmocka tests: each case gets an empty directory of the
 * table under test, open. A test program has one function that makes the table; see
 * test/unit/io/test_system.c.
 */
#ifndef TEST_LIB_CONTRACT_H
#define TEST_LIB_CONTRACT_H

#include "varve/io.h"

struct test_contract {
    struct varve_io *io;
    struct varve_dir *dir;
};

/* Runs every case; `path` is where the table may make directories ("" or ending with a slash). Returns the
 * number of cases that failed, as cmocka does. */
int test_contract_run(const char *name, struct varve_io *io, const char *path);

#endif
