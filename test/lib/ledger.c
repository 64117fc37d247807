/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rng.h"

#define LEDGER_DIE(...)                          \
    do {                                         \
        fprintf(stderr, "ledger: " __VA_ARGS__); \
        fprintf(stderr, "\n");                   \
        abort();                                 \
    } while (0)

void test_ledger_init(struct test_ledger *ledger, uint64_t seed, size_t bytes_min, size_t bytes_max)
{
    memset(ledger, 0, sizeof *ledger);
    pthread_mutex_init(&ledger->lock, NULL);
    ledger->seed = seed;
    ledger->bytes_min = bytes_min;
    ledger->bytes_max = bytes_max;
}

void test_ledger_free(struct test_ledger *ledger)
{
    free(ledger->acked);
    pthread_mutex_destroy(&ledger->lock);
}

void test_ledger_copy(struct test_ledger *ledger, struct test_ledger *ret_copy)
{
    test_ledger_init(ret_copy, ledger->seed, ledger->bytes_min, ledger->bytes_max);
    pthread_mutex_lock(&ledger->lock);
    ret_copy->offered = ledger->offered;
    ret_copy->acked_room = ledger->acked_room;
    ret_copy->acked_lsn = ledger->acked_lsn;
    ret_copy->acked_count = ledger->acked_count;
    ret_copy->acked = calloc(ledger->acked_room + 1, sizeof *ledger->acked);
    if (ret_copy->acked == NULL) {
        LEDGER_DIE("no memory");
    }
    if (ledger->acked_room > 0) {
        memcpy(ret_copy->acked, ledger->acked, ledger->acked_room * sizeof *ledger->acked);
    }
    pthread_mutex_unlock(&ledger->lock);
}

static size_t ledger_size(const struct test_ledger *ledger, uint64_t id)
{
    return ledger->bytes_min + test_rng_mix(ledger->seed ^ id) % (ledger->bytes_max - ledger->bytes_min + 1);
}

/* Every word tells whose it is and where it stands. Cheap, for records may be large. */
static void ledger_payload(const struct test_ledger *ledger, uint64_t id, unsigned char *buf, size_t bytes)
{
    const uint64_t key = test_rng_mix(ledger->seed ^ test_rng_mix(id));
    memcpy(buf, &id, sizeof id);
    for (size_t at = sizeof id; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = (key ^ at) * UINT64_C(0x9e3779b97f4a7c15);
        if (ledger->shrinks && at % 64 != 0) {
            word = UINT64_C(0x616d652079617320); /* " say ema" */
        }
        memcpy(buf + at, &word, bytes - at < sizeof word ? bytes - at : sizeof word);
    }
}

uint64_t test_ledger_offer(struct test_ledger *ledger, void *buf, size_t *ret_bytes)
{
    pthread_mutex_lock(&ledger->lock);
    uint64_t id = ledger->offered++;
    pthread_mutex_unlock(&ledger->lock);
    *ret_bytes = ledger_size(ledger, id);
    ledger_payload(ledger, id, buf, *ret_bytes);
    return id;
}

void test_ledger_ack(struct test_ledger *ledger, uint64_t lsn, uint64_t id)
{
    pthread_mutex_lock(&ledger->lock);
    if (lsn >= ledger->acked_room) {
        uint64_t room = lsn * 2 + 1024;
        ledger->acked = realloc(ledger->acked, room * sizeof *ledger->acked);
        if (ledger->acked == NULL) {
            LEDGER_DIE("no memory");
        }
        memset(ledger->acked + ledger->acked_room, 0, (room - ledger->acked_room) * sizeof *ledger->acked);
        ledger->acked_room = room;
    }
    if (ledger->acked[lsn] != 0) {
        LEDGER_DIE("LSN %" PRIu64 " was given to records %" PRIu64 " and %" PRIu64, lsn,
                   ledger->acked[lsn] - 1, id);
    }
    ledger->acked[lsn] = id + 1;
    ledger->acked_count++;
    ledger->acked_lsn = lsn > ledger->acked_lsn ? lsn : ledger->acked_lsn;
    pthread_mutex_unlock(&ledger->lock);
}

int test_ledger_append(struct test_ledger *ledger, struct varve_log *log, enum varve_durability durability,
                       uint64_t *ret_lsn)
{
    unsigned char *buf = malloc(ledger->bytes_max);
    size_t bytes;
    uint64_t lsn;
    if (buf == NULL) {
        LEDGER_DIE("no memory");
    }
    uint64_t id = test_ledger_offer(ledger, buf, &bytes);
    const struct varve_record record = {.data = buf, .data_bytes = bytes, .type = (uint8_t)id};
    int rc = varve_append_record(log, &record, durability, &lsn);
    /* Whatever reads it from here on reads something else. */
    memset(buf, 0xee, ledger->bytes_max);
    free(buf);
    if (rc == 0) {
        test_ledger_ack(ledger, lsn, id);
        if (ret_lsn != NULL) {
            *ret_lsn = lsn;
        }
    }
    return rc;
}

int test_ledger_fill(struct test_ledger *ledger, struct varve_log *log, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int rc = test_ledger_append(ledger, log, VARVE_DURABILITY_DEFAULT, NULL);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static void ledger_check_bytes(const struct test_ledger *ledger, const struct varve_entry *entry, uint64_t id)
{
    unsigned char *expected = malloc(ledger->bytes_max);
    if (expected == NULL) {
        LEDGER_DIE("no memory");
    }
    ledger_payload(ledger, id, expected, entry->data_bytes);
    if (memcmp(expected, entry->data, entry->data_bytes) != 0) {
        LEDGER_DIE("LSN %" PRIu64 ": the bytes of record %" PRIu64 " have changed", entry->lsn, id);
    }
    free(expected);
}

uint64_t test_ledger_see(struct test_ledger *ledger, const struct varve_entry *entry)
{
    uint64_t id;
    if (entry->data_bytes < sizeof id) {
        LEDGER_DIE("LSN %" PRIu64 " has %zu bytes: it was never appended", entry->lsn, entry->data_bytes);
    }
    memcpy(&id, entry->data, sizeof id);
    if (id >= ledger->offered || entry->data_bytes != ledger_size(ledger, id) || entry->type != (uint8_t)id) {
        LEDGER_DIE("LSN %" PRIu64 " is no record that was appended", entry->lsn);
    }
    ledger_check_bytes(ledger, entry, id);
    if (entry->lsn < ledger->acked_room && ledger->acked[entry->lsn] != 0 &&
        ledger->acked[entry->lsn] != id + 1) {
        LEDGER_DIE("LSN %" PRIu64 " holds record %" PRIu64 "; %" PRIu64 " was acknowledged", entry->lsn, id,
                   ledger->acked[entry->lsn] - 1);
    }
    return id;
}

uint64_t test_ledger_check(struct test_ledger *ledger, struct varve_log *log)
{
    unsigned char *seen = calloc(ledger->offered + 1, 1);
    uint64_t first = varve_first_lsn(log), next = first;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct varve_error error = {.message = "?"};
    int rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error);
    if (rc != 0 || seen == NULL) {
        LEDGER_DIE("no cursor: %s", error.message);
    }
    while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
        uint64_t id = test_ledger_see(ledger, &entry);
        if (entry.lsn != next) {
            LEDGER_DIE("LSN %" PRIu64 " comes where %" PRIu64 " should", entry.lsn, next);
        }
        if (seen[id]++) {
            LEDGER_DIE("LSN %" PRIu64 ": record %" PRIu64 " is there twice", entry.lsn, id);
        }
        next++;
    }
    if (rc != VARVE_END) {
        varve_cursor_error(cursor, &error);
        LEDGER_DIE("reading stopped after LSN %" PRIu64 ": %s: %s", next - 1, varve_error_name(rc),
                   error.message);
    }
    varve_cursor_close(cursor);
    free(seen);
    if (ledger->acked_lsn >= next) {
        LEDGER_DIE("the log ends with LSN %" PRIu64 " and %" PRIu64 " was acknowledged", next - 1,
                   ledger->acked_lsn);
    }
    return next - 1;
}

uint64_t test_ledger_reopen(struct test_ledger *ledger, const char *path, const struct varve_options *options)
{
    struct varve_error error = {.message = "?"};
    struct varve_log *log;
    int rc = varve_open(path, options, &log, &error);
    if (rc != 0) {
        LEDGER_DIE("the log does not open: %s: %s", varve_error_name(rc), error.message);
    }
    uint64_t last = test_ledger_check(ledger, log);
    rc = varve_close(log, &error);
    if (rc != 0) {
        LEDGER_DIE("the log does not close: %s: %s", varve_error_name(rc), error.message);
    }
    return last;
}
