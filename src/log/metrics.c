/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: numbers -> text for Prometheus.
 *
 * Each number is read by itself: together they are of about the same moment, and a histogram's count is the
 * sum of the buckets that were read, so that the text never contradicts itself.
 */
#include "varve/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <locale.h>
#include <string.h>

#include "base/alloc.h"
#include "log/failover.h"
#include "log/metrics.h"
#include "log/plain_write.h"
#include "log/stages.h"
#include "varve/health.h"

struct vv_metrics *vv_metrics_new(void)
{
    struct vv_metrics *metrics = vv_alloc_aligned(64, sizeof *metrics);

    if (metrics)
        memset(metrics, 0, sizeof *metrics);
    return metrics;
}

void vv_metrics_error(struct varve_log *log, int code)
{
#ifdef VARVE_NO_METRICS
    (void)log;
    (void)code;
#else
    if (code < 0 && code > -(int)VV_METRICS_CODES && log->metrics)
        atomic_fetch_add_explicit(&log->metrics->errors[-code], 1, memory_order_relaxed);
#endif
}

#ifdef VARVE_NO_METRICS

int varve_metrics_text(struct varve_log *log, const char *labels, char *text, size_t room, size_t *ret_bytes)
{
    (void)log;
    (void)labels;
    (void)text;
    (void)room;
    (void)ret_bytes;
    return VARVE_E_UNSUPPORTED;
}

void varve_metrics_transaction(struct varve_log *log, uint64_t duration_us)
{
    (void)log;
    (void)duration_us;
}

#else

static struct vv_metrics_shard *shard_of(struct varve_log *log, const struct vv_slot *slot)
{
    return &log->metrics->shards[atomic_load_explicit(&slot->seq, memory_order_relaxed) % VV_METRICS_SHARDS];
}

void vv_metrics_flush(struct varve_log *log, const struct vv_slot *slot, uint64_t took_us)
{
    vv_histogram_add(&shard_of(log, slot)->flush_us, &vv_bounds_us, took_us);
}

void vv_metrics_frame(struct varve_log *log, struct vv_slot *slot, uint64_t now_us)
{
    struct vv_metrics_shard *shard = shard_of(log, slot);
    uint64_t time_us = atomic_load(&slot->time_us);

    if (slot->count == 0)
        return; /* a mark: nobody waits for it */
    /* Records carry the log's clock. */
    now_us += atomic_load_explicit(&log->clock_ahead_us, memory_order_relaxed);
    vv_histogram_add(&shard->records, &vv_bounds_count, slot->count);
    /* A time that was given does not say when its append began. */
    if (!log->timed)
        vv_histogram_add(&shard->commit_us, &vv_bounds_us, now_us > time_us ? now_us - time_us : 0);
}

void varve_metrics_transaction(struct varve_log *log, uint64_t duration_us)
{
    /* Neighbouring threads differ in the middle of their descriptors' addresses. */
    unsigned shard = (unsigned)((uintptr_t)pthread_self() >> 12) % VV_METRICS_SHARDS;

    if (log->metrics)
        vv_histogram_add(&log->metrics->shards[shard].transaction_us, &vv_bounds_us, duration_us);
}

struct page {
    struct vv_text text;
    const char *labels;
};

static void head(struct page *p, const char *name, const char *type, const char *help)
{
    vv_text_print(&p->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* `more`: another label, or "". */
static void sample(struct page *p, const char *name, const char *suffix, const char *more, double value)
{
    bool both = *p->labels && *more, any = *p->labels || *more;

    vv_text_print(&p->text, "%s%s%s%s%s%s%s %.17g\n", name, suffix, any ? "{" : "", p->labels,
                  both ? "," : "", more, any ? "}" : "", value);
}

struct number {
    const char *name, *type, *help;
    double value;
};

static void numbers(struct page *p, const struct number *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        head(p, list[i].name, list[i].type, list[i].help);
        sample(p, list[i].name, "", "", list[i].value);
    }
}

static struct vv_histogram *flush_of(struct vv_metrics_shard *shard)
{
    return &shard->flush_us;
}

static struct vv_histogram *commit_of(struct vv_metrics_shard *shard)
{
    return &shard->commit_us;
}

static struct vv_histogram *records_of(struct vv_metrics_shard *shard)
{
    return &shard->records;
}

static struct vv_histogram *transaction_of(struct vv_metrics_shard *shard)
{
    return &shard->transaction_us;
}

static void histogram(struct varve_log *log, struct page *p, const char *name, const char *help,
                      struct vv_histogram *(*part)(struct vv_metrics_shard *), const struct vv_bounds *bounds,
                      double unit)
{
    uint64_t count[VV_HISTOGRAM_BUCKETS + 1] = {0}, sum = 0, total = 0;
    char le[64];

    for (unsigned i = 0; i < VV_METRICS_SHARDS; i++)
        vv_histogram_read(part(&log->metrics->shards[i]), count, &sum);
    head(p, name, "histogram", help);
    for (unsigned i = 0; i < VV_HISTOGRAM_BUCKETS; i++) {
        struct vv_text text = {.buf = le, .room = sizeof le};

        total += count[i];
        vv_text_print(&text, "le=\"%.15g\"", (double)bounds->at[i] * unit);
        sample(p, name, "_bucket", le, (double)total);
    }
    total += count[VV_HISTOGRAM_BUCKETS];
    sample(p, name, "_bucket", "le=\"+Inf\"", (double)total);
    sample(p, name, "_sum", "", (double)sum * unit);
    sample(p, name, "_count", "", (double)total);
}

/* "VARVE_E_LOG_FULL" is told as type="log_full". */
static void errors(struct varve_log *log, struct page *p)
{
    static const char prefix[] = "VARVE_E_";

    head(p, "wal_errors_total", "counter", "Appends that failed, by error.");
    for (unsigned i = 0; varve_error_at(i) != 0; i++) {
        int code = varve_error_at(i);
        char label[64];
        struct vv_text text = {.buf = label, .room = sizeof label};

        if (code <= -(int)VV_METRICS_CODES)
            continue;
        vv_text_print(&text, "type=\"");
        for (const char *at = varve_error_name(code) + strlen(prefix); *at; at++)
            vv_text_print(&text, "%c", tolower((unsigned char)*at));
        vv_text_print(&text, "\"");
        sample(p, "wal_errors_total", "", label, (double)atomic_load(&log->metrics->errors[-code]));
    }
}

static void counters(struct page *p, const struct varve_stats *s, uint64_t first_lsn)
{
    const struct number list[] = {
        {"wal_appends_total", "counter", "Records that got an LSN.", (double)(s->reserved_lsn - first_lsn)},
        {"wal_flushes_total", "counter", "Durable writes and sync calls on segments.", (double)s->syncs},
        {"wal_writes_total", "counter", "Write calls on segments.", (double)s->writes},
        {"wal_bytes_written_total", "counter",
         "Bytes written to segments: frames after the codec, with headers and padding.",
         (double)s->written_bytes},
        {"wal_record_bytes_total", "counter",
         "Bytes of durable records with their headers, before the codec.", (double)s->payload_bytes},
        {"wal_frames_total", "counter", "Durable frames with records.", (double)s->frames},
        {"wal_marks_total", "counter", "Durable frames without records.", (double)s->marks},
        {"wal_records_total", "counter", "Records in durable frames.", (double)s->records},
        {"wal_retries_total", "counter", "Writes that were tried again.", (double)s->retries},
        {"wal_moves_total", "counter", "Times that frames moved to a fresh segment after a failed write.",
         (double)s->moves},
        {"wal_backpressure_total", "counter", "Appends that met a full ring.", (double)s->backpressure},
        {"wal_segments_opened_total", "counter", "Segments that were begun.", (double)s->segments_opened},
        {"wal_segments_trimmed_total", "counter", "Segments that were removed.", (double)s->segments_trimmed},
        {"wal_segments_recycled_total", "counter", "Spares that became segments again.",
         (double)s->spares_used},
    };

    numbers(p, list, sizeof list / sizeof *list);
}

/* In files that grow, room_bytes is what the disk has. */
static uint64_t segment_room(struct varve_log *log)
{
    uint64_t at;

    if (!log->plain || !log->plain->writer || vv_plain_fixed(log))
        return atomic_load(&log->room_bytes);
    at = atomic_load(&log->plain->writer->at);
    return log->options.segment_bytes > at ? log->options.segment_bytes - at : 0;
}

static void gauges(struct varve_log *log, struct page *p, const struct varve_stats *s)
{
    /* In this order: read the other way round, slots that are published in between would make it negative. */
    uint64_t published = vv_published(log), opened = atomic_load(&log->open_seq);
    uint64_t segments, used = s->durability == VARVE_MEMORY ? s->reserved_lsn : s->durable_lsn;

    pthread_mutex_lock(&log->segments_mutex);
    segments = log->fact_count;
    pthread_mutex_unlock(&log->segments_mutex);
    const struct number list[] = {
        {"wal_queue_depth", "gauge", "Frames that are open or on their way to disk.",
         (double)(opened + 1 - published)},
        {"wal_first_lsn", "gauge", "The first record there is.", (double)s->first_lsn},
        {"wal_last_lsn", "gauge", "The last LSN given out.", (double)s->reserved_lsn},
        {"wal_durable_lsn", "gauge", "Every record up to it survives a power failure.",
         (double)s->durable_lsn},
        {"wal_durable_lag_records", "gauge", "Records that have an LSN and are not durable.",
         (double)(s->reserved_lsn > used ? s->reserved_lsn - used : 0)},
        {"wal_segments", "gauge", "Segments of the log.", (double)segments},
        {"wal_segments_ready", "gauge", "Segments made ahead of need.",
         (double)atomic_load(&log->ready_count)},
        {"wal_segments_spare", "gauge", "Trimmed segments that wait for reuse.",
         (double)atomic_load(&log->spare_count)},
        {"wal_segment_room_bytes", "gauge", "Room left in the segment in use.", (double)segment_room(log)},
        {"wal_space_error", "gauge", "1 while appends are refused for want of space, else 0.",
         atomic_load(&log->space_error) != 0},
        {"wal_read_only", "gauge", "1 once the log accepts no writes any more, else 0.",
         atomic_load(&log->failed) != 0},
        {"wal_recovery_duration_seconds", "gauge", "How long reading took when the log was opened.",
         (double)log->recovery.duration_us / 1e6},
    };

    numbers(p, list, sizeof list / sizeof *list);
}

static void reasons(struct page *p, const struct varve_health_report *h)
{
    char label[64];

    head(p, "wal_health_reason", "gauge", "1 while this keeps the log from being ok, else 0.");
    for (unsigned i = 0; i < VARVE_HEALTH_BIT_COUNT; i++) {
        struct vv_text text = {.buf = label, .room = sizeof label};

        vv_text_print(&text, "reason=\"%s\"", varve_health_reason_name(i));
        sample(p, "wal_health_reason", "", label, (h->reasons >> i) & 1);
    }
    head(p, "wal_thread_state", "gauge", "0 none, 1 idle, 2 busy, 3 stuck.");
    sample(p, "wal_thread_state", "", "thread=\"prepare\"", h->preparer);
    sample(p, "wal_thread_state", "", "thread=\"flush\"", h->flusher);
}

/* A label's value, as the format wants it. */
static void first_error(struct page *p, const struct varve_error *error)
{
    char label[2 * VARVE_ERROR_MESSAGE_BYTES + 32];
    struct vv_text text = {.buf = label, .room = sizeof label};

    if (error->code == 0)
        return;
    vv_text_print(&text, "message=\"");
    for (const char *at = error->message; *at; at++)
        vv_text_print(&text, "%s%c", *at == '"' || *at == '\\' ? "\\" : "", *at);
    vv_text_print(&text, "\"");
    head(p, "wal_first_error", "gauge", "1: the error that made the log read-only.");
    sample(p, "wal_first_error", "", label, 1);
}

static void health(struct varve_log *log, struct page *p)
{
    struct varve_health_report h = {.size = sizeof h};
    struct vv_counters *c = &log->counters;

    if (varve_health(log, &h) != 0)
        return;
    const struct number list[] = {
        {"wal_health_state", "gauge", "0 ok, 1 degraded, 2 read-only.", h.state},
        {"wal_slots", "gauge", "Slots that may be in use at once.", (double)h.slots},
        {"wal_slots_used", "gauge", "Slots with records that are not durable yet.", (double)h.slots_used},
        {"wal_appends_waiting", "gauge", "Appends that wait for a slot or for space.",
         (double)h.appends_waiting},
        {"wal_last_sync_timestamp_seconds", "gauge",
         "When the last durable write or sync ended; 0: none did.", (double)h.last_sync_us / 1e6},
        {"wal_last_sync_seconds", "gauge", "How long it took.", (double)h.last_sync_took_us / 1e6},
        {"wal_stalled_seconds", "gauge", "How long a write or sync has hung; 0: none does.",
         (double)h.stalled_us / 1e6},
        {"wal_stalls_total", "counter", "Writes and syncs that hung.", (double)atomic_load(&c->stalls)},
        {"wal_slow_syncs_total", "counter", "Durable writes and syncs that took slow_sync_ms.",
         (double)atomic_load(&c->slow_syncs)},
        {"wal_breaker_open_seconds", "gauge", "How long the breaker has been open; 0: it is closed.",
         (double)h.breaker_open_us / 1e6},
        {"wal_breaker_opened_total", "counter", "Times that the breaker opened.",
         (double)atomic_load(&c->breaker_opened)},
        {"wal_failover_active", "gauge", "1: segments are made in failover_dir; 0: they are not.",
         vv_failover_away(log) ? 1 : 0},
        {"wal_failovers_total", "counter", "Times that the log went on in failover_dir.",
         (double)atomic_load(&c->failovers)},
        {"wal_disk_free_bytes", "gauge", "What the file system has left, when it was last looked at.",
         (double)h.disk_free_bytes},
        {"wal_pins", "gauge", "Pins.", (double)h.pins},
        {"wal_pins_over", "gauge", "Pins over their limits that could not be dropped.", (double)h.pins_over},
        {"wal_messages_total", "counter", "Messages that were told.", (double)atomic_load(&c->messages)},
        {"wal_messages_held_total", "counter", "Messages that were held back, because they repeat.",
         (double)atomic_load(&c->messages_held)},
    };

    numbers(p, list, sizeof list / sizeof *list);
    reasons(p, &h);
    first_error(p, &h.first_error);
}

static bool labels_ok(const char *labels)
{
    if (strlen(labels) > 200)
        return false;
    for (const char *at = labels; *at; at++) {
        if (*at == '\n' || *at == '{' || *at == '}')
            return false;
    }
    return true;
}

static void histograms(struct varve_log *log, struct page *p)
{
    histogram(log, p, "wal_flush_duration_seconds", "How long durable writes and syncs of segments took.",
              flush_of, &vv_bounds_us, 1e-6);
    histogram(log, p, "wal_commit_duration_seconds",
              "From a frame's first record to its being durable; the longest wait of its records.", commit_of,
              &vv_bounds_us, 1e-6);
    histogram(log, p, "wal_frame_records", "Records in a frame.", records_of, &vv_bounds_count, 1);
    histogram(log, p, "transaction_duration_seconds", "How long transactions took, as the program says.",
              transaction_of, &vv_bounds_us, 1e-6);
}

int varve_metrics_text(struct varve_log *log, const char *labels, char *text, size_t room, size_t *ret_bytes)
{
    struct page p = {.text = {.buf = text, .room = room}, .labels = labels ? labels : ""};
    struct varve_stats stats = {.size = sizeof stats};
    locale_t plain, callers;
    int rc;

    if (!text || room == 0 || !labels_ok(p.labels))
        return VARVE_E_INVALID;
    if (log->read_only)
        return VARVE_E_UNSUPPORTED;
    rc = varve_stats_get(log, &stats);
    if (rc != 0)
        return rc;
    /* The format has a point in its numbers, whatever the program's locale has. */
    plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0)
        return VARVE_E_NOMEM;
    callers = uselocale(plain);
    counters(&p, &stats, log->opened_lsn);
    errors(log, &p);
    gauges(log, &p, &stats);
    health(log, &p);
    histograms(log, &p);
    (void)uselocale(callers);
    freelocale(plain);
    if (p.text.full)
        return VARVE_E_TOO_LARGE;
    if (ret_bytes)
        *ret_bytes = p.text.len;
    return 0;
}

#endif
