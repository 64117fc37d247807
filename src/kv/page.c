/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/page.h"

#include "base/alloc.h"

static size_t entry_bytes(const struct vv_entry *e)
{
    return offsetof(struct vv_entry, bytes) + vv_entry_key_at(e) + e->key_bytes + e->value_bytes;
}

static size_t stored_bytes(const struct vv_entry *e)
{
    return (size_t)vv_round_up(entry_bytes(e), 8);
}

static uint8_t *make_room(struct vv_page *page, size_t bytes)
{
    uint8_t *at;

    if (page->bytes + bytes > page->room) {
        size_t room = (page->bytes + bytes) * 2;
        uint8_t *memory = vv_realloc(page->memory, room);

        if (!memory) {
            page->full = true;
            return NULL;
        }
        page->memory = memory;
        page->room = room;
    }
    at = page->memory + page->bytes;
    page->bytes += bytes;
    page->count++;
    return at;
}

void vv_page_add(void *arg, struct vv_entry *e)
{
    struct vv_page *page = arg;
    uint8_t *at;

    if (e->type == VV_ENTRY_EVENT || (page->now_us && vv_entry_is_over(e, page->now_us)))
        return;
    at = make_room(page, stored_bytes(e));
    if (!at)
        return;
    memcpy(at, e, entry_bytes(e));
    page->lsn = e->version > page->lsn ? e->version : page->lsn;
}

struct vv_entry *vv_page_make(struct vv_page *page, size_t key_bytes, size_t value_bytes, bool expires)
{
    struct vv_entry head = {.value_bytes = (uint32_t)value_bytes,
                            .key_bytes = (uint16_t)key_bytes,
                            .flags = expires ? VV_ENTRY_EXPIRES : 0};
    uint8_t *at = make_room(page, stored_bytes(&head));

    if (!at)
        return NULL;
    memcpy(at, &head, offsetof(struct vv_entry, bytes));
    return (struct vv_entry *)(void *)at;
}

struct vv_entry *vv_page_next(const struct vv_page *page, size_t *at)
{
    struct vv_entry *e = (struct vv_entry *)(void *)(page->memory + *at);

    if (*at == page->bytes)
        return NULL;
    *at += stored_bytes(e);
    return e;
}

void vv_page_clear(struct vv_page *page)
{
    page->bytes = page->count = 0;
    page->lsn = 0;
}

void vv_page_free(struct vv_page *page)
{
    vv_free(page->memory);
    *page = (struct vv_page){.memory = NULL};
}
