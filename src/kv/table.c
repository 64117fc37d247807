/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/table.h"

#include <assert.h>

#include "base/alloc.h"

enum {
    SLOTS = 7,
    CHUNK_BUCKETS = 16,
    LOAD = 5, /* entries for each bucket at most, on average */
    TAG_SHIFT = 48,
    TAG_FROM = 8, /* the first bit of the hash that is in a tag */
    TAG_BITS = 16,
};

_Static_assert(sizeof(struct vv_bucket) == 64, "a bucket is a cache line");

#define ADDRESS_MASK ((UINT64_C(1) << TAG_SHIFT) - 1)

void vv_table_init(struct vv_table *table, const uint64_t *secret)
{
    *table = (struct vv_table){.secret = secret};
}

static struct vv_entry *slot_entry(uint64_t slot)
{
    return (struct vv_entry *)(uintptr_t)(slot & ADDRESS_MASK);
}

/* The bits that tell which of its halves an entry belongs to when its bucket is split, and others above them:
 * so a split need not look at the entries, and a search hardly ever looks at a wrong one. */
static uint64_t tag_of(uint64_t hash)
{
    return hash >> TAG_FROM << TAG_SHIFT;
}

static uint64_t slot_of(uint64_t hash, struct vv_entry *entry)
{
    uint64_t address = (uint64_t)(uintptr_t)entry;

    assert(address <= ADDRESS_MASK);
    return tag_of(hash) | address;
}

static struct vv_bucket *bucket_at(const struct vv_table *table, uint64_t index)
{
    return &table->chunks[index / CHUNK_BUCKETS][index % CHUNK_BUCKETS];
}

static uint64_t index_of(const struct vv_table *table, uint64_t hash)
{
    uint64_t low = (UINT64_C(1) << table->level) - 1, index = hash & low;

    /* Those that were split already are told apart by one more bit. */
    return index < table->buckets - (low + 1) ? hash & (low * 2 + 1) : index;
}

void vv_table_free(struct vv_table *table)
{
    for (uint64_t i = 0; i < table->buckets; i++)
        for (struct vv_bucket *b = bucket_at(table, i); b; b = b->more)
            for (int s = 0; s < SLOTS && b->slots[s]; s++)
                vv_free(slot_entry(b->slots[s]));
    vv_table_drop(table);
}

void vv_table_drop(struct vv_table *table)
{
    for (uint64_t i = 0; i < table->buckets; i++) {
        for (struct vv_bucket *b = bucket_at(table, i), *next; b; b = next) {
            next = b->more;
            if (b != bucket_at(table, i))
                vv_free(b);
        }
    }
    for (size_t i = 0; i < table->chunk_count; i++)
        vv_free(table->chunks[i]);
    for (struct vv_bucket *b = table->spare, *next; b; b = next) {
        next = b->more;
        vv_free(b);
    }
    vv_free(table->chunks);
    vv_table_init(table, table->secret);
}

struct vv_entry *vv_table_find(const struct vv_table *table, uint64_t hash, const void *key, size_t key_bytes)
{
    uint64_t tag = tag_of(hash);

    if (table->buckets == 0)
        return NULL;
    for (const struct vv_bucket *b = bucket_at(table, index_of(table, hash)); b; b = b->more) {
        for (int s = 0; s < SLOTS && b->slots[s]; s++) {
            struct vv_entry *e;

            if ((b->slots[s] & ~ADDRESS_MASK) != tag)
                continue;
            e = slot_entry(b->slots[s]);
            if (e->key_bytes == key_bytes && e->type != VV_ENTRY_EVENT &&
                memcmp(vv_entry_key(e), key, key_bytes) == 0)
                return e;
        }
    }
    return NULL;
}

struct vv_entry *vv_table_find_event(const struct vv_table *table, uint64_t hash, const void *key,
                                     size_t key_bytes, uint64_t position)
{
    uint64_t at = vv_hash_event(hash, position), tag = tag_of(at);

    if (table->buckets == 0)
        return NULL;
    for (const struct vv_bucket *b = bucket_at(table, index_of(table, at)); b; b = b->more) {
        for (int s = 0; s < SLOTS && b->slots[s]; s++) {
            struct vv_entry *e = slot_entry(b->slots[s]);

            if ((b->slots[s] & ~ADDRESS_MASK) == tag && e->type == VV_ENTRY_EVENT &&
                e->key_bytes == key_bytes + VV_EVENT_POSITION && vv_entry_position(e) == position &&
                memcmp(vv_entry_key(e), key, key_bytes) == 0)
                return e;
        }
    }
    return NULL;
}

struct vv_entry *vv_table_find_same(const struct vv_table *table, uint64_t hash, const struct vv_entry *entry)
{
    size_t bytes = entry->key_bytes - (size_t)VV_EVENT_POSITION;
    const uint8_t *key = vv_entry_key(entry);

    if (entry->type != VV_ENTRY_EVENT)
        return vv_table_find(table, hash, key, entry->key_bytes);
    return vv_table_find_event(table, vv_hash(table->secret, key, bytes), key, bytes,
                               vv_entry_position(entry));
}

/* -- growing -- */

/* An empty one. */
static void add_spare(struct vv_table *table, struct vv_bucket *b)
{
    b->more = table->spare;
    table->spare = b;
    table->spares++;
}

/* Overflow that so many more entries may want. A bucket is filled to its end before it is continued, so of n
 * entries no more than n / 7 are first in one that continues another, wherever they are. */
static size_t spares_for(const struct vv_table *table, size_t inserts)
{
    size_t most = (size_t)((table->count + inserts) / SLOTS) + 1;

    most = most > table->overflows ? most - table->overflows : 0;
    return inserts < most ? inserts : most;
}

void vv_table_trim(struct vv_table *table)
{
    size_t wanted = spares_for(table, table->promised);

    while (table->spares > 1 && table->spares > wanted) {
        struct vv_bucket *b = table->spare;

        table->spare = b->more;
        table->spares--;
        table->bytes -= sizeof *b;
        vv_free(b);
    }
}

static bool add_chunk(struct vv_table *table)
{
    struct vv_bucket *chunk;

    if (table->chunk_count == table->chunk_room) {
        size_t room = table->chunk_room ? table->chunk_room * 2 : 4;
        struct vv_bucket **chunks = vv_realloc(table->chunks, room * sizeof(struct vv_bucket *));

        if (!chunks)
            return false;
        table->bytes += (room - table->chunk_room) * sizeof(struct vv_bucket *);
        table->chunks = chunks;
        table->chunk_room = room;
    }
    chunk = vv_alloc_aligned(sizeof *chunk, CHUNK_BUCKETS * sizeof *chunk);
    if (!chunk)
        return false;
    memset(chunk, 0, CHUNK_BUCKETS * sizeof *chunk);
    table->chunks[table->chunk_count++] = chunk;
    table->bytes += CHUNK_BUCKETS * sizeof *chunk;
    return true;
}

bool vv_table_promise(struct vv_table *table, size_t inserts)
{
    if (table->buckets == 0 || table->spares < spares_for(table, inserts) ||
        table->buckets + 1 + inserts / LOAD > table->chunk_count * CHUNK_BUCKETS)
        return false;
    table->promised = inserts;
    return true;
}

bool vv_table_reserve(struct vv_table *table, size_t inserts)
{
    uint64_t buckets = table->buckets + 1 + inserts / LOAD;

    while (buckets > table->chunk_count * CHUNK_BUCKETS)
        if (!add_chunk(table))
            return false;
    if (table->buckets == 0)
        table->buckets = 1;
    while (table->spares < spares_for(table, inserts)) {
        struct vv_bucket *b = vv_alloc_aligned(sizeof *b, sizeof *b);

        if (!b)
            return false;
        memset(b, 0, sizeof *b);
        add_spare(table, b);
        table->bytes += sizeof *b;
    }
    table->promised = inserts;
    return true;
}

/* The bucket has an overflow for it, or there is a spare one. */
static void put(struct vv_table *table, struct vv_bucket *b, uint64_t slot)
{
    for (;; b = b->more) {
        for (int s = 0; s < SLOTS; s++) {
            if (!b->slots[s]) {
                b->slots[s] = slot;
                return;
            }
        }
        if (!b->more) {
            assert(table->spare);
            b->more = table->spare;
            table->spare = b->more->more;
            table->spares--;
            table->overflows++;
            b->more->more = NULL;
        }
    }
}

/* Whether an entry of a bucket of this level has the next bit of its hash set. A table of a few buckets,
 * whose tags begin too high, or of more than fit into memory, asks the entry. */
static bool goes_up(const struct vv_table *table, uint64_t slot, unsigned level)
{
    if (level >= TAG_FROM && level < TAG_FROM + TAG_BITS)
        return slot >> (TAG_SHIFT + level - TAG_FROM) & 1;
    return vv_table_hash(table, slot_entry(slot)) >> level & 1;
}

/* Splits the next bucket in turn. Both halves together never want more overflow than there was. */
static void split(struct vv_table *table)
{
    unsigned level = table->level;
    uint64_t from = table->buckets - (UINT64_C(1) << level), up = table->buckets;
    struct vv_bucket old, *b = bucket_at(table, from), *more;

    old = *b;
    memset(b, 0, sizeof *b);
    table->buckets++;
    if (table->buckets == UINT64_C(2) << table->level)
        table->level++;
    for (;;) {
        for (int s = 0; s < SLOTS && old.slots[s]; s++)
            put(table, bucket_at(table, goes_up(table, old.slots[s], level) ? up : from), old.slots[s]);
        more = old.more;
        if (!more)
            return;
        old = *more;
        memset(more, 0, sizeof *more);
        add_spare(table, more);
        table->overflows--;
    }
}

void vv_table_insert(struct vv_table *table, uint64_t hash, struct vv_entry *entry)
{
    put(table, bucket_at(table, index_of(table, hash)), slot_of(hash, entry));
    table->count++;
    if (table->promised > 0)
        table->promised--;
    if (table->count > table->buckets * LOAD && table->buckets < table->chunk_count * CHUNK_BUCKETS)
        split(table);
}

static uint64_t *find_slot(struct vv_bucket *b, const struct vv_entry *entry)
{
    for (; b; b = b->more)
        for (int s = 0; s < SLOTS && b->slots[s]; s++)
            if (slot_entry(b->slots[s]) == entry)
                return &b->slots[s];
    return NULL;
}

void vv_table_replace(struct vv_table *table, uint64_t hash, struct vv_entry *before, struct vv_entry *after)
{
    uint64_t *slot = find_slot(bucket_at(table, index_of(table, hash)), before);

    assert(slot);
    *slot = slot_of(hash, after);
}

void vv_table_remove(struct vv_table *table, uint64_t hash, struct vv_entry *entry)
{
    struct vv_bucket *first = bucket_at(table, index_of(table, hash)), *b = first, *before = NULL;
    uint64_t *slot = find_slot(first, entry);
    int last = SLOTS;

    assert(slot);
    while (b->more) {
        before = b;
        b = b->more;
    }
    while (!b->slots[last - 1])
        last--;
    *slot = b->slots[last - 1];
    b->slots[last - 1] = 0;
    table->count--;
    if (last == 1 && before) {
        before->more = NULL;
        add_spare(table, b);
        table->overflows--;
        vv_table_trim(table);
    }
}

/* -- places -- */

static uint64_t reverse(uint64_t v)
{
    v = (v >> 1 & UINT64_C(0x5555555555555555)) | (v & UINT64_C(0x5555555555555555)) << 1;
    v = (v >> 2 & UINT64_C(0x3333333333333333)) | (v & UINT64_C(0x3333333333333333)) << 2;
    v = (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    return __builtin_bswap64(v);
}

uint64_t vv_table_place(uint64_t hash)
{
    return reverse(hash) >> (64 - VV_PLACE_BITS);
}

/* Entries lie anywhere, and a walk looks at all of a bucket's: so they are fetched beside each other. */
static void fetch(const struct vv_bucket *b)
{
    for (int s = 0; s < SLOTS && b->slots[s]; s++) {
        const char *at = (const char *)slot_entry(b->slots[s]);

        __builtin_prefetch(at);
        __builtin_prefetch(at + 64);
        __builtin_prefetch(at + 128);
    }
}

uint64_t vv_table_walk(const struct vv_table *table, uint64_t place, vv_table_fn fn, void *arg)
{
    uint64_t index, width;
    unsigned bits;

    if (table->buckets == 0)
        return VV_PLACE_END;
    index = index_of(table, reverse(place << (64 - VV_PLACE_BITS)));
    for (const struct vv_bucket *b = bucket_at(table, index); b; b = b->more) {
        fetch(b);
        for (int s = 0; s < SLOTS && b->slots[s]; s++) {
            struct vv_entry *e = slot_entry(b->slots[s]);

            if (vv_table_place(vv_table_hash(table, e)) >= place)
                fn(arg, e);
        }
    }
    bits = table->level +
           ((index & ((UINT64_C(1) << table->level) - 1)) < table->buckets - (UINT64_C(1) << table->level));
    width = UINT64_C(1) << (VV_PLACE_BITS - bits);
    return (place | (width - 1)) + 1;
}
