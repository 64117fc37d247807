/* SPDX-License-Identifier: Apache-2.0 */
#include "store/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rng.h"

void model_init(struct model *model, struct crash_trace *trace)
{
    *model = (struct model){.trace = trace};
    pthread_mutex_init(&model->lock, NULL);
}

void model_close(struct model *model)
{
    free(model->calls);
    free(model->acks);
    pthread_mutex_destroy(&model->lock);
}

void model_note(struct model *model, const struct model_call *calls, size_t count)
{
    pthread_mutex_lock(&model->lock);
    for (size_t i = 0; i < count; i++) {
        model->calls = crash_grow(model->calls, &model->room, model->count + 1, sizeof *model->calls);
        model->calls[model->count++] = calls[i];
    }
    pthread_mutex_unlock(&model->lock);
}

void model_ack(struct model *model, uint64_t lsn)
{
    pthread_mutex_lock(&model->lock);
    model->acks = crash_grow(model->acks, &model->ack_room, model->ack_count + 1, sizeof *model->acks);
    model->acks[model->ack_count].at = crash_trace_now(model->trace);
    model->acks[model->ack_count++].lsn = lsn;
    pthread_mutex_unlock(&model->lock);
}

size_t model_key(unsigned key, char name[16])
{
    return (size_t)snprintf(name, 16, "key %u", key);
}

void model_value(uint64_t number, void *value, size_t bytes)
{
    memset(value, (int)(test_rng_mix(number) | 0x80), bytes);
}

static int by_lsn(const void *a, const void *b)
{
    const struct model_call *x = a, *y = b;
    return (x->lsn > y->lsn) - (x->lsn < y->lsn);
}

void model_seal(struct model *model)
{
    if (model->count > 0) {
        qsort(model->calls, model->count, sizeof *model->calls, by_lsn);
    }
}

/* A key as it should be. */
struct expected {
    bool there, is_lock, is_stream, met;
    uint64_t version;
    unsigned char *value;
    size_t bytes;
    struct model_call *events; /* of a stream, from position 1 on */
    size_t next, room;         /* how many, and for how many there is room */
    size_t first;              /* so many of them were trimmed */
};

static void set_value(struct expected *e, const void *value, size_t bytes)
{
    unsigned char *copy = crash_need(bytes + 1);
    if (bytes > 0) {
        memcpy(copy, value, bytes);
    }
    free(e->value);
    e->value = copy;
    e->bytes = bytes;
    e->there = true;
}

static void append_value(struct expected *e, const struct model_call *call)
{
    size_t before = e->there ? e->bytes : 0;
    unsigned char *both = crash_need(before + call->bytes + 1);
    if (before > 0) {
        memcpy(both, e->value, before);
    }
    model_value(call->number, both + before, call->bytes);
    free(e->value);
    e->value = both;
    e->bytes = before + call->bytes;
    e->there = true;
    e->is_lock = false;
}

static void add_event(struct expected *e, const struct model_call *call)
{
    if (!e->there) {
        e->first = e->next = 0;
    }
    e->events = crash_grow(e->events, &e->room, e->next + 1, sizeof *e->events);
    e->events[e->next++] = *call;
    e->bytes = 0;
    e->there = e->is_stream = true;
}

static void apply(struct expected *e, const struct model_call *call)
{
    char text[32];
    unsigned char *value;
    int64_t sum = 0;
    e->version = call->lsn;
    switch (call->kind) {
    case MODEL_DELETE:
        e->there = e->is_lock = e->is_stream = false;
        return;
    case MODEL_EVENT:
        add_event(e, call);
        return;
    case MODEL_TRIM:
        e->first = call->number - 1 > e->first ? call->number - 1 : e->first;
        return;
    case MODEL_APPEND:
        append_value(e, call);
        return;
    case MODEL_ADD:
        if (e->there) {
            memcpy(text, e->value, e->bytes);
            text[e->bytes] = '\0';
            sum = strtoll(text, NULL, 10);
        }
        set_value(e, text, (size_t)snprintf(text, sizeof text, "%" PRId64, sum + (int64_t)call->number));
        e->is_lock = false;
        return;
    case MODEL_SET:
    case MODEL_LOCK:
        value = crash_need(call->bytes + 1);
        model_value(call->number, value, call->bytes);
        set_value(e, value, call->bytes);
        free(value);
        e->is_lock = call->kind == MODEL_LOCK;
        return;
    }
}

struct judge {
    struct varve_kv *kv;
    const struct expected *stream; /* that is looked at, from here on */
    size_t position;
    struct expected keys[MODEL_KEYS];
    char *why;
    size_t room;
};

static int judge_event(void *arg, const struct varve_kv_event *event)
{
    struct judge *j = arg;
    const struct model_call *call = &j->stream->events[j->position];
    unsigned char *value;
    bool good;
    j->position++;
    if (j->position > j->stream->next || event->position != j->position || event->lsn != call->lsn ||
        event->bytes != call->bytes) {
        return 1;
    }
    value = crash_need(call->bytes + 1);
    model_value(call->number, value, call->bytes);
    good = call->bytes == 0 || memcmp(value, event->data, call->bytes) == 0;
    free(value);
    return good ? 0 : 1;
}

/* Its events, one by one. */
static int judge_stream(struct judge *j, const struct expected *e, const struct varve_kv_entry *entry)
{
    int rc;
    j->stream = e;
    j->position = e->first;
    rc = entry->first != e->first + 1 || entry->next != e->next + 1;
    if (rc == 0) {
        rc = varve_kv_stream_range(j->kv, entry->key, entry->key_bytes, 0, VARVE_KV_STREAM_END, 0,
                                   judge_event, j, NULL);
    }
    if (rc != 0 || j->position != e->next) {
        (void)snprintf(j->why, j->room,
                       "%.*s: events %" PRIu64 " to %" PRIu64 ", wrong at %zu; should be %zu to %zu",
                       (int)entry->key_bytes, (const char *)entry->key, entry->first, entry->next - 1,
                       j->position, e->first + 1, e->next);
        return 1;
    }
    return 0;
}

static int judge_entry(void *arg, const struct varve_kv_entry *entry)
{
    struct judge *j = arg;
    char name[32] = {0};
    unsigned key;
    struct expected *e;
    if (entry->key_bytes > 15 ||
        (memcpy(name, entry->key, entry->key_bytes), sscanf(name, "key %u", &key)) != 1 ||
        key >= MODEL_KEYS) {
        (void)snprintf(j->why, j->room, "a key that nobody wrote");
        return 1;
    }
    e = &j->keys[key];
    if (!e->there || e->met || e->is_lock != (entry->is_lock != 0) ||
        e->is_stream != (entry->is_stream != 0) || e->version != entry->version ||
        e->bytes != entry->value_bytes || (e->bytes > 0 && memcmp(e->value, entry->value, e->bytes) != 0)) {
        (void)snprintf(j->why, j->room,
                       "key %u: version %" PRIu64 ", %zu bytes; should be %s, version %" PRIu64 ", %zu bytes",
                       key, entry->version, entry->value_bytes, e->there ? "there" : "absent", e->version,
                       e->bytes);
        return 1;
    }
    e->met = true;
    return e->is_stream ? judge_stream(j, e, entry) : 0;
}

static bool judge_all(struct judge *j, struct varve_kv *kv)
{
    int rc = 0;
    for (uint64_t cursor = 0; rc == 0 && cursor != VARVE_KV_SCAN_END;) {
        rc = varve_kv_scan(kv, &cursor, 10, judge_entry, j);
    }
    if (rc < 0) {
        (void)snprintf(j->why, j->room, "scanning fails with %s", varve_error_name(rc));
    }
    for (unsigned i = 0; rc == 0 && i < MODEL_KEYS; i++) {
        if (j->keys[i].there && !j->keys[i].met) {
            (void)snprintf(j->why, j->room, "key %u, version %" PRIu64 ", is not there", i,
                           j->keys[i].version);
            rc = 1;
        }
    }
    return rc == 0;
}

static bool is_left_out(const struct model *model, size_t i, size_t end, enum model_tooth tooth)
{
    const struct model_call *c = &model->calls[i];
    if (tooth == MODEL_TOOTH_LOSES) {
        return i + 1 == end;
    }
    return tooth == MODEL_TOOTH_HALVES && i > 0 && c[-1].lsn == c->lsn &&
           (i + 1 == end || c[1].lsn != c->lsn);
}

bool model_judge(struct model *model, struct varve_kv *kv, uint64_t last_lsn, uint64_t moment,
                 enum model_tooth tooth, char *ret_why, size_t room)
{
    struct judge j = {.kv = kv, .why = ret_why, .room = room};
    size_t end = 0;
    bool good;
    for (size_t i = 0; i < model->ack_count; i++) {
        uint64_t lsn = model->acks[i].lsn + (tooth == MODEL_TOOTH_ACKS ? 3 : 0);
        if (model->acks[i].at < moment && lsn > last_lsn) {
            (void)snprintf(ret_why, room, "LSN %" PRIu64 " was acknowledged, and the log ends at %" PRIu64,
                           lsn, last_lsn);
            return false;
        }
    }
    while (end < model->count && model->calls[end].lsn <= last_lsn) {
        end++;
    }
    for (size_t i = 0; i < end; i++) {
        struct expected *e = &j.keys[model->calls[i].key];
        if (!is_left_out(model, i, end, tooth)) {
            apply(e, &model->calls[i]);
        }
        if (tooth == MODEL_TOOTH_TWICE &&
            (model->calls[i].kind == MODEL_APPEND || model->calls[i].kind == MODEL_EVENT)) {
            apply(e, &model->calls[i]);
        }
    }
    good = judge_all(&j, kv);
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        free(j.keys[i].value);
        free(j.keys[i].events);
    }
    return good;
}
