/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/fs.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"

struct crash_page {
    atomic_uint refs;
    unsigned char bytes[CRASH_PAGE];
};

void *crash_need(size_t bytes)
{
    void *p = calloc(1, bytes > 0 ? bytes : 1);
    if (p == NULL) {
        abort();
    }
    return p;
}

void *crash_grow(void *array, size_t *room, size_t count, size_t item)
{
    if (count <= *room) {
        return array;
    }
    *room = count > 2 * *room ? count : 2 * *room;
    void *p = realloc(array, *room * item);
    if (p == NULL) {
        abort();
    }
    return p;
}

static void page_unref(struct crash_page *page)
{
    if (page != NULL && atomic_fetch_sub(&page->refs, 1) == 1) {
        free(page);
    }
}

static void node_clear(struct crash_node *node)
{
    for (size_t i = 0; i < node->page_count; i++) {
        page_unref(node->pages[i]);
    }
    free(node->pages);
    free(node->names);
    *node = (struct crash_node){.used = false};
}

void crash_fs_init(struct crash_fs *fs)
{
    *fs = (struct crash_fs){.nodes = NULL};
    crash_fs_add_node(fs, CRASH_ROOT, true, CRASH_ROOT);
}

void crash_fs_free(struct crash_fs *fs)
{
    for (uint32_t i = 0; i < fs->count; i++) {
        node_clear(&fs->nodes[i]);
    }
    free(fs->nodes);
    *fs = (struct crash_fs){.nodes = NULL};
}

void crash_fs_copy(const struct crash_fs *fs, struct crash_fs *ret_copy)
{
    *ret_copy = (struct crash_fs){
        .nodes = crash_need(fs->count * sizeof *fs->nodes), .count = fs->count, .room = fs->count};
    for (uint32_t i = 0; i < fs->count; i++) {
        const struct crash_node *from = &fs->nodes[i];
        struct crash_node *to = &ret_copy->nodes[i];
        *to = *from;
        to->handles = 0;
        to->locked = NULL;
        if (from->page_count > 0) {
            to->pages = crash_need(from->page_count * sizeof *to->pages);
            memcpy(to->pages, from->pages, from->page_count * sizeof *to->pages);
        }
        for (size_t page = 0; page < from->page_count; page++) {
            if (to->pages[page] != NULL) {
                atomic_fetch_add(&to->pages[page]->refs, 1);
            }
        }
        to->name_room = from->name_count;
        if (from->name_count > 0) {
            to->names = crash_need(from->name_count * sizeof *to->names);
            memcpy(to->names, from->names, from->name_count * sizeof *to->names);
        } else {
            to->names = NULL;
        }
    }
}

void crash_fs_sweep(struct crash_fs *fs)
{
    bool *found = crash_need(fs->count);
    found[CRASH_ROOT] = true;
    /* Directories lie two deep at most, and a subdirectory's number is higher than that of what it is in. */
    for (uint32_t i = 0; i < fs->count; i++) {
        const struct crash_node *dir = &fs->nodes[i];
        for (size_t n = 0; found[i] && n < dir->name_count; n++) {
            found[dir->names[n].node] = true;
        }
    }
    for (uint32_t i = 0; i < fs->count; i++) {
        if (!found[i] && fs->nodes[i].handles == 0) {
            node_clear(&fs->nodes[i]);
        }
    }
    free(found);
}

void crash_fs_add_node(struct crash_fs *fs, uint32_t number, bool is_dir, uint32_t parent)
{
    if (number >= fs->count) {
        size_t room = fs->room;
        fs->nodes = crash_grow(fs->nodes, &room, (size_t)number + 1, sizeof *fs->nodes);
        memset(fs->nodes + fs->count, 0, (number + 1 - fs->count) * sizeof *fs->nodes);
        fs->room = (uint32_t)room;
        fs->count = number + 1;
    }
    assert(!fs->nodes[number].used);
    fs->nodes[number] = (struct crash_node){.used = true, .is_dir = is_dir, .parent = parent};
}

static struct crash_name *name_find(const struct crash_fs *fs, uint32_t dir, const char *name)
{
    const struct crash_node *node = &fs->nodes[dir];
    for (size_t i = 0; i < node->name_count; i++) {
        if (strcmp(node->names[i].name, name) == 0) {
            return &node->names[i];
        }
    }
    return NULL;
}

uint32_t crash_fs_find(const struct crash_fs *fs, uint32_t dir, const char *name)
{
    const struct crash_name *found = name_find(fs, dir, name);
    return found != NULL ? found->node : CRASH_NONE;
}

void crash_fs_set_name(struct crash_fs *fs, uint32_t dir, const char *name, uint32_t node)
{
    struct crash_name *found = name_find(fs, dir, name);
    if (found == NULL) {
        struct crash_node *at = &fs->nodes[dir];
        at->names = crash_grow(at->names, &at->name_room, at->name_count + 1, sizeof *at->names);
        found = &at->names[at->name_count++];
        assert(strlen(name) < CRASH_NAME);
        memcpy(found->name, name, strlen(name) + 1);
    }
    found->node = node;
}

void crash_fs_drop_name(struct crash_fs *fs, uint32_t dir, const char *name)
{
    struct crash_name *found = name_find(fs, dir, name);
    if (found != NULL) {
        struct crash_node *node = &fs->nodes[dir];
        *found = node->names[--node->name_count];
    }
}

void crash_fs_drop_node(struct crash_fs *fs, uint32_t dir, uint32_t number)
{
    struct crash_node *node = &fs->nodes[dir];
    for (size_t i = node->name_count; i-- > 0;) {
        if (node->names[i].node == number) {
            node->names[i] = node->names[--node->name_count];
        }
    }
}

/* The page, to be written: the node's own. */
static struct crash_page *page_own(struct crash_node *node, size_t index)
{
    if (index >= node->page_count) {
        size_t count = index + 1 > 2 * node->page_count ? index + 1 : 2 * node->page_count;
        size_t room = node->page_count;
        node->pages = crash_grow(node->pages, &room, count, sizeof(struct crash_page *));
        memset(node->pages + node->page_count, 0, (room - node->page_count) * sizeof *node->pages);
        node->page_count = room;
    }
    struct crash_page *page = node->pages[index];
    if (page != NULL && atomic_load(&page->refs) == 1) {
        return page;
    }
    struct crash_page *own = malloc(sizeof *own);
    if (own == NULL) {
        abort();
    }
    atomic_init(&own->refs, 1);
    if (page != NULL) {
        memcpy(own->bytes, page->bytes, CRASH_PAGE);
        page_unref(page);
    } else {
        memset(own->bytes, 0, CRASH_PAGE);
    }
    node->pages[index] = own;
    return own;
}

static void page_zero(struct crash_node *node, size_t index, size_t at, size_t bytes)
{
    if (index >= node->page_count || node->pages[index] == NULL) {
        return;
    }
    if (bytes == CRASH_PAGE) {
        page_unref(node->pages[index]);
        node->pages[index] = NULL;
    } else {
        memset(page_own(node, index)->bytes + at, 0, bytes);
    }
}

void crash_fs_write(struct crash_fs *fs, uint32_t number, const void *data, size_t len, uint64_t offset)
{
    struct crash_node *node = &fs->nodes[number];
    const unsigned char *from = data;
    while (len > 0) {
        size_t index = (size_t)(offset / CRASH_PAGE), at = (size_t)(offset % CRASH_PAGE);
        size_t bytes = len < CRASH_PAGE - at ? len : CRASH_PAGE - at;
        if (from == NULL || vv_is_zero(from, bytes)) {
            page_zero(node, index, at, bytes);
        } else {
            memcpy(page_own(node, index)->bytes + at, from, bytes);
        }
        from = from != NULL ? from + bytes : NULL;
        len -= bytes;
        offset += bytes;
    }
}

void crash_fs_read(const struct crash_fs *fs, uint32_t number, void *buf, size_t len, uint64_t offset)
{
    const struct crash_node *node = &fs->nodes[number];
    unsigned char *to = buf;
    while (len > 0) {
        size_t index = (size_t)(offset / CRASH_PAGE), at = (size_t)(offset % CRASH_PAGE);
        size_t bytes = len < CRASH_PAGE - at ? len : CRASH_PAGE - at;
        if (index < node->page_count && node->pages[index] != NULL) {
            memcpy(to, node->pages[index]->bytes + at, bytes);
        } else {
            memset(to, 0, bytes);
        }
        to += bytes;
        len -= bytes;
        offset += bytes;
    }
}

void crash_fs_resize(struct crash_fs *fs, uint32_t number, uint64_t size)
{
    struct crash_node *node = &fs->nodes[number];
    uint64_t end = node->page_count * (uint64_t)CRASH_PAGE;
    if (size < end) {
        crash_fs_write(fs, number, NULL, (size_t)(end - size), size);
    }
    node->size = size;
}

static int dump_file(const struct crash_fs *fs, uint32_t number, const char *path)
{
    FILE *file = fopen(path, "wb");
    unsigned char page[CRASH_PAGE];
    if (file == NULL) {
        return -errno;
    }
    for (uint64_t at = 0; at < fs->nodes[number].size; at += CRASH_PAGE) {
        uint64_t left = fs->nodes[number].size - at;
        crash_fs_read(fs, number, page, CRASH_PAGE, at);
        (void)fwrite(page, 1, left < CRASH_PAGE ? (size_t)left : CRASH_PAGE, file);
    }
    return fclose(file) == 0 ? 0 : -errno;
}

static int dump_dir(const struct crash_fs *fs, uint32_t number, const char *path)
{
    const struct crash_node *dir = &fs->nodes[number];
    int rc = mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
    for (size_t i = 0; rc == 0 && i < dir->name_count; i++) {
        char *below = crash_need(strlen(path) + CRASH_NAME + 1);
        (void)snprintf(below, strlen(path) + CRASH_NAME + 1, "%s/%s", path, dir->names[i].name);
        /* Directories lie only two deep. */
        if (fs->nodes[dir->names[i].node].is_dir) {
            rc = dump_dir(fs, dir->names[i].node, below);
        } else {
            rc = dump_file(fs, dir->names[i].node, below);
        }
        free(below);
    }
    return rc;
}

int crash_fs_dump(const struct crash_fs *fs, const char *path)
{
    return dump_dir(fs, CRASH_ROOT, path);
}
