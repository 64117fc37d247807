/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system in memory: directories, files, locks, direct I/O with its alignment, and a power cut. A write
 * becomes visible sector by sector (512 bytes), each one whole; a reader beside it may see some and not
 * others.
 *
 * What is durable: the bytes of a write with dsync, and the size they need, when it returns; with sync all of
 * the file's; names with the sync of their directory and not before. Nothing is ever made durable by chance
 * before that, but a power cut may find it there: test_memory_crash.
 *
 * Threads: any at once.
 */
#ifndef TEST_LIB_MEMORY_H
#define TEST_LIB_MEMORY_H

#include <pthread.h>
#include <stdint.h>

#include "lib/memory_data.h"
#include "lib/rng.h"
#include "varve/io.h"

struct memory_node;

/* Called, with no lock held, when a write with dsync, a sync or a sync of names has done its work and before
 * it is durable: where a power cut hurts most. `name`: of the file or directory. */
typedef void (*test_memory_hook)(void *arg, const char *name);

struct test_memory {
    struct varve_io io; /* what is handed to the code under test */
    pthread_mutex_t lock;
    struct memory_node *root; /* [lock] */
    uint64_t space_bytes;     /* [lock] size of the file system */
    uint64_t used_bytes;      /* [lock] sizes of all files, each rounded up to 4096 */
    uint32_t direct_align;    /* [const] 0 = no direct I/O: opening for it fails with -EINVAL */
    test_memory_hook hook;    /* [lock] */
    void *hook_arg;           /* [lock] */
};

/* There is no coarse clock, as there need not be one. `direct_align`: 0, or a power of two from 512. Times
 * and randomness are the system's: put a test_clock on top. */
void test_memory_init(struct test_memory *memory, uint32_t direct_align);
/* Everything must be closed before. */
void test_memory_close(struct test_memory *memory);

/* Writes and allocations past this fail with -ENOSPC. At the start there is no limit. */
void test_memory_set_space(struct test_memory *memory, uint64_t bytes);
void test_memory_set_hook(struct test_memory *memory, test_memory_hook hook, void *arg);

/*
 * Makes *ret_memory the file system that a power cut at this moment leaves, everything in it durable, nothing
 * open. Calls may be under way in `memory`, which is not touched. `rng` may be NULL unless it is by chance.
 * To be closed by test_memory_close.
 */
void test_memory_crash(struct test_memory *memory, enum test_crash how, struct test_rng *rng,
                       struct test_memory *ret_memory);

#endif
