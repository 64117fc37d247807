/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: what can be done with a stream from outside.
 *
 * In: an event, or positions. Out: an operation that write.c carries out, or copies of events.
 */
#include "varve/stream.h"

#include "base/alloc.h"
#include "kv/stream.h"
#include "txn/take.h"

enum {
    PAGE_EVENTS = 128,  /* copied under a lock at a time, */
    PAGE_BYTES = 65536, /* or so many bytes, and one event at least */
};

_Static_assert(VARVE_KV_STREAM_KEY_MAX == VV_STREAM_KEY_MAX, "an event's key fits into an entry");

#define FLAGS_ALL (VARVE_KV_IF_ABSENT | VARVE_KV_IF_PRESENT | VARVE_KV_IF_VERSION | VARVE_KV_NO_WAIT)

static bool key_is_good(const void *key, size_t key_bytes)
{
    return vv_kv_key_is_good(key, key_bytes) && key_bytes <= VARVE_KV_STREAM_KEY_MAX;
}

/* -- appending and trimming -- */

struct wish {
    struct varve_kv_write how;
    struct vv_gather gather;
    uint64_t position; /* trim: where the stream is to begin; append: of the event */
    uint8_t value[VV_OP_POSITION];
};

static int take_how(struct wish *wish, const struct varve_kv_write *how)
{
    if (!vv_take(&wish->how, sizeof wish->how, how) || (wish->how.flags & ~(uint32_t)FLAGS_ALL) ||
        wish->how.old)
        return VARVE_E_INVALID;
    return 0;
}

static int check(const struct wish *wish, const struct vv_entry *now)
{
    const struct varve_kv_write *how = &wish->how;

    if ((how->flags & VARVE_KV_IF_ABSENT) && now)
        return VARVE_E_CONFLICT;
    if ((how->flags & VARVE_KV_IF_PRESENT) && !now)
        return VARVE_E_NO_KEY;
    if ((how->flags & VARVE_KV_IF_VERSION) && how->version != (now ? now->version : 0))
        return VARVE_E_CONFLICT;
    return now && now->type != VV_ENTRY_STREAM ? VARVE_E_TYPE : 0;
}

static int decide_append(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    struct wish *wish = arg;
    int rc = check(wish, now);

    if (rc)
        return rc;
    wish->position = now ? vv_stream_get(now).next : 1;
    if (wish->position == UINT64_MAX)
        return VARVE_E_TOO_LARGE;
    vv_gather_op(&wish->gather, now, op);
    op->expires_us = now ? 0 : wish->how.expires_us;
    return 0;
}

int varve_kv_stream_append(struct varve_kv *kv, const void *key, size_t key_bytes, const void *event,
                           size_t event_bytes, const struct varve_kv_write *how, uint64_t *ret_position,
                           uint64_t *ret_version)
{
    struct wish wish = {.position = 0};
    int rc = take_how(&wish, how);

    if (rc || !key_is_good(key, key_bytes) || (event_bytes > 0 && !event))
        return VARVE_E_INVALID;
    if (kv->env)
        return VARVE_E_UNSUPPORTED;
    if (event_bytes > kv->record_max)
        return VARVE_E_TOO_LARGE;
    if (!vv_gather_add(&wish.gather, event, event_bytes))
        return VARVE_E_NOMEM;
    rc = vv_kv_update(kv, key, key_bytes, !(wish.how.flags & VARVE_KV_NO_WAIT), decide_append, &wish,
                      ret_version);
    vv_gather_free(&wish.gather);
    if (rc == 0 && ret_position)
        *ret_position = wish.position;
    return rc;
}

static int decide_trim(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    struct wish *wish = arg;
    int rc = now ? check(wish, now) : VARVE_E_NO_KEY;

    if (rc)
        return rc;
    if (wish->position > vv_stream_get(now).next)
        return VARVE_E_INVALID;
    if (wish->position <= vv_stream_get(now).first) {
        wish->how.version = now->version;
        return VARVE_END;
    }
    vv_put_u64(wish->value, wish->position);
    op->kind = VV_OP_TRIM;
    op->value = wish->value;
    op->value_bytes = VV_OP_POSITION;
    return 0;
}

int varve_kv_stream_trim(struct varve_kv *kv, const void *key, size_t key_bytes, uint64_t first,
                         const struct varve_kv_write *how, uint64_t *ret_version)
{
    struct wish wish = {.position = first};
    int rc = take_how(&wish, how);

    if (rc || !key_is_good(key, key_bytes) || first == 0)
        return VARVE_E_INVALID;
    if (kv->env)
        return VARVE_E_UNSUPPORTED;
    rc = vv_kv_update(kv, key, key_bytes, !(wish.how.flags & VARVE_KV_NO_WAIT), decide_trim, &wish,
                      ret_version);
    if (rc == VARVE_END) {
        if (ret_version)
            *ret_version = wish.how.version;
        rc = 0;
    }
    return rc;
}

/* -- reading -- */

/* The stream of a key, with `lock` held; NULL, and why. */
static const struct vv_entry *find_stream(struct varve_kv *kv, const struct vv_shard *shard, uint64_t hash,
                                          const void *key, size_t key_bytes, int *ret_rc, uint64_t *ret_lsn)
{
    struct vv_entry *there = vv_table_find(&shard->table, hash, key, key_bytes);
    /* No stream is hidden but one whose time is over: its events, which are gone, are not asked for. */
    const struct vv_entry *e = vv_kv_seen(vv_kv_hidden(kv), shard, there, hash, key, key_bytes);

    *ret_lsn = e ? e->version : shard->deleted_lsn;
    *ret_rc = 0;
    if (!e || vv_entry_is_over(e, vv_kv_now(kv)))
        *ret_rc = VARVE_E_NO_KEY;
    else if (e->type != VV_ENTRY_STREAM)
        *ret_rc = VARVE_E_TYPE;
    return *ret_rc ? NULL : e;
}

int varve_kv_stream_get(struct varve_kv *kv, const void *key, size_t key_bytes,
                        struct varve_kv_stream *ret_stream)
{
    struct varve_kv_stream stream = {.size = sizeof stream};
    const struct vv_entry *e;
    struct vv_shard *shard;
    uint64_t hash, lsn;
    int rc, settled;

    if (!key_is_good(key, key_bytes))
        return VARVE_E_INVALID;
    if (kv->env)
        return VARVE_E_UNSUPPORTED;
    hash = vv_hash(kv->secret, key, key_bytes);
    shard = vv_kv_shard(kv, hash);
    pthread_mutex_lock(&shard->lock);
    e = find_stream(kv, shard, hash, key, key_bytes, &rc, &lsn);
    if (e) {
        stream.first = vv_stream_get(e).first;
        stream.next = vv_stream_get(e).next;
        stream.version = e->version;
        stream.expires_us = vv_entry_expires(e);
    }
    pthread_mutex_unlock(&shard->lock);
    settled = vv_kv_settle(kv, lsn);
    if (settled || rc)
        return settled ? settled : rc;
    return vv_give(ret_stream, &stream, sizeof stream) ? 0 : VARVE_E_INVALID;
}

/* Some events, copied one behind the other. */
struct page {
    uint8_t *memory;
    size_t used, room;
    struct varve_kv_event events[PAGE_EVENTS]; /* data: as an offset until it is given */
    size_t offsets[PAGE_EVENTS], count;
};

static bool add_event(struct page *page, const struct vv_entry *e)
{
    if (page->used + e->value_bytes > page->room) {
        size_t room = page->used + e->value_bytes + PAGE_BYTES;
        uint8_t *memory = vv_realloc(page->memory, room);

        if (!memory)
            return false;
        page->memory = memory;
        page->room = room;
    }
    if (e->value_bytes)
        memcpy(page->memory + page->used, vv_entry_value(e), e->value_bytes);
    page->offsets[page->count] = page->used;
    page->events[page->count++] =
        (struct varve_kv_event){.position = vv_entry_position(e), .lsn = e->version, .bytes = e->value_bytes};
    page->used += e->value_bytes;
    return true;
}

/* A range, of which `from` moves on. */
struct range {
    const void *key;
    size_t key_bytes;
    uint64_t hash, from, to, left;
    uint64_t born; /* 0: not seen yet */
};

/* Fills a page; an empty one when there is no more. */
static int read_page(struct varve_kv *kv, struct range *r, struct page *page)
{
    struct vv_shard *shard = vv_kv_shard(kv, r->hash);
    const struct vv_entry *head;
    uint64_t lsn;
    int rc, settled;

    page->used = page->count = 0;
    pthread_mutex_lock(&shard->lock);
    head = find_stream(kv, shard, r->hash, r->key, r->key_bytes, &rc, &lsn);
    if (head && (r->born == 0 || r->born == vv_stream_get(head).born)) {
        const struct vv_stream s = vv_stream_get(head);

        r->born = s.born;
        r->from = vv_max_u64(r->from, s.first);
        while (r->from < s.next && r->from <= r->to && page->count < PAGE_EVENTS && page->count < r->left &&
               page->used < PAGE_BYTES && rc == 0) {
            const struct vv_entry *e =
                vv_table_find_event(&shard->table, r->hash, r->key, r->key_bytes, r->from);

            if (!add_event(page, e))
                rc = VARVE_E_NOMEM;
            else
                r->from++;
        }
    } else if (r->born) {
        rc = 0; /* deleted meanwhile */
    }
    pthread_mutex_unlock(&shard->lock);
    settled = vv_kv_settle(kv, lsn);
    return settled ? settled : rc;
}

int varve_kv_stream_range(struct varve_kv *kv, const void *key, size_t key_bytes, uint64_t from, uint64_t to,
                          size_t limit, varve_kv_event_fn fn, void *arg, uint64_t *ret_next)
{
    struct range r = {.key = key, .key_bytes = key_bytes, .from = from, .to = to};
    struct page page = {.memory = NULL};
    int rc;

    if (!key_is_good(key, key_bytes) || !fn)
        return VARVE_E_INVALID;
    if (kv->env)
        return VARVE_E_UNSUPPORTED;
    r.hash = vv_hash(kv->secret, key, key_bytes);
    r.left = limit ? limit : UINT64_MAX;
    do {
        rc = read_page(kv, &r, &page);
        for (size_t i = 0; i < page.count && rc == 0; i++) {
            page.events[i].data = page.memory ? page.memory + page.offsets[i] : NULL;
            rc = fn(arg, &page.events[i]);
        }
        r.left -= page.count;
    } while (rc == 0 && page.count > 0 && r.left > 0);
    vv_free(page.memory);
    if (rc == 0 && ret_next)
        *ret_next = r.from;
    return rc;
}
