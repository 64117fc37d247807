/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_scan: a page of a scan, of memory and of the environment under it together.
 *
 * In: a cursor. Out: entries of an interval of words, each key once: as memory has it, else as the
 * environment does.
 *
 * Memory first: what a fold takes out of it afterwards is in the environment when that is looked at. Memory
 * says how far the page goes at most; where the environment has more than the limit before that, it ends the
 * page, and what memory has behind that end waits for the next.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "kv/store.h"

enum {
    BUCKETS_AT_ONCE = 16 /* while a shard is locked */
};

/* Where an entry of memory's page is. */
struct spot {
    uint64_t word;
    const struct vv_entry *entry;
};

struct merge {
    struct varve_kv *kv;
    struct vv_page *out;
    struct vv_page recent; /* what memory has */
    struct spot *spots;    /* of it, in the order of words */
    size_t count, at;
};

static int by_word(const void *a, const void *b)
{
    const struct spot *x = a, *y = b;

    return (x->word > y->word) - (x->word < y->word);
}

/* From *word on, in one shard; returns the word behind. */
static uint64_t read_memory(struct merge *m, uint64_t word, size_t limit)
{
    struct vv_shard *shard = &m->kv->shards[word >> VV_PLACE_BITS];
    uint64_t place = word & (VV_PLACE_END - 1), first = word - place;

    while (place < VV_PLACE_END && m->recent.count < limit && !m->recent.full) {
        pthread_mutex_lock(&shard->lock);
        for (int i = 0; i < BUCKETS_AT_ONCE && place < VV_PLACE_END && m->recent.count < limit; i++)
            place = vv_table_walk(&shard->table, place, vv_page_add, &m->recent);
        m->out->lsn = vv_max_u64(m->out->lsn, shard->deleted_lsn);
        pthread_mutex_unlock(&shard->lock);
    }
    return first + place;
}

static bool sort_memory(struct merge *m)
{
    struct vv_entry *e;
    size_t at = 0;

    if (m->recent.full)
        return false;
    m->spots = vv_alloc_array(m->recent.count, sizeof *m->spots);
    if (!m->spots)
        return false;
    while ((e = vv_page_next(&m->recent, &at)) != NULL) {
        uint64_t hash = vv_table_hash(&m->kv->shards->table, e);

        m->spots[m->count++] = (struct spot){vv_store_word(m->kv, hash), e};
    }
    if (m->count)
        qsort(m->spots, m->count, sizeof *m->spots, by_word);
    return true;
}

/* What memory has before `word`. */
static void give_memory(struct merge *m, uint64_t word)
{
    for (; m->at < m->count && m->spots[m->at].word < word; m->at++) {
        struct vv_entry *e = (struct vv_entry *)(uintptr_t)m->spots[m->at].entry;

        if (!vv_entry_is_gone(e))
            vv_page_add(m->out, e);
        m->out->lsn = vv_max_u64(m->out->lsn, e->version);
    }
}

static bool is_in_memory(const struct merge *m, uint64_t word, const struct vv_stored *s)
{
    for (size_t i = m->at; i < m->count && m->spots[i].word == word; i++)
        if (vv_stored_is(s, vv_entry_key(m->spots[i].entry), m->spots[i].entry->key_bytes))
            return true;
    return false;
}

static bool give_stored(struct merge *m, const struct vv_stored *s)
{
    struct vv_entry *e;
    uint8_t *at;

    if (s->expires_us && s->expires_us <= m->out->now_us)
        return true;
    e = vv_page_make(m->out, s->key_bytes, s->value_bytes, s->expires_us != 0);
    if (!e)
        return false;
    e->version = s->version;
    e->type = s->type & 15;
    at = e->bytes;
    if (s->expires_us) {
        vv_put_u64(at, s->expires_us);
        at += 8;
    }
    memcpy(at, s->key, s->key_bytes);
    if (s->value_bytes)
        memcpy(at + s->key_bytes, s->value, s->value_bytes);
    m->out->lsn = vv_max_u64(m->out->lsn, s->version);
    return true;
}

static int give_run(struct merge *m, uint64_t word, const uint8_t *run, size_t bytes)
{
    const uint8_t *at = run;
    struct vv_stored s;
    int rc;

    while ((rc = vv_stored_next(word, &at, run + bytes, &s)) == 0)
        if (!is_in_memory(m, word, &s) && !give_stored(m, &s))
            return VARVE_E_NOMEM;
    return rc == VARVE_END ? 0 : rc;
}

/* Up to *end, which comes nearer when there are more than the limit before. */
static int give_both(struct merge *m, uint64_t word, uint64_t *end, size_t limit)
{
    struct vv_env_read *read;
    const uint8_t *run;
    size_t bytes;
    int rc = vv_env_read_begin(m->kv->env, &read);

    if (rc)
        return rc;
    for (size_t n = 0; (rc = vv_env_next(read, &word, &run, &bytes)) == 0 && word < *end; n++) {
        if (n == limit) {
            *end = word;
            break;
        }
        give_memory(m, word);
        rc = give_run(m, word, run, bytes);
        if (rc)
            break;
        /* Every key is of one shard, and a shard's last place is followed by the next one's first. */
        if (++word == *end)
            break;
    }
    vv_env_read_end(m->kv->env, read);
    if (rc == VARVE_END)
        rc = 0;
    give_memory(m, *end);
    return rc ? rc : m->out->full ? VARVE_E_NOMEM : 0;
}

int vv_store_page(struct varve_kv *kv, struct vv_page *page, uint64_t *cursor, size_t limit)
{
    uint64_t word = *cursor, last = (uint64_t)kv->shard_count << VV_PLACE_BITS;
    int rc = 0;

    /* A table that is nearly empty gives little at a time: on to the next shard, as with memory alone. */
    while (rc == 0 && page->count < limit && word != VARVE_KV_SCAN_END) {
        struct merge m = {.kv = kv, .out = page};
        uint64_t end = read_memory(&m, word, limit);

        rc = sort_memory(&m) ? give_both(&m, word, &end, limit) : VARVE_E_NOMEM;
        vv_free(m.spots);
        vv_page_free(&m.recent);
        word = end == last ? VARVE_KV_SCAN_END : end;
    }
    if (rc == 0)
        *cursor = word;
    return rc;
}
