/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds the log against the board. Reads every record through a cursor and knows nothing of how Varve stores
 * it: what it finds wrong would be just as wrong for whoever relies on the log.
 */
#include "demo.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counts what is wrong, and keeps the first in words. */
__attribute__((format(printf, 3, 4))) static void wrong(struct findings *findings, uint64_t *count,
                                                        const char *format, ...)
{
    *count += 1;
    if (findings->first[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(findings->first, sizeof findings->first, format, args);
    va_end(args);
}

/* Reads "<thread> <number> " at the head of a record; returns how many bytes that is, 0 = it is not there. */
static size_t parse_head(const struct varve_entry *entry, unsigned *ret_thread, uint32_t *ret_number)
{
    uint64_t numbers[2];
    const char *text = entry->data;
    size_t at = 0;
    for (int i = 0; i < 2; i++) {
        size_t digits = 0;
        numbers[i] = 0;
        for (; at < entry->data_bytes && text[at] >= '0' && text[at] <= '9' && digits < 10; at++, digits++)
            numbers[i] = numbers[i] * 10 + (uint64_t)(text[at] - '0');
        if (digits == 0 || at == entry->data_bytes || text[at] != ' ' || numbers[i] > UINT32_MAX)
            return 0;
        at++;
    }
    *ret_thread = (unsigned)numbers[0];
    *ret_number = (uint32_t)numbers[1];
    return at;
}

static int same_bytes(const struct demo *demo, const struct varve_entry *entry, size_t head, uint32_t number)
{
    size_t bytes;
    const char *line = board_line(demo, number, &bytes);
    return entry->data_bytes - head == bytes && memcmp((const char *)entry->data + head, line, bytes) == 0;
}

static void check_entry(const struct demo *demo, const struct varve_entry *entry, uint8_t *seen,
                        struct findings *findings)
{
    unsigned thread;
    uint32_t number;
    unsigned long long lsn = entry->lsn;
    size_t head = parse_head(entry, &thread, &number);
    if (head == 0 || number >= demo->lines || thread != number % demo->threads) {
        wrong(findings, &findings->foreign, "LSN %llu holds something that nobody logged", lsn);
        return;
    }
    uint64_t acknowledged = atomic_load(&demo->lsns[number]);
    if (!same_bytes(demo, entry, head, number))
        wrong(findings, &findings->changed, "line %u, LSN %llu, is not what was logged", number, lsn);
    if (seen[number]) {
        wrong(findings, &findings->duplicated, "line %u is there again at LSN %llu", number, lsn);
        return;
    }
    seen[number] = 1;
    if (number / demo->threads < findings->next[thread])
        wrong(findings, &findings->disordered, "line %u, LSN %llu, stands behind a later line of thread %u",
              number, lsn, thread);
    else
        findings->next[thread] = number / demo->threads + 1;
    if (acknowledged == 0 && !demo->in_hand[number])
        wrong(findings, &findings->foreign, "line %u, LSN %llu, was not logged yet", number, lsn);
    else if (acknowledged == 0)
        findings->unacknowledged++;
    else if (acknowledged != lsn)
        wrong(findings, &findings->renumbered, "line %u is at LSN %llu and was acknowledged at LSN %llu",
              number, lsn, (unsigned long long)acknowledged);
}

static void check_board(const struct demo *demo, const uint8_t *seen, struct findings *findings)
{
    for (uint32_t number = 0; number < demo->lines; number++) {
        uint64_t acknowledged = atomic_load(&demo->lsns[number]);
        if (acknowledged != 0 && !seen[number])
            wrong(
                findings, &findings->lost,
                "line %u of the input, logged by thread %u and acknowledged with LSN %llu, is not in the log",
                number, number % demo->threads, (unsigned long long)acknowledged);
    }
}

static int read_entries(const struct demo *demo, struct varve_cursor *cursor, uint8_t *seen,
                        struct findings *findings, struct varve_error *ret_error)
{
    struct varve_entry entry;
    int code;
    while ((code = varve_cursor_next(cursor, &entry)) == VARVE_OK) {
        findings->records++;
        if (entry.lsn != findings->records)
            wrong(findings, &findings->renumbered, "LSN %llu comes where %llu should",
                  (unsigned long long)entry.lsn, (unsigned long long)findings->records);
        check_entry(demo, &entry, seen, findings);
    }
    if (code == VARVE_END)
        return VARVE_OK;
    varve_cursor_error(cursor, ret_error);
    return code;
}

int verify_log(const struct demo *demo, struct varve_log *log, struct findings *ret_findings,
               struct varve_error *ret_error)
{
    struct varve_cursor *cursor = NULL;
    uint8_t *seen = calloc(demo->lines, 1);
    memset(ret_findings, 0, sizeof *ret_findings);
    if (seen == NULL) {
        snprintf(ret_error->message, sizeof ret_error->message, "no memory to verify with");
        return VARVE_E_NOMEM;
    }
    int code = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, ret_error);
    if (code == VARVE_OK)
        code = read_entries(demo, cursor, seen, ret_findings, ret_error);
    if (code == VARVE_OK)
        check_board(demo, seen, ret_findings);
    varve_cursor_close(cursor);
    free(seen);
    return code;
}
