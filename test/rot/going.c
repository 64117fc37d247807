/* SPDX-License-Identifier: Apache-2.0 */
/* A changed log goes on: opened for writing, appended to, ended, opened again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rot/check.h"

enum {
    MORE = 3 /* records, in two frames */
};

static size_t fill_more(const struct rot_check *k, uint64_t lsn, char *buf, size_t room)
{
    return (size_t)snprintf(buf, room, "LSN %" PRIu64 " after case %" PRIu64, lsn, k->c->number);
}

static bool append_more(struct rot_check *k, struct varve_log *log, uint64_t last)
{
    char text[MORE][64];
    struct varve_record records[MORE];
    uint64_t lsn = 0, next = 0;
    memset(records, 0, sizeof records);
    for (unsigned i = 0; i < MORE; i++) {
        records[i].data = text[i];
        records[i].data_bytes = fill_more(k, last + 1 + i, text[i], sizeof text[i]);
    }
    int rc = varve_append_batch(log, records, 2, VARVE_DURABILITY_DEFAULT, 1, &lsn);
    if (rc == 0) {
        rc = varve_append_record(log, &records[2], VARVE_DURABILITY_DEFAULT, &next);
    }
    if (rc != 0 || lsn != last + 1 || next != last + 3) {
        return rot_broken(k, "going on", "append: %s, LSN %" PRIu64 " and %" PRIu64 " after %" PRIu64,
                          varve_error_name(rc), lsn, next, last);
    }
    return true;
}

/* The records are those that were given before, and the new ones. */
static bool read_again(struct rot_check *k, struct varve_log *log, enum varve_policy policy, uint64_t last,
                       const char *when)
{
    const bool *before = k->seen[policy].given;
    bool given[ROT_RECORDS] = {false};
    struct varve_cursor *cursor;
    struct varve_entry entry;
    char text[64];
    bool good = true;
    int rc = varve_cursor_open(log, policy, &cursor, NULL);
    if (rc != 0) {
        return rot_broken(k, "going on", "%s: a cursor: %s", when, varve_error_name(rc));
    }
    while (good && (rc = varve_cursor_next(cursor, &entry)) == 0) {
        if (entry.lsn <= last) {
            good = entry.lsn < ROT_RECORDS && before[entry.lsn] &&
                   rot_record_is(rot_record_at(k->c->log, entry.lsn), &entry);
            given[entry.lsn % ROT_RECORDS] = true;
        } else {
            size_t bytes = fill_more(k, entry.lsn, text, sizeof text);
            good =
                entry.lsn <= last + MORE && entry.data_bytes == bytes && memcmp(entry.data, text, bytes) == 0;
            given[entry.lsn % ROT_RECORDS] = true;
        }
    }
    varve_cursor_close(cursor);
    if (!good) {
        return rot_broken(k, "going on", "%s: LSN %" PRIu64 " is another one", when, entry.lsn);
    }
    for (uint64_t lsn = 1; lsn <= last + MORE; lsn++) {
        if (given[lsn] != (lsn > last || before[lsn])) {
            return rot_broken(k, "going on", "%s: LSN %" PRIu64 " is %s: %s", when, lsn,
                              given[lsn] ? "back" : "gone", varve_error_name(rc));
        }
    }
    return rc == VARVE_END || rot_broken(k, "going on", "%s: %s", when, varve_error_name(rc));
}

static bool same_file(const struct crash_fs *a, uint32_t in_a, const struct crash_fs *b, uint32_t in_b)
{
    unsigned char x[CRASH_PAGE], y[CRASH_PAGE];
    if (a->nodes[in_a].size != b->nodes[in_b].size) {
        return false;
    }
    for (uint64_t at = 0; at < a->nodes[in_a].size; at += CRASH_PAGE) {
        crash_fs_read(a, in_a, x, sizeof x, at);
        crash_fs_read(b, in_b, y, sizeof y, at);
        if (memcmp(x, y, sizeof x) != 0) {
            return false;
        }
    }
    return true;
}

/* Refusing changes no byte, but for the name of the process in LOCK. */
static bool is_untouched(const struct rot_check *k, struct crash_disk *disk)
{
    const struct crash_fs *was = &k->c->fs;
    const struct crash_node *names = &was->nodes[k->c->log->dir];
    struct crash_fs now;
    crash_disk_copy(disk, &now);
    bool same = now.nodes[k->c->log->dir].name_count == names->name_count;
    for (size_t i = 0; same && i < names->name_count; i++) {
        uint32_t node = crash_fs_find(&now, k->c->log->dir, names->names[i].name);
        same = strcmp(names->names[i].name, "LOCK") == 0 ||
               (node != CRASH_NONE && same_file(was, names->names[i].node, &now, node));
    }
    crash_fs_free(&now);
    return same;
}

/* Ends the life: in order, or not. */
static bool end_life(struct rot_check *k, struct crash_disk *disk, struct varve_log *log)
{
    struct crash_fs fs;
    struct varve_error error = {0};
    bool kill = k->c->number % 2;
    if (kill) {
        crash_disk_copy(disk, &fs);
    }
    int rc = varve_close(log, &error);
    if (kill) {
        crash_disk_close(disk);
        crash_disk_init(disk, &fs, k->c->number);
    }
    return rc == 0 || rot_broken(k, "going on", "closing: %s", error.message);
}

static bool go_on(struct rot_check *k, struct crash_disk *disk, enum varve_policy policy)
{
    struct varve_options options = k->options;
    struct varve_error error = {0};
    struct varve_log *log;
    options.io = &disk->io;
    options.policy = policy;
    options.segment_bytes = k->c->log->segments[0].file_bytes;
    int rc = varve_open("log", &options, &log, &error);
    if (rc != k->open_rc[policy]) {
        if (rc == 0) {
            (void)varve_close(log, NULL);
        }
        return rot_broken(k, "going on", "policy %d: in memory %s, for writing %s: %s", (int)policy,
                          varve_error_name(k->open_rc[policy]), varve_error_name(rc), error.message);
    }
    if (rc != 0) {
        return is_untouched(k, disk) ||
               rot_broken(k, "changed while refusing", "policy %d: %s", (int)policy, error.message);
    }
    uint64_t last = varve_last_lsn(log);
    bool good = last == k->open_last[policy] && last + MORE < ROT_RECORDS;
    if (!good) {
        rot_broken(k, "going on", "it goes on behind LSN %" PRIu64, last);
    }
    good = good && append_more(k, log, last) && read_again(k, log, policy, last, "in the same life");
    if (!good) {
        (void)varve_close(log, NULL);
        return false;
    }
    if (!end_life(k, disk, log)) {
        return false;
    }
    options.policy = VARVE_POLICY_TRUNCATE;
    rc = varve_open("log", &options, &log, &error);
    if (rc != 0) {
        return rot_broken(k, "going on", "policy %d, and opened again: %s", (int)policy, error.message);
    }
    good = read_again(k, log, policy, last, "opened again");
    (void)varve_close(log, NULL);
    return good;
}

bool rot_check_going_on(struct rot_check *k)
{
    static const enum varve_policy policies[] = {VARVE_POLICY_TRUNCATE, VARVE_POLICY_SKIP};
    bool good = true;
    for (unsigned i = 0; good && i < 2 && k->c->unreadable_count == 0 && k->reader_rc == 0; i++) {
        struct crash_disk disk;
        struct crash_fs copy;
        crash_fs_copy(&k->c->fs, &copy);
        crash_disk_init(&disk, &copy, k->c->number);
        good = go_on(k, &disk, policies[i]);
        crash_disk_close(&disk);
    }
    return good;
}
