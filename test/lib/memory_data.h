/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content of a file in memory, twice: as it reads now, and as a power cut would leave it at the least,
 * with the writes between the two, sector by sector. Used by memory.c, under its lock.
 */
#ifndef TEST_LIB_MEMORY_DATA_H
#define TEST_LIB_MEMORY_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/rng.h"

enum {
    MEMORY_SECTOR = 512
};

/* Bytes that are zero where nothing was ever put. Stores share what they have in common. */
struct memory_store {
    struct memory_chunk **chunks;
    size_t count;
};

/* A write that is under way, or done and not durable. */
struct memory_write {
    struct memory_write *next;
    uint64_t offset; /* as asked for */
    size_t bytes;    /* likewise */
    uint64_t first;  /* sectors that it touches */
    size_t sectors;
    unsigned char *data; /* whole sectors */
    bool *live;          /* for each sector: it was put, and nothing later that is durable stands over it */
    bool done;
};

struct memory_data {
    struct memory_store now, durable;
    uint64_t size_now, size_durable;
    struct memory_write *first; /* in the order in which they began */
};

/* What of the unsynced a power cut leaves. */
enum test_crash {
    TEST_CRASH_CHANCE,  /* of each write all, nothing, its beginning, or any sectors; of names a beginning */
    TEST_CRASH_NOTHING, /* only what was made durable */
    TEST_CRASH_ALL,     /* everything, as when only the process died */
};

void memory_data_free(struct memory_data *data);
void memory_data_read(const struct memory_data *data, void *buf, size_t len, uint64_t offset);

/* A write: begin (takes a copy of `buf`), put each sector, end. The size grows with the sectors. */
struct memory_write *memory_data_begin(struct memory_data *data, const void *buf, size_t len,
                                       uint64_t offset);
void memory_data_put(struct memory_data *data, struct memory_write *write, size_t sector);
void memory_data_end(struct memory_data *data, struct memory_write *write, bool durable);

/* The size, now; what is cut off reads as zeros when it comes back. */
void memory_data_resize(struct memory_data *data, uint64_t size_bytes);
/* Every write that is done, and the size, become durable. */
void memory_data_sync(struct memory_data *data);

/* Fills `ret`, which is zeroed, with what a power cut leaves of `data`. `rng` is used for chance only. */
void memory_data_crash(const struct memory_data *data, enum test_crash how, struct test_rng *rng,
                       struct memory_data *ret);

#endif
