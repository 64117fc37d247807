/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writesets <-> bytes.
 *
 * In: mutations one after the other, or a payload of unknown worth. Out: bytes in the caller's memory, or
 * mutations that point into the payload.
 */
#include "varve/writeset.h"

#include <string.h>

#include "base/bytes.h"
#include "format/fb.h"
#include "format/fb_out.h"

enum {
    COUNT_BYTES = 4,
    /* A delete of a run: kind of mutation, kind of entity, run id. */
    MUTATION_MIN = 18,
};

void varve_writeset_begin(struct varve_writeset *w, void *memory, size_t room)
{
    *w = (struct varve_writeset){.at = memory, .room = room, .bytes = COUNT_BYTES};
    if (room < COUNT_BYTES)
        w->error = VARVE_E_TOO_LARGE;
    else
        vv_put_u32(w->at, 0);
}

static bool name_good(struct varve_bytes name)
{
    return name.bytes <= UINT32_MAX && vv_is_text(name);
}

static bool entity_good(const struct varve_entity *e)
{
    switch (e->kind) {
    case VARVE_ENTITY_KV:
    case VARVE_ENTITY_STATE:
    case VARVE_ENTITY_TRACE:
        return name_good(e->name);
    case VARVE_ENTITY_VECTOR:
        return name_good(e->name) && name_good(e->collection);
    case VARVE_ENTITY_EVENT:
    case VARVE_ENTITY_RUN:
    case VARVE_ENTITY_JSON:
        return true;
    }
    return false;
}

static void put_entity(struct vv_fb_out *out, const struct varve_entity *e)
{
    vv_fb_put_u8(out, (uint8_t)e->kind);
    vv_fb_put(out, e->run, sizeof e->run);
    if (e->kind == VARVE_ENTITY_VECTOR)
        vv_fb_put_bytes_u32(out, e->collection);
    if (e->kind == VARVE_ENTITY_EVENT)
        vv_fb_put_u64(out, e->sequence);
    else if (e->kind == VARVE_ENTITY_JSON)
        vv_fb_put(out, e->document, sizeof e->document);
    else if (e->kind != VARVE_ENTITY_RUN)
        vv_fb_put_bytes_u32(out, e->name);
}

/* Adds it, and counts it even where it does not fit any more. */
static int add(struct varve_writeset *w, const struct varve_mutation *m)
{
    struct vv_fb_out out;

    if (w->error == VARVE_E_INVALID)
        return w->error;
    if (!entity_good(&m->entity) || m->value.bytes > UINT32_MAX || w->count == UINT32_MAX) {
        w->error = VARVE_E_INVALID;
        return w->error;
    }
    if (w->error == 0)
        vv_fb_out_init(&out, w->at + w->bytes, w->room - w->bytes);
    else
        vv_fb_out_init(&out, NULL, 0);
    vv_fb_put_u8(&out, (uint8_t)m->kind);
    put_entity(&out, &m->entity);
    if (m->kind != VARVE_MUTATION_DELETE) {
        vv_fb_put_u64(&out, m->version);
        vv_fb_put_bytes_u32(&out, m->value);
    }
    w->count++;
    w->bytes = out.need > SIZE_MAX - w->bytes ? SIZE_MAX : w->bytes + out.need;
    if (out.full)
        w->error = VARVE_E_TOO_LARGE;
    else
        vv_put_u32(w->at, w->count);
    return w->error;
}

int varve_writeset_put(struct varve_writeset *w, const struct varve_entity *entity, uint64_t version,
                       const void *value, size_t value_bytes)
{
    const struct varve_mutation m = {VARVE_MUTATION_PUT, *entity, version, {value, value_bytes}};

    return add(w, &m);
}

int varve_writeset_delete(struct varve_writeset *w, const struct varve_entity *entity)
{
    const struct varve_mutation m = {VARVE_MUTATION_DELETE, *entity, 0, {NULL, 0}};

    return add(w, &m);
}

int varve_writeset_append(struct varve_writeset *w, const struct varve_entity *entity, uint64_t version,
                          const void *value, size_t value_bytes)
{
    const struct varve_mutation m = {VARVE_MUTATION_APPEND, *entity, version, {value, value_bytes}};

    return add(w, &m);
}

int varve_writeset_end(const struct varve_writeset *w, size_t *ret_bytes)
{
    if (w->error != VARVE_E_INVALID)
        *ret_bytes = w->bytes;
    return w->error;
}

static int corrupt(struct varve_writeset_cursor *c, const char *reason)
{
    c->reason = reason;
    c->left = 0;
    return VARVE_E_CORRUPT;
}

int varve_writeset_open(struct varve_writeset_cursor *c, const void *payload, size_t bytes)
{
    *c = (struct varve_writeset_cursor){.at = payload, .left = bytes};
    if (bytes < COUNT_BYTES)
        return corrupt(c, "insufficient data");
    c->count = vv_get_u32(c->at);
    c->at += COUNT_BYTES;
    c->left -= COUNT_BYTES;
    if (c->count > c->left / MUTATION_MIN)
        return corrupt(c, "insufficient data for so many mutations");
    return 0;
}

static struct varve_bytes get_bytes(struct vv_fb *fb, bool text)
{
    struct varve_bytes b;

    b.bytes = vv_fb_u32(fb);
    b.data = text ? vv_fb_text(fb, b.bytes) : vv_fb_bytes(fb, b.bytes);
    return b;
}

static void get_entity(struct vv_fb *fb, struct varve_entity *e)
{
    uint8_t kind = vv_fb_u8(fb);

    if (kind < VARVE_ENTITY_KV || kind > VARVE_ENTITY_VECTOR) {
        vv_fb_fail(fb, "unknown entity tag");
        return;
    }
    e->kind = (enum varve_entity_kind)kind;
    vv_fb_copy(fb, e->run, sizeof e->run);
    if (kind == VARVE_ENTITY_VECTOR)
        e->collection = get_bytes(fb, true);
    if (kind == VARVE_ENTITY_EVENT)
        e->sequence = vv_fb_u64(fb);
    else if (kind == VARVE_ENTITY_JSON)
        vv_fb_copy(fb, e->document, sizeof e->document);
    else if (kind != VARVE_ENTITY_RUN)
        e->name = get_bytes(fb, true);
}

int varve_writeset_next(struct varve_writeset_cursor *c, struct varve_mutation *m)
{
    struct vv_fb fb;
    uint8_t kind;

    if (c->reason)
        return VARVE_E_CORRUPT;
    if (c->count == 0)
        return c->left > 0 ? corrupt(c, "bytes are left over") : VARVE_END;
    memset(m, 0, sizeof *m);
    vv_fb_init_bytes(&fb, c->at, c->left);
    kind = vv_fb_u8(&fb);
    if (kind < VARVE_MUTATION_PUT || kind > VARVE_MUTATION_APPEND)
        vv_fb_fail(&fb, "unknown mutation tag");
    else
        m->kind = (enum varve_mutation_kind)kind;
    get_entity(&fb, &m->entity);
    if (kind != VARVE_MUTATION_DELETE) {
        m->version = vv_fb_u64(&fb);
        m->value = get_bytes(&fb, false);
    }
    if (fb.error)
        return corrupt(c, fb.error);
    c->count--;
    c->at = fb.at;
    c->left = (size_t)fb.left;
    return 0;
}
