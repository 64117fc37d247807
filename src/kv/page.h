/* SPDX-License-Identifier: Apache-2.0 */
/* Entries one behind the other, each aligned as an entry is: what a part of a table held at a moment. */
#ifndef VV_KV_PAGE_H
#define VV_KV_PAGE_H

#include "kv/entry.h"

struct vv_page {
    uint8_t *memory;
    size_t bytes, room;
    size_t count;
    uint64_t now_us; /* what is over then is left out; 0: all is taken */
    uint64_t lsn;    /* of the newest */
    bool full;       /* no memory */
};

/* For vv_table_walk. */
void vv_page_add(void *page, struct vv_entry *entry);

/* The one at *at, which moves; NULL at the end. Good until the next is added. */
struct vv_entry *vv_page_next(const struct vv_page *page, size_t *at);

/* Room for one more, to be filled. NULL: no memory. */
struct vv_entry *vv_page_make(struct vv_page *page, size_t key_bytes, size_t value_bytes, bool expires);

void vv_page_clear(struct vv_page *page);
void vv_page_free(struct vv_page *page);

#endif
