/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/history.h"

#include <stdlib.h>
#include <string.h>

#include "lib/rng.h"

void crash_history_init(struct crash_history *history, struct crash_trace *trace)
{
    *history = (struct crash_history){.trace = trace, .base_first = 1};
    pthread_mutex_init(&history->lock, NULL);
}

void crash_history_close(struct crash_history *history)
{
    free(history->appends);
    free(history->acks);
    free(history->trims);
    free(history->newest);
    pthread_mutex_destroy(&history->lock);
}

/* Every fifth is zeros for the most part: zeros are bytes like any others. */
static void pattern_of(uint64_t number, uint64_t *ret_word, uint64_t *ret_step)
{
    uint64_t word = test_rng_mix(number);
    *ret_step = number % 5 == 0 ? 0 : word | 1;
    *ret_word = *ret_step == 0 ? 0 : word;
}

/* Word by word, the last one cut: most of an explorer's time goes through here and the next. */
void crash_history_fill(uint64_t number, void *buf, size_t bytes)
{
    unsigned char *to = buf;
    uint64_t word, step;
    size_t at = sizeof number;
    pattern_of(number, &word, &step);
    memcpy(to, &number, sizeof number);
    for (; at + sizeof word <= bytes; at += sizeof word) {
        word += step;
        memcpy(to + at, &word, sizeof word);
    }
    if (at < bytes) {
        word += step;
        memcpy(to + at, &word, bytes - at);
    }
}

bool crash_history_number(const void *data, size_t bytes, uint64_t *ret_number)
{
    const unsigned char *from = data;
    uint64_t word, step, found, wrong = 0;
    size_t at = sizeof *ret_number;
    if (bytes < CRASH_RECORD_MIN) {
        return false;
    }
    memcpy(ret_number, data, sizeof *ret_number);
    pattern_of(*ret_number, &word, &step);
    for (; at + sizeof word <= bytes; at += sizeof word) {
        word += step;
        memcpy(&found, from + at, sizeof found);
        wrong |= found ^ word;
    }
    word += step;
    return wrong == 0 && memcmp(from + at, &word, bytes - at) == 0;
}

static uint64_t add_append(struct crash_history *history, const struct crash_append *append)
{
    history->appends = crash_grow(history->appends, &history->append_room, history->append_count + 1,
                                  sizeof *history->appends);
    history->appends[history->append_count] = *append;
    return history->append_count++;
}

uint64_t crash_history_append(struct crash_history *history, size_t bytes)
{
    pthread_mutex_lock(&history->lock);
    uint64_t number =
        add_append(history, &(struct crash_append){.bytes = bytes, .begin = crash_trace_now(history->trace)});
    pthread_mutex_unlock(&history->lock);
    return number;
}

void crash_history_lsn(struct crash_history *history, uint64_t number, uint64_t lsn)
{
    pthread_mutex_lock(&history->lock);
    history->appends[number].lsn = lsn;
    pthread_mutex_unlock(&history->lock);
}

void crash_history_ack(struct crash_history *history, uint64_t lsn)
{
    pthread_mutex_lock(&history->lock);
    history->acks =
        crash_grow(history->acks, &history->ack_room, history->ack_count + 1, sizeof *history->acks);
    history->acks[history->ack_count++] = (struct crash_ack){crash_trace_now(history->trace), lsn};
    pthread_mutex_unlock(&history->lock);
}

size_t crash_history_trim(struct crash_history *history, uint64_t asked)
{
    pthread_mutex_lock(&history->lock);
    history->trims =
        crash_grow(history->trims, &history->trim_room, history->trim_count + 1, sizeof *history->trims);
    size_t number = history->trim_count++;
    history->trims[number] =
        (struct crash_trim){.begin = crash_trace_now(history->trace), .end = CRASH_NEVER, .asked = asked};
    pthread_mutex_unlock(&history->lock);
    return number;
}

void crash_history_trimmed(struct crash_history *history, size_t number, uint64_t first)
{
    pthread_mutex_lock(&history->lock);
    history->trims[number].end = crash_trace_now(history->trace);
    history->trims[number].first = first;
    pthread_mutex_unlock(&history->lock);
}

void crash_history_base(struct crash_history *history, uint64_t number, size_t bytes, uint64_t lsn)
{
    while (history->append_count <= number) {
        (void)add_append(history, &(struct crash_append){.begin = CRASH_NEVER});
    }
    history->appends[number] = (struct crash_append){.bytes = bytes, .lsn = lsn};
    history->base_last = lsn;
}

void crash_history_kill(struct crash_history *history, uint64_t moment)
{
    size_t kept = 0;
    for (size_t i = 0; i < history->append_count; i++) {
        struct crash_append *append = &history->appends[i];
        if (append->begin >= moment && append->begin != CRASH_NEVER) {
            *append = (struct crash_append){.begin = CRASH_NEVER};
        }
    }
    for (size_t i = 0; i < history->ack_count; i++) {
        if (history->acks[i].at < moment) {
            history->acks[kept++] = history->acks[i];
        }
    }
    history->ack_count = kept;
    kept = 0;
    for (size_t i = 0; i < history->trim_count; i++) {
        struct crash_trim trim = history->trims[i];
        trim.end = trim.end < moment ? trim.end : CRASH_NEVER;
        if (trim.begin < moment) {
            history->trims[kept++] = trim;
        }
    }
    history->trim_count = kept;
}

void crash_history_seal(struct crash_history *history)
{
    uint64_t last = 0;
    for (size_t i = 0; i < history->append_count; i++) {
        last = history->appends[i].lsn > last ? history->appends[i].lsn : last;
    }
    free(history->newest);
    history->newest_count = (size_t)last + 1;
    history->newest = crash_need(history->newest_count * sizeof *history->newest);
    for (size_t i = 0; i < history->append_count; i++) {
        if (history->appends[i].lsn != 0 && history->appends[i].begin != CRASH_NEVER) {
            history->newest[history->appends[i].lsn] = i + 1;
        }
    }
}

uint64_t crash_history_acked(const struct crash_history *history, uint64_t moment)
{
    uint64_t acked = history->base_last;
    for (size_t i = 0; i < history->ack_count; i++) {
        if (history->acks[i].at < moment && history->acks[i].lsn > acked) {
            acked = history->acks[i].lsn;
        }
    }
    return acked;
}

void crash_history_first(const struct crash_history *history, uint64_t moment, uint64_t *ret_low,
                         uint64_t *ret_high)
{
    *ret_low = *ret_high = history->base_first;
    for (size_t i = 0; i < history->trim_count; i++) {
        const struct crash_trim *trim = &history->trims[i];
        if (trim->begin < moment && trim->asked > *ret_high) {
            *ret_high = trim->asked;
        }
        if (trim->end < moment && trim->first > *ret_low) {
            *ret_low = trim->first;
        }
    }
}

bool crash_history_allows(const struct crash_history *history, uint64_t moment, uint64_t lsn, uint64_t number,
                          size_t bytes, const char **ret_why)
{
    if (number >= history->append_count || history->appends[number].begin >= moment) {
        *ret_why = "was not appended by then";
        return false;
    }
    const struct crash_append *append = &history->appends[number];
    if (append->bytes != bytes) {
        *ret_why = "has another length";
        return false;
    }
    if (append->lsn != 0 && append->lsn != lsn) {
        *ret_why = "was appended under another LSN";
        return false;
    }
    uint64_t newest = lsn < history->newest_count ? history->newest[lsn] : 0;
    if (newest != 0 && newest - 1 != number && lsn <= crash_history_acked(history, moment)) {
        const struct crash_append *other = &history->appends[newest - 1];
        if (other->begin < moment) {
            *ret_why = "stands where another record was acknowledged";
            return false;
        }
    }
    return true;
}
