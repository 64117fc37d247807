/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two devices below one table: a directory whose path ends in "away", with all that is in it, lies on the
 * second one, everything else on the first. Each can fail, or hang, by itself.
 *
 * A path is looked up by its last component alone.
 *
 * Threads: any at once.
 */
#ifndef TEST_LIB_DEVICE_H
#define TEST_LIB_DEVICE_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/pass.h"

enum test_device_state {
    TEST_DEVICE_WELL,
    TEST_DEVICE_FAILS, /* whatever changes it, or makes it durable, fails with EIO and does nothing */
    TEST_DEVICE_HANGS, /* the same calls wait until that is over, and are made then */
    TEST_DEVICE_DEAD,  /* every call fails with EIO, reading and opening as well */
    TEST_DEVICE_FULL,  /* files cannot be made or given space: ENOSPC */
};

struct test_device {
    struct test_pass pass; /* first: pass.io is the table */
    struct {
        _Atomic int state;
        _Atomic unsigned hanging; /* calls that wait at this moment */
        _Atomic uint64_t changes; /* calls of that kind that were made */
    } at[2];
    _Atomic uint64_t stop_after; /* so many such calls on both, then each fails; 0 = never */
};

/* `below`: NULL = the system's. */
void test_device_init(struct test_device *device, struct varve_io *below);

/* `which`: 0 or 1. */
void test_device_set(struct test_device *device, int which, enum test_device_state state);

#endif
