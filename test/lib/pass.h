/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A struct varve_io that hands every call to another one. A decorator has it as its first member, replaces
 * the functions it cares for, and stacks on whatever is below: fault on clock on memory, for example.
 */
#ifndef TEST_LIB_PASS_H
#define TEST_LIB_PASS_H

#include "varve/io.h"

struct test_pass {
    struct varve_io io; /* what is handed to the code under test; io.ctx is this struct */
    struct varve_io *below;
};

/* `below`: NULL = the system's. It must outlive this. */
void test_pass_init(struct test_pass *pass, struct varve_io *below);

/* The table below the one that a function was called with. */
struct varve_io *test_pass_below(struct varve_io *io);

#endif
