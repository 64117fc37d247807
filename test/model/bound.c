/* SPDX-License-Identifier: Apache-2.0 */
#include "model/bound.h"

#include <stdlib.h>

#include "model/note.h"

void model_bounds_free(struct model_bounds *bounds)
{
    free(bounds->items);
}

void model_bounds_add(struct model_bounds *bounds, const struct model_bound *bound)
{
    bounds->items = model_grow(bounds->items, &bounds->room, bounds->count + 1, sizeof *bounds->items);
    bounds->items[bounds->count++] = *bound;
}

/* What is known of `lower` says that `upper` is at least that, minus `less`. */
static void push_low(const struct model_bounds *lower, struct model_bounds *upper, uint64_t less)
{
    for (size_t i = 0; i < lower->count; i++) {
        struct model_bound b = lower->items[i];
        if (b.low > less) {
            b.low -= less;
            b.high = MODEL_ANY;
            model_bounds_add(upper, &b);
        }
    }
}

/* And the other way round. */
static void push_high(const struct model_bounds *upper, struct model_bounds *lower, uint64_t more)
{
    for (size_t i = 0; i < upper->count; i++) {
        struct model_bound b = upper->items[i];
        if (b.high != MODEL_ANY) {
            b.low = 0;
            b.high += more;
            model_bounds_add(lower, &b);
        }
    }
}

void model_bounds_tie(struct model_bounds *all)
{
    push_low(&all[MODEL_FIRST], &all[MODEL_BEGIN], 0);
    push_low(&all[MODEL_BEGIN], &all[MODEL_DURABLE], 1);
    push_low(&all[MODEL_DURABLE], &all[MODEL_LAST], 0);
    push_high(&all[MODEL_LAST], &all[MODEL_DURABLE], 0);
    push_high(&all[MODEL_DURABLE], &all[MODEL_BEGIN], 1);
    push_high(&all[MODEL_BEGIN], &all[MODEL_FIRST], 0);
}

static int by_end(const void *a, const void *b)
{
    uint64_t x = ((const struct model_bound *)a)->end, y = ((const struct model_bound *)b)->end;
    return x < y ? -1 : x > y;
}

static int by_begin(const void *a, const void *b)
{
    const struct model_bound *const *x = a, *const *y = b;
    return (*x)->begin < (*y)->begin ? -1 : (*x)->begin > (*y)->begin;
}

bool model_bounds_check(struct model_bounds *bounds, uint64_t start, struct model_bound *ret_low,
                        struct model_bound *ret_high)
{
    const struct model_bound **begins = NULL;
    struct model_bound highest = {.low = start, .what = "the opening"};
    size_t ended = 0, room = 0;
    bool good = true;
    if (bounds->count == 0) {
        return true;
    }
    qsort(bounds->items, bounds->count, sizeof *bounds->items, by_end);
    begins = model_grow(NULL, &room, bounds->count, sizeof *begins);
    for (size_t i = 0; i < bounds->count; i++) {
        begins[i] = &bounds->items[i];
    }
    qsort(begins, bounds->count, sizeof *begins, by_begin);
    for (size_t i = 0; good && i < bounds->count; i++) {
        for (; ended < bounds->count && bounds->items[ended].end < begins[i]->begin; ended++) {
            if (bounds->items[ended].low > highest.low) {
                highest = bounds->items[ended];
            }
        }
        if (begins[i]->high < highest.low) {
            *ret_low = highest;
            *ret_high = *begins[i];
            good = false;
        }
    }
    free(begins);
    return good;
}

uint64_t model_bounds_known(const struct model_bounds *bounds, uint64_t moment, uint64_t start)
{
    uint64_t known = start;
    for (size_t i = 0; i < bounds->count; i++) {
        if (bounds->items[i].end < moment && bounds->items[i].low > known) {
            known = bounds->items[i].low;
        }
    }
    return known;
}

const char *model_number_name(enum model_number number)
{
    static const char *const names[MODEL_NUMBERS] = {"last", "durable", "begin", "first"};
    return names[number];
}
