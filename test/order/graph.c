/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time is nodes too, one for the end of each deal, in a chain: so its edges are as many as there are deals. A
 * read of nothing may be of any version that is nothing; it comes after the first and before the one behind
 * the last that time allows.
 */
#include "order/graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct edge {
    size_t from, to;
};

struct version {
    uint64_t lsn, number;
    size_t writer; /* SIZE_MAX: nobody, it is the first */
};

struct graph {
    const struct serial_deal *deals;
    size_t count, nodes;
    struct edge *edges; /* by where they come from */
    size_t edge_count, edge_room;
    struct version *versions; /* of one key at a time */
    size_t version_count;
};

static void *need(size_t count, size_t bytes)
{
    void *memory = calloc(count ? count : 1, bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void add_edge(struct graph *g, size_t from, size_t to)
{
    if (from == to) {
        return;
    }
    if (g->edge_count == g->edge_room) {
        g->edge_room = g->edge_room ? g->edge_room * 2 : 1024;
        g->edges = realloc(g->edges, g->edge_room * sizeof *g->edges);
        if (g->edges == NULL) {
            abort();
        }
    }
    g->edges[g->edge_count++] = (struct edge){from, to};
}

static bool is_in(const struct serial_deal *d)
{
    return d->single || d->lsn != 0;
}

struct end {
    uint64_t at;
    size_t deal;
};

static int by_time(const void *a, const void *b)
{
    const struct end *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static void add_time(struct graph *g)
{
    struct end *ends = need(g->count, sizeof *ends);
    for (size_t i = 0; i < g->count; i++) {
        ends[i] = (struct end){g->deals[i].to, i};
    }
    qsort(ends, g->count, sizeof *ends, by_time);
    for (size_t i = 0; i < g->count; i++) {
        const struct serial_deal *d = &g->deals[i];
        size_t low = 0, high = g->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (ends[middle].at < d->from) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (is_in(d) && low > 0) {
            add_edge(g, g->count + low - 1, i);
        }
        if (is_in(&g->deals[ends[i].deal])) {
            add_edge(g, ends[i].deal, g->count + i);
        }
        if (i > 0) {
            add_edge(g, g->count + i - 1, g->count + i);
        }
    }
    free(ends);
}

static int by_lsn(const void *a, const void *b)
{
    const struct version *x = a, *y = b;
    return (x->lsn > y->lsn) - (x->lsn < y->lsn);
}

static void find_versions(struct graph *g, unsigned key)
{
    g->version_count = 0;
    g->versions[g->version_count++] = (struct version){0, 0, SIZE_MAX};
    for (size_t i = 0; i < g->count; i++) {
        for (size_t w = 0; w < g->deals[i].write_count; w++) {
            if (g->deals[i].lsn != 0 && g->deals[i].writes[w].key == key) {
                g->versions[g->version_count++] =
                    (struct version){g->deals[i].lsn, g->deals[i].writes[w].number, i};
            }
        }
    }
    qsort(g->versions, g->version_count, sizeof *g->versions, by_lsn);
}

/* Whether it may be this version that was read. */
static bool may_be(const struct graph *g, const struct serial_deal *d, const struct serial_touch *read,
                   size_t v)
{
    const struct version *version = &g->versions[v];
    if (version->number != read->number || (read->number != 0 && version->lsn != read->version)) {
        return false;
    }
    if (read->number != 0) {
        return true;
    }
    return (version->writer == SIZE_MAX || g->deals[version->writer].from < d->to) &&
           (v + 1 == g->version_count || g->deals[g->versions[v + 1].writer].to > d->from);
}

/* False: nobody wrote what was read, or it was long over. */
static bool add_read(struct graph *g, size_t reader, const struct serial_touch *read)
{
    size_t first = SIZE_MAX, last = 0;
    for (size_t v = 0; v < g->version_count; v++) {
        if (may_be(g, &g->deals[reader], read, v)) {
            first = first == SIZE_MAX ? v : first;
            last = v;
        }
    }
    if (first == SIZE_MAX) {
        return false;
    }
    if (g->versions[first].writer != SIZE_MAX) {
        add_edge(g, g->versions[first].writer, reader);
    }
    if (last + 1 < g->version_count) {
        add_edge(g, reader, g->versions[last + 1].writer);
    }
    return true;
}

/* False: *ret_reader has read what cannot be. */
static bool add_key(struct graph *g, unsigned key, size_t *ret_reader)
{
    find_versions(g, key);
    for (size_t v = 2; v < g->version_count; v++) {
        add_edge(g, g->versions[v - 1].writer, g->versions[v].writer);
    }
    for (size_t i = 0; i < g->count; i++) {
        for (size_t r = 0; r < g->deals[i].read_count && is_in(&g->deals[i]); r++) {
            if (g->deals[i].reads[r].key == key && !add_read(g, i, &g->deals[i].reads[r])) {
                *ret_reader = i;
                return false;
            }
        }
    }
    return true;
}

static int by_from(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* Where each node's edges begin. */
static size_t *index_edges(struct graph *g)
{
    size_t *first = need(g->nodes + 1, sizeof *first), at = 0;
    qsort(g->edges, g->edge_count, sizeof *g->edges, by_from);
    for (size_t node = 0; node <= g->nodes; node++) {
        while (at < g->edge_count && g->edges[at].from < node) {
            at++;
        }
        first[node] = at;
    }
    return first;
}

/* Names those of a cycle among nodes that have someone left before them. */
static void explain(const struct graph *g, const size_t *before, char *why, size_t room)
{
    size_t *comes_after = need(g->nodes, sizeof *comes_after), at = SIZE_MAX;
    for (size_t i = 0; i < g->edge_count; i++) {
        if (before[g->edges[i].from] > 0 && before[g->edges[i].to] > 0) {
            comes_after[g->edges[i].to] = g->edges[i].from;
            at = g->edges[i].to;
        }
    }
    /* Back as often as there are nodes: then it is in the cycle. */
    for (size_t i = 0; i < g->nodes; i++) {
        at = comes_after[at];
    }
    size_t start = at;
    int used = snprintf(why, room, "each of these has to come after the next, in a circle:");
    do {
        if (at < g->count && used > 0 && (size_t)used < room) {
            used +=
                snprintf(why + used, room - (size_t)used, " [%" PRIu64 " to %" PRIu64 ", LSN %" PRIu64 "]",
                         g->deals[at].from, g->deals[at].to, g->deals[at].lsn);
        }
        at = comes_after[at];
    } while (at != start);
    free(comes_after);
}

static bool has_no_cycle(struct graph *g, char *why, size_t room)
{
    size_t *first = index_edges(g), *before = need(g->nodes, sizeof *before);
    size_t *ready = need(g->nodes, sizeof *ready), head = 0, tail = 0;
    for (size_t i = 0; i < g->edge_count; i++) {
        before[g->edges[i].to]++;
    }
    for (size_t node = 0; node < g->nodes; node++) {
        if (before[node] == 0) {
            ready[tail++] = node;
        }
    }
    while (head < tail) {
        size_t node = ready[head++];
        for (size_t i = first[node]; i < first[node + 1]; i++) {
            if (--before[g->edges[i].to] == 0) {
                ready[tail++] = g->edges[i].to;
            }
        }
    }
    if (tail < g->nodes) {
        explain(g, before, why, room);
    }
    free(first);
    free(before);
    free(ready);
    return tail == g->nodes;
}

bool graph_check(const struct serial_deal *deals, size_t count, unsigned keys, char *ret_why, size_t room)
{
    struct graph g = {.deals = deals, .count = count, .nodes = count * 2};
    size_t reader = 0;
    bool good = true;
    g.versions = need(count + 1, sizeof *g.versions);
    add_time(&g);
    for (unsigned key = 0; key < keys && good; key++) {
        good = add_key(&g, key, &reader);
        if (!good) {
            (void)snprintf(ret_why, room,
                           "from %" PRIu64 " to %" PRIu64 " key %u was read as it was at no time then",
                           deals[reader].from, deals[reader].to, key);
        }
    }
    good = good && has_no_cycle(&g, ret_why, room);
    free(g.edges);
    free(g.versions);
    return good;
}
