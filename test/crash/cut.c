/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/cut.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rng.h"

enum {
    SUBSETS_MAX = 8, /* items of which every subset is tried */
    PIECE_MAX = 4096
};

/* What is known of each operation at the moment. */
struct fate {
    bool begun, ended, certain, tainted, without_effect;
};

static bool is_name(const struct crash_op *op)
{
    return op->kind == CRASH_CREATE || op->kind == CRASH_MKDIR || op->kind == CRASH_RENAME ||
           op->kind == CRASH_UNLINK;
}

static bool is_content(const struct crash_op *op)
{
    return op->kind == CRASH_WRITE || op->kind == CRASH_SIZE;
}

static void take_sync(const struct crash_trace *trace, struct fate *fates, size_t number, uint64_t moment)
{
    const struct crash_op *sync = &trace->ops[number];
    for (size_t i = 0; i < trace->count && trace->ops[i].begin < moment; i++) {
        const struct crash_op *op = &trace->ops[i];
        bool covered = sync->kind == CRASH_SYNC ? is_content(op) && op->node == sync->node
                                                : is_name(op) && op->dir == sync->dir;
        if (!covered || !fates[i].ended || op->rc != 0) {
            continue;
        }
        if (sync->rc != 0) {
            fates[i].tainted = fates[i].tainted || op->begin < sync->end;
        } else if (op->end < sync->begin && !fates[i].tainted) {
            fates[i].certain = true;
        }
    }
}

static struct fate *decide(const struct crash_trace *trace, uint64_t moment)
{
    struct fate *fates = crash_need(trace->count * sizeof *fates);
    for (size_t i = 0; i < trace->count && trace->ops[i].begin < moment; i++) {
        const struct crash_op *op = &trace->ops[i];
        fates[i].begun = true;
        fates[i].ended = op->end < moment;
        fates[i].without_effect = fates[i].ended && op->rc != 0 && op->kind != CRASH_WRITE;
        fates[i].certain = op->kind == CRASH_WRITE && op->dsync && fates[i].ended && op->rc == 0;
    }
    for (size_t i = 0; i < trace->count && fates[i].begun; i++) {
        if ((trace->ops[i].kind == CRASH_SYNC || trace->ops[i].kind == CRASH_DIR_SYNC) && fates[i].ended) {
            take_sync(trace, fates, i, moment);
        }
    }
    return fates;
}

static void extend(struct crash_fs *fs, const struct crash_op *op)
{
    if (fs->nodes[op->node].size < op->offset + op->bytes) {
        fs->nodes[op->node].size = op->offset + op->bytes;
    }
}

/* A change of names, as far as those before it are there. */
static void apply_name(struct crash_fs *fs, const struct crash_op *op)
{
    switch (op->kind) {
    case CRASH_CREATE:
    case CRASH_MKDIR:
        crash_fs_set_name(fs, op->dir, op->name, op->node);
        break;
    case CRASH_RENAME:
        /* A file has one name: the names of earlier renames go with it. */
        crash_fs_drop_node(fs, op->dir, op->node);
        crash_fs_set_name(fs, op->dir, op->to, op->node);
        break;
    default:
        if (crash_fs_find(fs, op->dir, op->name) == op->node) {
            crash_fs_drop_name(fs, op->dir, op->name);
        }
        break;
    }
}

static void add_item(struct crash_cut *cut, const struct crash_item *item)
{
    cut->items = crash_grow(cut->items, &cut->room, cut->count + 1, sizeof *cut->items);
    cut->items[cut->count++] = *item;
}

/* Whether something later that is certain stands over these bytes. */
static bool covered(const struct crash_cut *cut, const struct fate *fates, size_t number, uint64_t offset,
                    uint64_t bytes)
{
    const struct crash_trace *trace = cut->trace;
    uint32_t node = trace->ops[number].node;
    for (size_t i = number + 1; i < trace->count && fates[i].begun; i++) {
        const struct crash_op *op = &trace->ops[i];
        if (!fates[i].certain || !is_content(op) || op->node != node) {
            continue;
        }
        if (op->kind == CRASH_SIZE ? op->bytes <= offset
                                   : op->offset < offset + bytes && offset < op->offset + op->bytes) {
            return true;
        }
    }
    return false;
}

static bool pending_before(const struct crash_cut *cut, uint32_t node, uint64_t offset, uint64_t bytes)
{
    for (size_t i = 0; i < cut->count; i++) {
        const struct crash_item *item = &cut->items[i];
        if (cut->trace->ops[item->op].node == node &&
            (item->kind == CRASH_ITEM_SIZE ||
             (item->kind == CRASH_ITEM_BYTES && item->offset < offset + bytes &&
              offset < item->offset + item->bytes))) {
            return true;
        }
    }
    return false;
}

static const unsigned char *op_bytes(const struct crash_op *op, uint64_t offset)
{
    return op->data != NULL ? op->data + (offset - op->offset) : NULL;
}

/* Whether the bytes are what is there for certain anyway. */
static bool is_same(const struct crash_cut *cut, const struct crash_op *op, uint64_t offset, size_t bytes)
{
    static const unsigned char zeros[PIECE_MAX];
    unsigned char now[PIECE_MAX];
    const unsigned char *mine = op_bytes(op, offset);
    crash_fs_read(&cut->certain, op->node, now, bytes, offset);
    return memcmp(now, mine != NULL ? mine : zeros, bytes) == 0;
}

static void split_write(struct crash_cut *cut, const struct fate *fates, size_t number, size_t sector_bytes)
{
    const struct crash_op *op = &cut->trace->ops[number];
    uint64_t end = op->offset + op->bytes;
    for (uint64_t at = op->offset; at < end;) {
        uint64_t next = (at / sector_bytes + 1) * sector_bytes;
        size_t bytes = (size_t)((next < end ? next : end) - at);
        if (!covered(cut, fates, number, at, bytes) &&
            (!is_same(cut, op, at, bytes) || pending_before(cut, op->node, at, bytes))) {
            add_item(cut, &(struct crash_item){CRASH_ITEM_BYTES, number, at, bytes});
        }
        at += bytes;
    }
    if (cut->certain.nodes[op->node].size < end) {
        add_item(cut, &(struct crash_item){.kind = CRASH_ITEM_EXTENT, .op = number});
    }
}

static bool size_settled(const struct crash_cut *cut, const struct fate *fates, size_t number)
{
    for (size_t i = number + 1; i < cut->trace->count && fates[i].begun; i++) {
        const struct crash_op *op = &cut->trace->ops[i];
        if (fates[i].certain && op->kind == CRASH_SIZE && op->node == cut->trace->ops[number].node) {
            return true;
        }
    }
    return false;
}

/* Nodes that a name can lead to, and whose content matters. */
static bool *find_needed(const struct crash_cut *cut, const struct fate *fates)
{
    bool *needed = crash_need(cut->certain.count);
    for (uint32_t dir = 0; dir < cut->certain.count; dir++) {
        const struct crash_node *node = &cut->certain.nodes[dir];
        for (size_t i = 0; i < node->name_count; i++) {
            needed[node->names[i].node] = strcmp(node->names[i].name, "LOCK") != 0;
        }
    }
    for (size_t i = 0; i < cut->trace->count && fates[i].begun; i++) {
        const struct crash_op *op = &cut->trace->ops[i];
        if (is_name(op) && !fates[i].certain && op->node != CRASH_NONE && strcmp(op->name, "LOCK") != 0) {
            needed[op->node] = true;
        }
    }
    return needed;
}

static void make_certain(struct crash_cut *cut, const struct fate *fates)
{
    const struct crash_trace *trace = cut->trace;
    crash_fs_copy(&trace->base, &cut->certain);
    for (size_t i = 0; i < trace->count && fates[i].begun; i++) {
        const struct crash_op *op = &trace->ops[i];
        if ((op->kind == CRASH_CREATE || op->kind == CRASH_MKDIR) && !fates[i].without_effect) {
            crash_fs_add_node(&cut->certain, op->node, op->kind == CRASH_MKDIR, op->dir);
        }
        if (!fates[i].certain) {
            continue;
        }
        if (is_name(op)) {
            apply_name(&cut->certain, op);
        } else if (op->kind == CRASH_SIZE) {
            crash_fs_resize(&cut->certain, op->node, op->bytes);
        } else {
            crash_fs_write(&cut->certain, op->node, op->data, op->bytes, op->offset);
            extend(&cut->certain, op);
        }
    }
}

void crash_cut_init(struct crash_cut *cut, const struct crash_trace *trace, uint64_t moment,
                    size_t sector_bytes)
{
    *cut = (struct crash_cut){.trace = trace, .moment = moment};
    struct fate *fates = decide(trace, moment);
    make_certain(cut, fates);
    bool *needed = find_needed(cut, fates);
    for (size_t i = 0; i < trace->count && fates[i].begun; i++) {
        const struct crash_op *op = &trace->ops[i];
        if (fates[i].certain || fates[i].without_effect) {
            continue;
        }
        if (is_name(op)) {
            if (op->node != CRASH_NONE) {
                add_item(cut, &(struct crash_item){.kind = CRASH_ITEM_NAME, .op = i});
            }
        } else if (is_content(op) && needed[op->node]) {
            if (op->kind == CRASH_WRITE) {
                split_write(cut, fates, i, sector_bytes);
            } else if (!size_settled(cut, fates, i)) {
                add_item(cut, &(struct crash_item){.kind = CRASH_ITEM_SIZE, .op = i});
            }
        }
    }
    free(needed);
    free(fates);
}

void crash_cut_close(struct crash_cut *cut)
{
    crash_fs_free(&cut->certain);
    free(cut->items);
}

uint64_t crash_cut_systematic(const struct crash_cut *cut)
{
    return cut->count <= SUBSETS_MAX ? UINT64_C(1) << cut->count : 3 * (uint64_t)cut->count + 2;
}

/* Fills `there`, a flag for each item. */
static void choose(const struct crash_cut *cut, uint64_t number, bool *there)
{
    size_t count = cut->count;
    struct test_rng rng;
    uint64_t seed = test_rng_mix(number) ^ test_rng_mix(cut->moment << 20 ^ count);
    test_rng_init(&rng, seed);
    uint64_t way = test_rng_below(&rng, 4), fate = 0, stop = 0;
    for (size_t i = 0; i < count; i++) {
        bool fresh = i == 0 || cut->items[i].op != cut->items[i - 1].op;
        if (count <= SUBSETS_MAX) {
            there[i] = (number >> i & 1) != 0;
        } else if (number < 2) {
            there[i] = number == 1;
        } else if (number - 2 < count) {
            there[i] = number - 2 != i;
        } else if (number - 2 < 2 * count) {
            there[i] = number - 2 - count == i;
        } else if (number - 2 < 3 * count) {
            there[i] = i <= number - 2 - 2 * count;
        } else if (way < 3) {
            /* Few, half, or most. */
            there[i] = test_rng_below(&rng, 8) < (way == 0 ? 1 : way == 1 ? 4 : 7);
        } else {
            /* Of each operation all, nothing, its beginning, or some. */
            fate = fresh ? test_rng_below(&rng, 4) : fate;
            stop = fresh ? i + test_rng_below(&rng, 16) : stop;
            there[i] = fate == 0 || (fate == 2 && i < stop) || (fate == 3 && test_rng_once_in(&rng, 2));
        }
    }
}

void crash_cut_state(const struct crash_cut *cut, uint64_t number, struct crash_fs *ret_fs)
{
    bool *there = crash_need(cut->count);
    choose(cut, number, there);
    crash_fs_copy(&cut->certain, ret_fs);
    for (size_t i = 0; i < cut->count; i++) {
        const struct crash_item *item = &cut->items[i];
        const struct crash_op *op = &cut->trace->ops[item->op];
        if (!there[i]) {
            continue;
        }
        switch (item->kind) {
        case CRASH_ITEM_BYTES:
            crash_fs_write(ret_fs, op->node, op_bytes(op, item->offset), item->bytes, item->offset);
            break;
        case CRASH_ITEM_EXTENT:
            extend(ret_fs, op);
            break;
        case CRASH_ITEM_SIZE:
            crash_fs_resize(ret_fs, op->node, op->bytes);
            break;
        case CRASH_ITEM_NAME:
            apply_name(ret_fs, op);
            break;
        }
    }
    free(there);
    crash_fs_sweep(ret_fs);
    for (uint32_t i = 0; i < ret_fs->count; i++) {
        if (ret_fs->nodes[i].used && !ret_fs->nodes[i].is_dir) {
            crash_fs_resize(ret_fs, i, ret_fs->nodes[i].size);
        }
    }
}

void crash_cut_explain(const struct crash_cut *cut, uint64_t number)
{
    bool *there = crash_need(cut->count);
    choose(cut, number, there);
    for (size_t i = 0; i < cut->trace->count && cut->trace->ops[i].begin < cut->moment; i++) {
        const struct crash_op *op = &cut->trace->ops[i];
        if (i + 60 < cut->trace->count && cut->trace->ops[i + 60].begin < cut->moment) {
            continue; /* only the last ones matter to a reader */
        }
        fprintf(stderr,
                "  %6" PRIu64 "..%-6" PRId64 " %-8s dir %u node %u %s%s%s offset %" PRIu64 " bytes %" PRIu64
                "%s%s rc %d\n",
                op->begin, op->end < cut->moment ? (int64_t)op->end : -1, crash_op_name(op->kind), op->dir,
                op->node, op->name, op->to[0] ? " -> " : "", op->to, op->offset, op->bytes,
                op->kind == CRASH_WRITE && op->data == NULL ? " zeros" : "", op->dsync ? " dsync" : "",
                op->end < cut->moment ? op->rc : 0);
    }
    for (size_t i = 0, next; i < cut->count; i = next) {
        static const char *const kinds[] = {"bytes", "extent", "size", "name"};
        const struct crash_item *item = &cut->items[i];
        const struct crash_op *op = &cut->trace->ops[item->op];
        uint64_t end = item->offset + item->bytes;
        for (next = i + 1; next < cut->count && item->kind == CRASH_ITEM_BYTES && there[next] == there[i] &&
                           cut->items[next].op == item->op && cut->items[next].offset == end;
             next++) {
            end += cut->items[next].bytes;
        }
        fprintf(stderr, "  %s: %s of the %s at %" PRIu64 " (node %u %s), offset %" PRIu64 " to %" PRIu64 "\n",
                there[i] ? "there  " : "missing", kinds[item->kind], crash_op_name(op->kind), op->begin,
                op->node, op->name, item->offset, end);
    }
    free(there);
}
