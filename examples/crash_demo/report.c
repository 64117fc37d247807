/* SPDX-License-Identifier: Apache-2.0 */
/* What people see: a line of progress on a terminal, and the table. */
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>

/* 1234567 as "1,234,567". */
static const char *number(uint64_t value, char ret_text[32])
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t to = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            ret_text[to++] = ',';
        ret_text[to++] = digits[i];
    }
    ret_text[to] = '\0';
    return ret_text;
}

void report_progress(const struct demo *demo, unsigned kills)
{
    char text[32];
    if (!demo->progress)
        return;
    uint64_t acknowledged = atomic_load(&demo->board->acknowledged);
    fprintf(stderr, "\r\033[K%s lines acknowledged (%u %%), the writer was killed %u times",
            number(acknowledged, text), (unsigned)(acknowledged * 100 / demo->lines), kills);
}

static int compare_waits(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The waits of all acknowledged lines, sorted; to be freed. *ret_count: how many. */
static uint32_t *sorted_waits(const struct demo *demo, size_t *ret_count)
{
    uint32_t *waits = malloc(demo->lines * sizeof *waits);
    size_t count = 0;
    for (uint32_t i = 0; i < demo->lines && waits != NULL; i++) {
        if (atomic_load(&demo->lsns[i]) != 0)
            waits[count++] = atomic_load(&demo->waits_ns[i]);
    }
    if (waits != NULL)
        qsort(waits, count, sizeof *waits, compare_waits);
    *ret_count = count;
    return waits;
}

static void print_latency(const struct demo *demo)
{
    size_t count = 0;
    uint32_t *waits = sorted_waits(demo, &count);
    if (count > 0)
        printf("  latency           p50 %.0f us, p99 %.0f us\n", waits[count / 2] / 1e3,
               waits[count - 1 - count / 100] / 1e3);
    free(waits);
}

static void row(const char *title, uint64_t value, const char *remark)
{
    char text[32];
    printf("  %-14s %10s%s%s\n", title, number(value, text), remark[0] != '\0' ? "   " : "", remark);
}

void report_print(const struct demo *demo, const struct course *course, const struct findings *findings,
                  double total_s)
{
    char remark[128];
    uint64_t acknowledged = atomic_load(&demo->board->acknowledged);
    snprintf(remark, sizeof remark, "lines of %s, by %u threads", demo->input_path, demo->threads);
    row("records", findings->records, remark);
    snprintf(remark, sizeof remark, "SIGKILL, %u of them while the log was being opened; --seed %llu",
             course->kills_opening, (unsigned long long)demo->seed);
    row("kills", course->kills, remark);
    row("acknowledged", acknowledged, "appends that had returned");
    row("recovered", acknowledged - findings->lost,
        findings->first[0] == '\0' ? "of these: once, intact, in order, under their LSNs" : "of these");
    row("in hand", findings->unacknowledged, "found though the kill came before the append returned");
    row("lost", findings->lost, findings->lost == 0 ? "" : "acknowledged, and not in the log");
    if (findings->duplicated + findings->changed + findings->disordered + findings->renumbered +
        findings->foreign)
        printf(
            "  duplicated %llu, changed %llu, out of order %llu, under another LSN %llu, never logged %llu\n",
            (unsigned long long)findings->duplicated, (unsigned long long)findings->changed,
            (unsigned long long)findings->disordered, (unsigned long long)findings->renumbered,
            (unsigned long long)findings->foreign);
    row("commits/s", course->logging_s > 0 ? (uint64_t)((double)acknowledged / course->logging_s) : 0,
        "while the writer was alive and logging");
    print_latency(demo);
    printf("  %-14s %8.1f s\n", "time", total_s);
}
