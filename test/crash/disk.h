/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A struct varve_io over a crash_fs: what a log runs on while it is recorded or recovered. It knows nothing
 * of durability; that is the trace's business.
 *
 * Threads: any at once.
 */
#ifndef TEST_CRASH_DISK_H
#define TEST_CRASH_DISK_H

#include <pthread.h>

#include "crash/fs.h"
#include "lib/rng.h"
#include "varve/io.h"

struct crash_disk {
    struct varve_io io;
    pthread_mutex_t lock;
    struct crash_fs fs;  /* [lock] */
    struct test_rng rng; /* [lock] what random() gives */
};

/* Takes over `fs`. `seed`: what random() gives follows from it. Direct I/O in sectors of 512 bytes. */
void crash_disk_init(struct crash_disk *disk, struct crash_fs *fs, uint64_t seed);
void crash_disk_close(struct crash_disk *disk);
/* What is there now. To be freed by crash_fs_free. */
void crash_disk_copy(struct crash_disk *disk, struct crash_fs *ret_copy);

#endif
