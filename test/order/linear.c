/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beginnings and ends of calls stand in a list, in the order of time. A call may come next when it begins
 * before any other has ended; it is taken out of the list, and put back when nothing can follow it.
 */
#include "order/linear.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rng.h"

/* What a key is. Its version stays when it is deleted: the next one has to be higher. */
struct state {
    uint64_t there, is_lock;
    uint64_t number, version;
};

static bool write(struct state *s, const struct linear_call *c, bool is_lock, uint64_t number)
{
    bool grows = c->version > s->version;
    *s = (struct state){.there = 1, .is_lock = is_lock, .number = number, .version = c->version};
    return grows;
}

static bool gone(struct state *s, const struct linear_call *c)
{
    bool grows = c->version > s->version;
    *s = (struct state){.version = c->version};
    return grows;
}

/* What a lock would say to this owner. */
static enum linear_told held(const struct state *s, uint64_t owner, enum linear_told when_free)
{
    return !s->there ? when_free : s->number == owner ? LINEAR_DONE : LINEAR_CONFLICT;
}

/* Lets it happen. False: not in this state. */
static bool step(struct state *s, const struct linear_call *c)
{
    enum linear_told told = LINEAR_DONE;
    uint64_t sum = c->number + (s->there ? s->number : 0);
    switch (c->kind) {
    case LINEAR_GET:
        told = s->there ? LINEAR_DONE : LINEAR_NO_KEY;
        return c->told == told && (!s->there || (s->number == c->result && s->version == c->version));
    case LINEAR_SET:
        return c->told == told && write(s, c, false, c->number);
    case LINEAR_SET_ABSENT:
        told = s->there ? LINEAR_CONFLICT : LINEAR_DONE;
        return c->told == told && (told != LINEAR_DONE || write(s, c, false, c->number));
    case LINEAR_SET_VERSION:
        told = (s->there ? s->version : 0) == c->wanted ? LINEAR_DONE : LINEAR_CONFLICT;
        return c->told == told && (told != LINEAR_DONE || write(s, c, false, c->number));
    case LINEAR_DELETE:
        told = s->there ? LINEAR_DONE : LINEAR_NO_KEY;
        return c->told == told && (told != LINEAR_DONE || gone(s, c));
    case LINEAR_ADD:
        return c->told == told && c->result == sum && write(s, c, false, sum);
    case LINEAR_LOCK:
        told = held(s, c->number, LINEAR_DONE);
        return c->told == told && (told != LINEAR_DONE || write(s, c, true, c->number));
    case LINEAR_UNLOCK:
        told = held(s, c->number, LINEAR_NO_KEY);
        return c->told == told && (told != LINEAR_DONE || gone(s, c));
    }
    return false;
}

/* A beginning or an end. */
struct node {
    uint64_t at;
    size_t call;
    struct node *before, *next;
    struct node *end; /* of a beginning; NULL: it is an end */
};

struct search {
    const struct linear_call *calls;
    size_t count, words;
    struct node *nodes; /* two for each call, and one in front */
    uint64_t *done;     /* a bit for each call */
    struct state state;
    struct undo {
        struct node *node;
        struct state state;
    } * stack;
    size_t depth, deepest;
    size_t stuck;    /* the first call that was left when it was deepest */
    uint64_t **seen; /* sets of done calls, and the state behind each; by hash */
    size_t seen_count, seen_room;
};

static void *need(size_t count, size_t bytes)
{
    void *memory = calloc(count ? count : 1, bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static uint64_t hash_of(const struct search *s, const uint64_t *key)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < s->words + sizeof(struct state) / 8; i++) {
        hash = test_rng_mix(hash ^ key[i]);
    }
    return hash;
}

static uint64_t **place_of(const struct search *s, uint64_t *const *seen, size_t room, const uint64_t *key)
{
    size_t bytes = s->words * 8 + sizeof(struct state);
    size_t at = hash_of(s, key) & (room - 1);
    while (seen[at] != NULL && memcmp(seen[at], key, bytes) != 0) {
        at = (at + 1) & (room - 1);
    }
    return (uint64_t **)(uintptr_t)&seen[at];
}

static void grow(struct search *s)
{
    size_t room = s->seen_room ? s->seen_room * 2 : 1024;
    uint64_t **seen = need(room, sizeof *seen);
    for (size_t i = 0; i < s->seen_room; i++) {
        if (s->seen[i] != NULL) {
            *place_of(s, seen, room, s->seen[i]) = s->seen[i];
        }
    }
    free(s->seen);
    s->seen = seen;
    s->seen_room = room;
}

/* Whether it is here for the first time. */
static bool note(struct search *s)
{
    uint64_t *key = need(s->words + sizeof(struct state) / 8, 8), **place;
    memcpy(key, s->done, s->words * 8);
    memcpy(key + s->words, &s->state, sizeof s->state);
    if (s->seen_count * 2 >= s->seen_room) {
        grow(s);
    }
    place = place_of(s, s->seen, s->seen_room, key);
    if (*place != NULL) {
        free(key);
        return false;
    }
    *place = key;
    s->seen_count++;
    return true;
}

static void take_out(struct node *node)
{
    node->before->next = node->next;
    if (node->next != NULL) {
        node->next->before = node->before;
    }
}

static void put_back(struct node *node)
{
    node->before->next = node;
    if (node->next != NULL) {
        node->next->before = node;
    }
}

/* Lets the call of a beginning happen next, if it can and that is new. */
static bool advance(struct search *s, struct node *node)
{
    struct state before = s->state;
    uint64_t bit = UINT64_C(1) << node->call % 64;
    bool new = step(&s->state, &s->calls[node->call]);
    s->done[node->call / 64] |= bit;
    if (!new || !note(s)) {
        s->state = before;
        s->done[node->call / 64] &= ~bit;
        return false;
    }
    take_out(node);
    take_out(node->end);
    s->stack[s->depth++] = (struct undo){node, before};
    if (s->depth > s->deepest && s->nodes->next != NULL) {
        s->deepest = s->depth;
        s->stuck = s->nodes->next->call;
    }
    return true;
}

/* Takes the last one back; returns where it stood. */
static struct node *retreat(struct search *s)
{
    struct undo *undo = &s->stack[--s->depth];
    s->state = undo->state;
    s->done[undo->node->call / 64] &= ~(UINT64_C(1) << undo->node->call % 64);
    put_back(undo->node->end);
    put_back(undo->node);
    return undo->node;
}

static bool run(struct search *s)
{
    struct node *at = s->nodes->next;
    while (s->nodes->next != NULL) {
        if (at->end != NULL) {
            at = advance(s, at) ? s->nodes->next : at->next;
        } else if (s->depth == 0) {
            return false;
        } else {
            at = retreat(s)->next;
        }
    }
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct node *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static void build(struct search *s)
{
    struct node **begins = need(s->count, sizeof *begins);
    s->nodes = need(s->count * 2 + 1, sizeof *s->nodes);
    for (size_t i = 0; i < s->count; i++) {
        assert(s->calls[i].from < s->calls[i].to);
        /* Which is which shows by the time, once they are sorted. */
        s->nodes[1 + i * 2] = (struct node){.at = s->calls[i].from, .call = i};
        s->nodes[2 + i * 2] = (struct node){.at = s->calls[i].to, .call = i};
    }
    qsort(s->nodes + 1, s->count * 2, sizeof *s->nodes, by_time);
    for (size_t i = 1; i <= s->count * 2; i++) {
        struct node *node = &s->nodes[i];
        node->before = node - 1;
        node[-1].next = node;
        if (node->at == s->calls[node->call].from) {
            begins[node->call] = node;
        } else {
            begins[node->call]->end = node;
        }
    }
    free(begins);
}

static void explain(const struct search *s, char *why, size_t room)
{
    const struct linear_call *c = &s->calls[s->deepest > 0 ? s->stuck : s->nodes->next->call];
    (void)snprintf(why, room,
                   "there is an order for %zu of %zu calls at most; the first of the others, from %" PRIu64
                   " to %" PRIu64 ", is of kind %d, told %d, number %" PRIu64 ", result %" PRIu64
                   ", version %" PRIu64,
                   s->deepest, s->count, c->from, c->to, (int)c->kind, (int)c->told, c->number, c->result,
                   c->version);
}

bool linear_check(const struct linear_call *calls, size_t count, char *ret_why, size_t room)
{
    struct search s = {.calls = calls, .count = count, .words = (count + 63) / 64};
    bool good;
    s.done = need(s.words, 8);
    s.stack = need(count, sizeof *s.stack);
    build(&s);
    good = run(&s);
    if (!good) {
        explain(&s, ret_why, room);
    }
    for (size_t i = 0; i < s.seen_room; i++) {
        free(s.seen[i]);
    }
    free(s.seen);
    free(s.stack);
    free(s.done);
    free(s.nodes);
    return good;
}
