/* SPDX-License-Identifier: Apache-2.0 */
#include "order/serial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A key from the record `lsn` on. */
struct version {
    uint64_t lsn, number;
};

struct past {
    struct version *versions; /* the first has LSN 0: absent */
    size_t count, room;
};

struct check {
    struct serial_deal *deals; /* in the order in which they began */
    size_t count;
    struct past *pasts; /* of each key */
    unsigned keys;
    char *why;
    size_t room;
};

static void *need(size_t count, size_t bytes)
{
    void *memory = calloc(count ? count : 1, bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static int by_begin(const void *a, const void *b)
{
    const struct serial_deal *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

static int by_end(const void *a, const void *b)
{
    const struct serial_deal *x = *(struct serial_deal *const *)a, *y = *(struct serial_deal *const *)b;
    return (x->to > y->to) - (x->to < y->to);
}

static int by_lsn(const void *a, const void *b)
{
    const struct serial_deal *x = *(struct serial_deal *const *)a, *y = *(struct serial_deal *const *)b;
    return (x->lsn > y->lsn) - (x->lsn < y->lsn);
}

static void add_version(struct past *past, uint64_t lsn, uint64_t number)
{
    if (past->count == past->room) {
        past->room = past->room ? past->room * 2 : 16;
        past->versions = realloc(past->versions, past->room * sizeof *past->versions);
        if (past->versions == NULL) {
            abort();
        }
    }
    past->versions[past->count++] = (struct version){lsn, number};
}

/* All versions there ever were, in the order of the commits. */
static bool replay(struct check *c)
{
    struct serial_deal **sorted = need(c->count, sizeof *sorted);
    uint64_t last = 0;
    bool good = true;
    for (size_t i = 0; i < c->count; i++) {
        sorted[i] = &c->deals[i];
    }
    qsort(sorted, c->count, sizeof *sorted, by_lsn);
    for (unsigned key = 0; key < c->keys; key++) {
        add_version(&c->pasts[key], 0, 0);
    }
    for (size_t i = 0; i < c->count && good; i++) {
        const struct serial_deal *d = sorted[i];
        if (d->lsn == 0) {
            continue;
        }
        good = d->lsn > last;
        last = d->lsn;
        if (!good) {
            (void)snprintf(c->why, c->room, "LSN %" PRIu64 " was given to two", d->lsn);
        }
        for (size_t w = 0; w < d->write_count; w++) {
            add_version(&c->pasts[d->writes[w].key], d->lsn, d->writes[w].number);
        }
    }
    free(sorted);
    return good;
}

/* The version that is there at a moment. */
static size_t version_at(const struct past *past, uint64_t moment)
{
    size_t low = 0, high = past->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (past->versions[middle].lsn <= moment) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The first moment from `moment` on at which the key is as it was read. UINT64_MAX: never. */
static uint64_t next_moment(const struct past *past, const struct serial_touch *read, uint64_t moment)
{
    for (size_t i = version_at(past, moment); i < past->count; i++) {
        const struct version *v = &past->versions[i];
        if (v->number == read->number && (v->number == 0 || v->lsn == read->version)) {
            return v->lsn > moment ? v->lsn : moment;
        }
    }
    return UINT64_MAX;
}

static bool fits_at(const struct check *c, const struct serial_deal *d, uint64_t moment)
{
    for (size_t i = 0; i < d->read_count; i++) {
        if (next_moment(&c->pasts[d->reads[i].key], &d->reads[i], moment) != moment) {
            return false;
        }
    }
    return true;
}

/* The first moment from `moment` on at which all is as it was read. */
static uint64_t find_moment(const struct check *c, const struct serial_deal *d, uint64_t moment)
{
    while (moment != UINT64_MAX && !fits_at(c, d, moment)) {
        for (size_t i = 0; i < d->read_count && moment != UINT64_MAX; i++) {
            moment = next_moment(&c->pasts[d->reads[i].key], &d->reads[i], moment);
        }
    }
    return moment;
}

static bool is_known(const struct check *c, const struct serial_touch *read)
{
    const struct past *past = &c->pasts[read->key];
    return next_moment(past, read, 0) != UINT64_MAX;
}

static void explain(const struct check *c, const struct serial_deal *d, uint64_t low, const char *what)
{
    int at = snprintf(c->why, c->room,
                      "%s: a transaction from %" PRIu64 " to %" PRIu64 ", commit %" PRIu64
                      ", not before LSN %" PRIu64 ", has read",
                      what, d->from, d->to, d->lsn, low);
    for (size_t i = 0; i < d->read_count && at > 0 && (size_t)at < c->room; i++) {
        at += snprintf(c->why + at, c->room - (size_t)at, " key %u as %" PRIu64 " of LSN %" PRIu64 ",",
                       d->reads[i].key, d->reads[i].number, d->reads[i].version);
    }
}

/* Its moment; UINT64_MAX, and why: there is none. `low`: it is not before this. */
static uint64_t place(const struct check *c, const struct serial_deal *d, uint64_t low)
{
    uint64_t moment;
    for (size_t i = 0; i < d->read_count; i++) {
        if (!is_known(c, &d->reads[i])) {
            explain(c, d, low, "what nobody committed was read");
            return UINT64_MAX;
        }
    }
    if (d->lsn == 0) {
        moment = find_moment(c, d, low);
        if (moment == UINT64_MAX) {
            explain(c, d, low, "no moment is as it was read");
        }
        return moment;
    }
    if (d->lsn <= low) {
        explain(c, d, low, "it is committed before what had ended when it began");
        return UINT64_MAX;
    }
    if (!fits_at(c, d, d->lsn - 1)) {
        explain(c, d, low, "what it has read was not there any more at its commit");
        return UINT64_MAX;
    }
    return d->lsn;
}

static bool place_all(struct check *c)
{
    struct serial_deal **ended = need(c->count, sizeof *ended);
    uint64_t *moments = need(c->count, sizeof *moments), low = 0;
    bool good = true;
    size_t next = 0;
    for (size_t i = 0; i < c->count; i++) {
        ended[i] = &c->deals[i];
    }
    qsort(ended, c->count, sizeof *ended, by_end);
    for (size_t i = 0; i < c->count && good; i++) {
        /* Who had ended by now had begun before, so its moment is known. */
        for (; next < c->count && ended[next]->to < c->deals[i].from; next++) {
            uint64_t moment = moments[ended[next] - c->deals];
            low = moment > low ? moment : low;
        }
        if (c->deals[i].single && c->deals[i].lsn == 0) {
            continue;
        }
        moments[i] = place(c, &c->deals[i], low);
        good = moments[i] != UINT64_MAX;
    }
    free(ended);
    free(moments);
    return good;
}

bool serial_check(struct serial_deal *deals, size_t count, unsigned keys, char *ret_why, size_t room)
{
    struct check c = {deals, count, need(keys, sizeof *c.pasts), keys, ret_why, room};
    bool good;
    qsort(deals, count, sizeof *deals, by_begin);
    good = replay(&c) && place_all(&c);
    for (unsigned key = 0; key < keys; key++) {
        free(c.pasts[key].versions);
    }
    free(c.pasts);
    return good;
}
