/* SPDX-License-Identifier: Apache-2.0 */
#include "deals/deals.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rng.h"
#include "varve/txn.h"

void deals_init(struct deals *deals, struct crash_trace *trace)
{
    *deals = (struct deals){.trace = trace};
    pthread_mutex_init(&deals->lock, NULL);
}

void deals_close(struct deals *deals)
{
    free(deals->deals);
    free(deals->checkpoints);
    pthread_mutex_destroy(&deals->lock);
}

uint64_t deals_new(struct deals *deals, uint32_t count)
{
    pthread_mutex_lock(&deals->lock);
    deals->deals = crash_grow(deals->deals, &deals->room, deals->count + 1, sizeof *deals->deals);
    uint64_t number = deals->count++;
    deals->deals[number] = (struct deal){.asked = CRASH_NEVER, .acked = CRASH_NEVER, .count = count};
    pthread_mutex_unlock(&deals->lock);
    return number;
}

void deals_asked(struct deals *deals, uint64_t number)
{
    pthread_mutex_lock(&deals->lock);
    deals->deals[number].asked = crash_trace_now(deals->trace);
    pthread_mutex_unlock(&deals->lock);
}

void deals_lsn(struct deals *deals, uint64_t number, uint64_t lsn)
{
    pthread_mutex_lock(&deals->lock);
    deals->deals[number].lsn = lsn;
    pthread_mutex_unlock(&deals->lock);
}

void deals_acked(struct deals *deals, uint64_t number)
{
    pthread_mutex_lock(&deals->lock);
    deals->deals[number].acked = crash_trace_now(deals->trace);
    pthread_mutex_unlock(&deals->lock);
}

void deals_checkpoint(struct deals *deals, uint64_t floor, uint64_t applied)
{
    pthread_mutex_lock(&deals->lock);
    deals->checkpoints = crash_grow(deals->checkpoints, &deals->checkpoint_room, deals->checkpoint_count + 1,
                                    sizeof *deals->checkpoints);
    deals->checkpoints[deals->checkpoint_count++] =
        (struct deal_checkpoint){crash_trace_now(deals->trace), floor, applied};
    pthread_mutex_unlock(&deals->lock);
}

void deals_fill(uint64_t number, uint32_t index, uint32_t count, void *value, size_t bytes)
{
    unsigned char *to = value;
    memcpy(to, &number, sizeof number);
    memcpy(to + 8, &index, sizeof index);
    memcpy(to + 12, &count, sizeof count);
    memset(to + DEAL_VALUE_MIN, (int)test_rng_mix(number + index), bytes - DEAL_VALUE_MIN);
}

struct judge {
    struct deals *deals;
    uint64_t moment;
    bool *given; /* of each deal: it was */
    uint64_t number, last_commit;
    uint32_t next; /* the index that comes next in the transaction at hand */
    uint64_t committed;
    char *why;
    size_t room;
};

VARVE_PRINTF(2, 3)
static bool wrong(struct judge *j, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(j->why, j->room, fmt, args);
    va_end(args);
    return false;
}

/* The first mutation of a transaction: may it be there? */
static bool judge_first(struct judge *j, const struct varve_txn_change *c)
{
    const struct deal *d = j->number < j->deals->count ? &j->deals->deals[j->number] : NULL;
    if (d == NULL || d->asked >= j->moment) {
        return wrong(j, "transaction %" PRIu64 " was not committed by then, and is there", j->number);
    }
    if (j->given[j->number]) {
        return wrong(j, "transaction %" PRIu64 " is there twice", j->number);
    }
    if (d->lsn != 0 && d->lsn != c->commit_lsn) {
        return wrong(j, "transaction %" PRIu64 " was committed at LSN %" PRIu64 ", not %" PRIu64, j->number,
                     d->lsn, c->commit_lsn);
    }
    if (c->commit_lsn <= j->last_commit) {
        return wrong(j, "LSN %" PRIu64 " comes after LSN %" PRIu64, c->commit_lsn, j->last_commit);
    }
    j->given[j->number] = true;
    j->last_commit = c->commit_lsn;
    j->committed++;
    return true;
}

static bool judge_change(struct judge *j, const struct varve_txn_change *c)
{
    const unsigned char *value = c->mutation.value.data;
    uint64_t number;
    uint32_t index, count;
    if (c->mutation.value.bytes < DEAL_VALUE_MIN) {
        return wrong(j, "a value of %zu bytes", c->mutation.value.bytes);
    }
    memcpy(&number, value, sizeof number);
    memcpy(&index, value + 8, sizeof index);
    memcpy(&count, value + 12, sizeof count);
    for (size_t i = DEAL_VALUE_MIN; i < c->mutation.value.bytes; i++) {
        if (value[i] != (unsigned char)test_rng_mix(number + index)) {
            return wrong(j, "transaction %" PRIu64 ": another value", number);
        }
    }
    if (index != j->next || (index > 0 && number != j->number)) {
        return wrong(j, "mutation %u of transaction %" PRIu64 " where number %u should come", index, number,
                     j->next);
    }
    j->number = number;
    if (index == 0 && !judge_first(j, c)) {
        return false;
    }
    if (c->last != (index + 1 == count) || c->mutation.version != c->commit_lsn) {
        return wrong(j, "mutation %u of %u of transaction %" PRIu64 ": last is %d, the version %" PRIu64,
                     index, count, number, c->last, c->mutation.version);
    }
    j->next = c->last ? 0 : index + 1;
    return true;
}

/* What a bug would make of it. False: this one is swallowed. */
static bool bite(struct judge *j, enum deal_tooth tooth, struct varve_txn_change *c)
{
    switch (tooth) {
    case DEAL_TOOTH_LOSES:
        return j->next > 0 || !c->last;
    case DEAL_TOOTH_HALVES:
        return !c->last || j->next == 0;
    case DEAL_TOOTH_INVENTS:
        for (size_t i = 0; i < j->deals->count; i++) {
            if (j->deals->deals[i].asked == CRASH_NEVER) {
                memcpy((void *)(uintptr_t)c->mutation.value.data, &(uint64_t){i}, sizeof(uint64_t));
                break;
            }
        }
        return true;
    case DEAL_TOOTH_REPEATS:
        return judge_change(j, c);
    case DEAL_TOOTH_NONE:
    case DEAL_TOOTH_COUNT:
        break;
    }
    return true;
}

/* What must be there, and what was met beside it. */
static bool judge_all(struct judge *j, const struct varve_txn_replay *replay, uint64_t applied)
{
    struct varve_txn_replay_stats stats = {.size = sizeof stats};
    if (varve_txn_replay_stats_get(replay, &stats) != 0 || stats.partial != 0 ||
        stats.committed != j->committed) {
        return wrong(j, "%" PRIu64 " partial, %" PRIu64 " committed, and %" PRIu64 " were given",
                     stats.partial, stats.committed, j->committed);
    }
    for (size_t i = 0; i < j->deals->count; i++) {
        const struct deal *d = &j->deals->deals[i];
        if (d->acked < j->moment && d->lsn > applied && !j->given[i]) {
            return wrong(j, "transaction %zu, LSN %" PRIu64 ", was acknowledged, and is not there", i,
                         d->lsn);
        }
    }
    return true;
}

bool deals_judge(struct deals *deals, struct varve_log *log, uint64_t moment, enum deal_tooth tooth,
                 char *ret_why, size_t room)
{
    struct judge j = {.deals = deals, .moment = moment, .why = ret_why, .room = room};
    struct varve_txn_replay_options o = {.size = sizeof o};
    struct varve_txn_replay *replay;
    struct varve_txn_change change;
    struct varve_error error = {0};
    bool good = true;
    int rc;
    for (size_t i = 0; i < deals->checkpoint_count && deals->checkpoints[i].begin < moment; i++) {
        o.from_lsn = deals->checkpoints[i].floor;
        o.applied_lsn = deals->checkpoints[i].applied;
    }
    rc = varve_txn_replay_open(log, &o, &replay, &error);
    if (rc != 0) {
        return wrong(&j, "no replay: %s", error.message);
    }
    j.given = crash_need((deals->count + 1) * sizeof *j.given);
    memset(j.given, 0, (deals->count + 1) * sizeof *j.given);
    while (good && (rc = varve_txn_replay_next(replay, &change)) == 0) {
        good = !bite(&j, tooth, &change) || judge_change(&j, &change);
    }
    if (good && rc != VARVE_END) {
        varve_txn_replay_error(replay, &error);
        good = wrong(&j, "replay fails with %s: %s", varve_error_name(rc), error.message);
    }
    if (good && j.next != 0) {
        good = wrong(&j, "transaction %" PRIu64 " ends after %u mutations", j.number, j.next);
    }
    good = good && judge_all(&j, replay, o.applied_lsn);
    free(j.given);
    varve_txn_replay_close(replay);
    return good;
}
