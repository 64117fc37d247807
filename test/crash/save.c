/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/save.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[16] = "varve crash 2";

static void put(FILE *file, const void *data, size_t bytes)
{
    if (bytes > 0) {
        (void)fwrite(data, 1, bytes, file);
    }
}

static void put_number(FILE *file, uint64_t number)
{
    put(file, &number, sizeof number);
}

static void put_fs(FILE *file, const struct crash_fs *fs)
{
    unsigned char page[CRASH_PAGE];
    put_number(file, fs->count);
    for (uint32_t i = 0; i < fs->count; i++) {
        const struct crash_node *node = &fs->nodes[i];
        put_number(file, (node->used ? 1u : 0u) | (node->is_dir ? 2u : 0u));
        put_number(file, node->parent);
        put_number(file, node->size);
        put_number(file, node->name_count);
        put(file, node->names, node->name_count * sizeof *node->names);
        put_number(file, node->page_count);
        for (size_t p = 0; p < node->page_count; p++) {
            put_number(file, node->pages[p] != NULL);
            if (node->pages[p] != NULL) {
                crash_fs_read(fs, i, page, sizeof page, p * (uint64_t)CRASH_PAGE);
                put(file, page, sizeof page);
            }
        }
    }
}

int crash_save(const char *path, const struct crash_case *which, const struct crash_trace *trace,
               const struct crash_history *history)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return -errno;
    }
    put(file, magic, sizeof magic);
    put(file, which, sizeof *which);
    put_fs(file, &trace->base);
    put_number(file, trace->clock);
    put_number(file, trace->count);
    for (size_t i = 0; i < trace->count; i++) {
        const struct crash_op *op = &trace->ops[i];
        put(file, op, sizeof *op);
        put_number(file, op->data != NULL);
        put(file, op->data, op->data != NULL ? op->bytes : 0);
    }
    put_number(file, history->append_count);
    put(file, history->appends, history->append_count * sizeof *history->appends);
    put_number(file, history->ack_count);
    put(file, history->acks, history->ack_count * sizeof *history->acks);
    put_number(file, history->trim_count);
    put(file, history->trims, history->trim_count * sizeof *history->trims);
    put_number(file, history->base_first);
    put_number(file, history->base_last);
    bool good = !ferror(file);
    return fclose(file) == 0 && good ? 0 : -EIO;
}

static bool get(FILE *file, void *data, size_t bytes)
{
    return bytes == 0 || fread(data, 1, bytes, file) == bytes;
}

static uint64_t get_number(FILE *file)
{
    uint64_t number = 0;
    return get(file, &number, sizeof number) ? number : 0;
}

/* An array with its length before it. */
static void *get_array(FILE *file, size_t item, size_t *ret_count)
{
    *ret_count = (size_t)get_number(file);
    void *array = crash_need(*ret_count * item);
    if (!get(file, array, *ret_count * item)) {
        *ret_count = 0;
    }
    return array;
}

static void get_fs(FILE *file, struct crash_fs *fs)
{
    unsigned char page[CRASH_PAGE];
    uint32_t count = (uint32_t)get_number(file);
    crash_fs_init(fs);
    for (uint32_t i = 0; i < count && !feof(file); i++) {
        uint64_t flags = get_number(file);
        uint32_t parent = (uint32_t)get_number(file);
        if (i != CRASH_ROOT) {
            crash_fs_add_node(fs, i, (flags & 2) != 0, parent);
        }
        fs->nodes[i].used = (flags & 1) != 0;
        fs->nodes[i].size = get_number(file);
        fs->nodes[i].names = get_array(file, sizeof *fs->nodes[i].names, &fs->nodes[i].name_count);
        fs->nodes[i].name_room = fs->nodes[i].name_count;
        uint64_t pages = get_number(file);
        for (uint64_t p = 0; p < pages && !feof(file); p++) {
            if (get_number(file) != 0 && get(file, page, sizeof page)) {
                crash_fs_write(fs, i, page, sizeof page, p * CRASH_PAGE);
            }
        }
    }
}

int crash_load(const char *path, struct crash_case *ret_case, struct crash_trace *ret_trace,
               struct crash_history *ret_history)
{
    FILE *file = fopen(path, "rb");
    char found[sizeof magic];
    struct crash_fs base;
    if (file == NULL) {
        return -errno;
    }
    if (!get(file, found, sizeof found) || memcmp(found, magic, sizeof magic) != 0 ||
        !get(file, ret_case, sizeof *ret_case) ||
        memchr(ret_case->scenario, 0, sizeof ret_case->scenario) == NULL) {
        (void)fclose(file);
        return -EINVAL;
    }
    get_fs(file, &base);
    crash_trace_init(ret_trace, NULL, &base);
    crash_fs_free(&base);
    ret_trace->clock = get_number(file);
    ret_trace->count = (size_t)get_number(file);
    ret_trace->ops = crash_need(ret_trace->count * sizeof *ret_trace->ops);
    for (size_t i = 0; i < ret_trace->count; i++) {
        struct crash_op *op = &ret_trace->ops[i];
        bool known = get(file, op, sizeof *op);
        op->data = NULL;
        if (known && get_number(file) != 0) {
            op->data = crash_need(op->bytes);
            (void)get(file, op->data, op->bytes);
        }
    }
    crash_history_init(ret_history, ret_trace);
    ret_history->appends = get_array(file, sizeof *ret_history->appends, &ret_history->append_count);
    ret_history->acks = get_array(file, sizeof *ret_history->acks, &ret_history->ack_count);
    ret_history->trims = get_array(file, sizeof *ret_history->trims, &ret_history->trim_count);
    ret_history->base_first = get_number(file);
    ret_history->base_last = get_number(file);
    crash_history_seal(ret_history);
    int rc = feof(file) ? -EINVAL : 0;
    (void)fclose(file);
    return rc;
}
