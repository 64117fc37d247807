/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/memory_data.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY_CHUNK = 64 * 1024
};

static void *memory_need(void *p)
{
    if (p == NULL) {
        abort();
    }
    return p;
}

/* Never written to while more than one store has it. */
struct memory_chunk {
    _Atomic unsigned stores;
    unsigned char bytes[MEMORY_CHUNK];
};

static void memory_chunk_free(struct memory_chunk *chunk)
{
    if (chunk != NULL && atomic_fetch_sub(&chunk->stores, 1) == 1) {
        free(chunk);
    }
}

static void memory_store_free(struct memory_store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        memory_chunk_free(store->chunks[i]);
    }
    free(store->chunks);
    memset(store, 0, sizeof *store);
}

static struct memory_chunk **memory_store_place(struct memory_store *store, size_t index)
{
    if (index >= store->count) {
        size_t count = index + 1 > 2 * store->count ? index + 1 : 2 * store->count;
        store->chunks = memory_need(realloc(store->chunks, count * sizeof *store->chunks));
        memset(store->chunks + store->count, 0, (count - store->count) * sizeof *store->chunks);
        store->count = count;
    }
    return &store->chunks[index];
}

/* A chunk that may be written to. */
static unsigned char *memory_store_chunk(struct memory_store *store, size_t index)
{
    struct memory_chunk **place = memory_store_place(store, index), *shared = *place;
    if (shared == NULL) {
        *place = memory_need(calloc(1, sizeof **place));
        atomic_store(&(*place)->stores, 1);
    } else if (atomic_load(&shared->stores) > 1) {
        *place = memory_need(malloc(sizeof **place));
        atomic_init(&(*place)->stores, 1);
        memcpy((*place)->bytes, shared->bytes, MEMORY_CHUNK);
        memory_chunk_free(shared);
    }
    return (*place)->bytes;
}

static void memory_store_get(const struct memory_store *store, void *buf, size_t len, uint64_t offset)
{
    unsigned char *to = buf;
    while (len > 0) {
        size_t index = (size_t)(offset / MEMORY_CHUNK);
        size_t at = (size_t)(offset % MEMORY_CHUNK);
        size_t bytes = len < MEMORY_CHUNK - at ? len : MEMORY_CHUNK - at;
        if (index < store->count && store->chunks[index] != NULL) {
            memcpy(to, store->chunks[index]->bytes + at, bytes);
        } else {
            memset(to, 0, bytes);
        }
        to += bytes;
        len -= bytes;
        offset += bytes;
    }
}

static bool memory_is_zero(const unsigned char *bytes, size_t len)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

static void memory_store_put(struct memory_store *store, const void *buf, size_t len, uint64_t offset)
{
    const unsigned char *from = buf;
    while (len > 0) {
        size_t index = (size_t)(offset / MEMORY_CHUNK), at = (size_t)(offset % MEMORY_CHUNK);
        size_t bytes = len < MEMORY_CHUNK - at ? len : MEMORY_CHUNK - at;
        /* Zeros where nothing was put are there already. */
        if (*memory_store_place(store, index) != NULL || !memory_is_zero(from, bytes)) {
            memcpy(memory_store_chunk(store, index) + at, from, bytes);
        }
        from += bytes;
        len -= bytes;
        offset += bytes;
    }
}

/* `to` is empty. */
static void memory_store_copy(struct memory_store *to, const struct memory_store *from)
{
    for (size_t i = 0; i < from->count; i++) {
        if (from->chunks[i] != NULL) {
            atomic_fetch_add(&from->chunks[i]->stores, 1);
            *memory_store_place(to, i) = from->chunks[i];
        }
    }
}

static void memory_write_free(struct memory_write *write)
{
    free(write->data);
    free(write->live);
    free(write);
}

void memory_data_free(struct memory_data *data)
{
    while (data->first != NULL) {
        struct memory_write *write = data->first;
        data->first = write->next;
        memory_write_free(write);
    }
    memory_store_free(&data->now);
    memory_store_free(&data->durable);
}

void memory_data_read(const struct memory_data *data, void *buf, size_t len, uint64_t offset)
{
    memory_store_get(&data->now, buf, len, offset);
}

struct memory_write *memory_data_begin(struct memory_data *data, const void *buf, size_t len, uint64_t offset)
{
    assert(len > 0);
    struct memory_write *write = memory_need(calloc(1, sizeof *write));
    write->offset = offset;
    write->bytes = len;
    write->first = offset / MEMORY_SECTOR;
    write->sectors = (size_t)((offset + len - 1) / MEMORY_SECTOR - write->first + 1);
    write->data = memory_need(calloc(write->sectors, MEMORY_SECTOR));
    write->live = memory_need(calloc(write->sectors, sizeof *write->live));
    memcpy(write->data + offset % MEMORY_SECTOR, buf, len);
    struct memory_write **end = &data->first;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = write;
    return write;
}

void memory_data_put(struct memory_data *data, struct memory_write *write, size_t sector)
{
    uint64_t at = (write->first + sector) * MEMORY_SECTOR;
    uint64_t end = write->offset + write->bytes;
    size_t skip = at < write->offset ? (size_t)(write->offset - at) : 0;
    size_t stop = end - at < MEMORY_SECTOR ? (size_t)(end - at) : MEMORY_SECTOR;
    unsigned char *mine = write->data + sector * MEMORY_SECTOR;
    unsigned char whole[MEMORY_SECTOR];
    /* The device writes sectors: what the caller did not give of one is what is there now. */
    memory_store_get(&data->now, whole, MEMORY_SECTOR, at);
    memcpy(whole + skip, mine + skip, stop - skip);
    memcpy(mine, whole, MEMORY_SECTOR);
    memory_store_put(&data->now, mine, MEMORY_SECTOR, at);
    write->live[sector] = true;
    if (data->size_now < at + stop) {
        data->size_now = at + stop;
    }
}

static void memory_data_take_out(struct memory_data *data, struct memory_write *write)
{
    struct memory_write **at = &data->first;
    while (*at != write) {
        at = &(*at)->next;
    }
    *at = write->next;
    memory_write_free(write);
}

/* The sectors of `write` that are live become durable, and nothing that began before can come over them. */
static void memory_data_settle(struct memory_data *data, struct memory_write *write)
{
    for (size_t i = 0; i < write->sectors; i++) {
        uint64_t sector = write->first + i;
        if (!write->live[i]) {
            continue;
        }
        memory_store_put(&data->durable, write->data + i * MEMORY_SECTOR, MEMORY_SECTOR,
                         sector * MEMORY_SECTOR);
        for (struct memory_write *older = data->first; older != write; older = older->next) {
            if (sector >= older->first && sector - older->first < older->sectors) {
                older->live[sector - older->first] = false;
            }
        }
    }
}

void memory_data_end(struct memory_data *data, struct memory_write *write, bool durable)
{
    write->done = true;
    if (!durable) {
        return;
    }
    memory_data_settle(data, write);
    if (data->size_durable < write->offset + write->bytes) {
        data->size_durable = write->offset + write->bytes;
    }
    memory_data_take_out(data, write);
}

/* Zeros over what is cut off, as a write that is not durable yet. */
static void memory_data_cut(struct memory_data *data, uint64_t from, uint64_t to)
{
    enum {
        PIECE = 1 << 20
    };
    unsigned char *zeros = memory_need(calloc(1, to - from < PIECE ? (size_t)(to - from) : PIECE));
    for (uint64_t size_now = data->size_now; from < to; data->size_now = size_now) {
        size_t bytes = to - from < PIECE ? (size_t)(to - from) : PIECE;
        struct memory_write *write = memory_data_begin(data, zeros, bytes, from);
        for (size_t i = 0; i < write->sectors; i++) {
            memory_data_put(data, write, i);
        }
        memory_data_end(data, write, false);
        from += bytes;
    }
    free(zeros);
}

void memory_data_resize(struct memory_data *data, uint64_t size_bytes)
{
    if (size_bytes < data->size_now) {
        memory_data_cut(data, size_bytes, data->size_now);
    }
    data->size_now = size_bytes;
}

void memory_data_sync(struct memory_data *data)
{
    for (struct memory_write *write = data->first, *next; write != NULL; write = next) {
        next = write->next;
        if (write->done) {
            memory_data_settle(data, write);
            memory_data_take_out(data, write);
        }
    }
    data->size_durable = data->size_now;
}

static void memory_crash_write(const struct memory_write *write, enum test_crash how, struct test_rng *rng,
                               struct memory_store *store)
{
    /* All, nothing, the first so many, or each by the toss of a coin. */
    uint64_t fate = how == TEST_CRASH_ALL ? 0 : test_rng_below(rng, 4);
    size_t stop = fate == 2 ? (size_t)test_rng_below(rng, write->sectors + 1) : write->sectors;
    for (size_t i = 0; i < stop && fate != 1; i++) {
        bool keep = fate != 3 || test_rng_once_in(rng, 2);
        if (keep && write->live[i]) {
            memory_store_put(store, write->data + i * MEMORY_SECTOR, MEMORY_SECTOR,
                             (write->first + i) * MEMORY_SECTOR);
        }
    }
}

void memory_data_crash(const struct memory_data *data, enum test_crash how, struct test_rng *rng,
                       struct memory_data *ret)
{
    memory_store_copy(&ret->durable, &data->durable);
    ret->size_durable = data->size_durable;
    if (how != TEST_CRASH_NOTHING) {
        for (const struct memory_write *write = data->first; write != NULL; write = write->next) {
            memory_crash_write(write, how, rng, &ret->durable);
        }
        if (how == TEST_CRASH_ALL || test_rng_once_in(rng, 2)) {
            ret->size_durable = data->size_now;
        }
    }
    memory_store_copy(&ret->now, &ret->durable);
    ret->size_now = ret->size_durable;
}
