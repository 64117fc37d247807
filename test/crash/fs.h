/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system as data: nodes by number, files as sparse pages that copies share until one of them is
 * written. A copy of a log of some MiB costs microseconds, so a state can be built, opened and thrown away
 * thousands of times a second.
 *
 * Threads: one at a time for a file system; pages may be shared with others.
 */
#ifndef TEST_CRASH_FS_H
#define TEST_CRASH_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CRASH_PAGE = 4096,
    CRASH_NAME = 64,
    CRASH_ROOT = 0, /* the node of the root directory */
    CRASH_NONE = UINT32_MAX
};

struct crash_page;

struct crash_name {
    char name[CRASH_NAME];
    uint32_t node;
};

struct crash_node {
    bool used, is_dir;
    uint32_t parent; /* directories */
    uint64_t size;
    struct crash_page **pages; /* NULL: zeros */
    size_t page_count;
    struct crash_name *names; /* directories */
    size_t name_count, name_room;
    unsigned handles;   /* open ones, in a disk */
    const void *locked; /* who holds the lock, in a disk */
};

struct crash_fs {
    struct crash_node *nodes;
    uint32_t count, room;
};

/* An empty root directory. */
void crash_fs_init(struct crash_fs *fs);
void crash_fs_free(struct crash_fs *fs);
/* Nothing in the copy is open or locked. */
void crash_fs_copy(const struct crash_fs *fs, struct crash_fs *ret_copy);
/* Frees the content of nodes that no name leads to and that nobody has open. Their numbers stay taken. */
void crash_fs_sweep(struct crash_fs *fs);
/* The node gets this number. */
void crash_fs_add_node(struct crash_fs *fs, uint32_t number, bool is_dir, uint32_t parent);

uint32_t crash_fs_find(const struct crash_fs *fs, uint32_t dir, const char *name);
/* The name leads to this node from now on, whatever it did before. */
void crash_fs_set_name(struct crash_fs *fs, uint32_t dir, const char *name, uint32_t node);
void crash_fs_drop_name(struct crash_fs *fs, uint32_t dir, const char *name);
/* Drops every name in the directory that leads to the node. */
void crash_fs_drop_node(struct crash_fs *fs, uint32_t dir, uint32_t node);

/* `data` NULL: zeros. Neither changes the size nor looks at it. */
void crash_fs_write(struct crash_fs *fs, uint32_t node, const void *data, size_t len, uint64_t offset);
void crash_fs_read(const struct crash_fs *fs, uint32_t node, void *buf, size_t len, uint64_t offset);
/* What is cut off reads as zeros when it comes back. */
void crash_fs_resize(struct crash_fs *fs, uint32_t node, uint64_t size);

/* Writes all of it below a real directory, which is made: for a look at a state with other tools. */
int crash_fs_dump(const struct crash_fs *fs, const char *path);

void *crash_need(size_t bytes);
void *crash_grow(void *array, size_t *room, size_t count, size_t item);

#endif
