/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retain: looks after old records, in the thread that prepares segments: never in the way of a commit.
 *
 * When a segment was started, and when it is durable, every ten seconds where age matters, and as long as
 * there is no space, pins that are over their limits are dropped and the rules of the options are applied.
 * Moves of pins that did not wait are written within about a second.
 *
 * Ways to fail: trim cannot write MANIFEST or PINS: it says so, and the next time comes with the next
 * segment.
 */
#include "log/retain.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/wait.h"
#include "log/pin.h"
#include "log/stages.h"

static bool any_rule(const struct varve_retain_rules *rules)
{
    return rules->keep_segments || rules->keep_bytes || rules->keep_ms || rules->before_lsn;
}

/* Whether the rules let segment `index` go, if those before it go. */
static bool may_go(const struct vv_shape *shape, size_t index, const struct varve_retain_rules *rules,
                   uint64_t now_us)
{
    const struct vv_segment_fact *next = &shape->facts[index + 1];
    uint64_t keep_us = rules->keep_ms > UINT64_MAX / 1000 ? UINT64_MAX : rules->keep_ms * 1000;

    /* All of it is older than what the next one began with. */
    if (keep_us != 0 && (next->created_us > now_us || now_us - next->created_us < keep_us))
        return false;
    return (rules->keep_segments == 0 || shape->count - (index + 1) >= rules->keep_segments) &&
           (rules->keep_bytes == 0 || vv_shape_bytes_from(shape, index + 1) >= rules->keep_bytes) &&
           (rules->before_lsn == 0 || next->base_lsn <= rules->before_lsn);
}

void vv_retain_plan(const struct vv_shape *shape, const struct varve_retain_rules *rules, uint64_t now_us,
                    const struct vv_pin *lowest, struct varve_retain_plan *p)
{
    size_t wanted = 0, count = 0;

    memset((char *)p + sizeof p->size, 0, sizeof *p - sizeof p->size);
    p->first_lsn = shape->first_lsn;
    while (any_rule(rules) && wanted + 1 < shape->count &&
           shape->facts[wanted + 1].base_lsn <= shape->durable_lsn && may_go(shape, wanted, rules, now_us))
        wanted++;
    while (count < wanted && (!lowest || shape->facts[count + 1].base_lsn <= lowest->lsn))
        count++;
    for (size_t i = 0; i < wanted; i++) {
        uint64_t bytes = shape->facts[i].bytes;

        p->bytes += i < count ? bytes : 0;
        p->held_bytes += i < count ? 0 : bytes;
    }
    p->segments = count;
    p->held_segments = wanted - count;
    if (count > 0) {
        p->first_lsn = vv_max_u64(shape->facts[count].base_lsn, shape->first_lsn);
        p->records = p->first_lsn - shape->first_lsn;
    }
    if (p->held_segments > 0) {
        p->held_lsn = lowest->lsn;
        memcpy(p->held_by, lowest->name, sizeof p->held_by);
    }
}

static struct varve_retain_rules own_rules(const struct varve_log *log)
{
    return (struct varve_retain_rules){.size = sizeof(struct varve_retain_rules),
                                       .keep_segments = log->options.keep_segments,
                                       .keep_bytes = log->options.keep_bytes,
                                       .keep_ms = log->options.keep_ms};
}

/* As of now; the pins from the file where the log is open read-only. */
static int make_plan(struct varve_log *log, const struct varve_retain_rules *rules,
                     struct varve_retain_plan *ret_plan, struct varve_error *ret_error)
{
    uint64_t now_us = log->read_only ? log->io->realtime_us(log->io) : vv_log_now_us(log);
    struct vv_pins *pins = NULL;
    const struct vv_pin *found;
    struct vv_pin lowest;
    struct vv_shape shape;
    int rc = vv_shape_load(log, &shape, ret_error);

    if (rc != 0)
        return rc;
    if (log->read_only) {
        pins = vv_alloc_zero(sizeof *pins);
        rc = pins ? vv_pin_read(log->io, log->dir, pins, ret_error)
                  : vv_error_set(ret_error, VARVE_E_NOMEM, 0, VV_PIN_FILE);
    }
    if (rc == 0) {
        pthread_mutex_lock(&log->pins_mutex);
        found = vv_pin_lowest(pins ? pins : log->pins);
        if (found)
            lowest = *found;
        pthread_mutex_unlock(&log->pins_mutex);
        vv_retain_plan(&shape, rules, now_us, found ? &lowest : NULL, ret_plan);
    }
    vv_free(pins);
    vv_shape_free(&shape);
    return rc;
}

static int check(struct varve_log *log, const struct varve_retain_rules *rules, bool dry_run,
                 const struct varve_retain_plan *plan, struct varve_error *ret_error)
{
    int gate = atomic_load(&log->gate);

    if (gate == VARVE_E_FORKED)
        return vv_error_set(ret_error, gate, 0, "%s", log->path);
    if (log->in_memory || (log->read_only && !dry_run))
        return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0,
                            "%s: removing needs a log that is on disk, open for writing", log->path);
    if (gate != 0 && !dry_run)
        return vv_error_set(ret_error, vv_fail_code(log), 0, "%s: nothing is removed", log->path);
    if ((rules && rules->size < sizeof *rules) || (plan && plan->size < sizeof *plan))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "size of the rules or of the plan");
    if (rules && rules->before_lsn > varve_last_lsn(log) + 1)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "before_lsn: LSN %" PRIu64 " is not given yet; the last one is %" PRIu64,
                            rules->before_lsn, varve_last_lsn(log));
    return 0;
}

int varve_retain(struct varve_log *log, const struct varve_retain_rules *rules, int dry_run,
                 struct varve_retain_plan *ret_plan, struct varve_error *ret_error)
{
    const struct varve_retain_rules own = own_rules(log);
    struct varve_retain_plan plan = {.size = sizeof plan};
    int rc = check(log, rules, dry_run, ret_plan, ret_error);

    if (rc != 0)
        return rc;
    if (!rules)
        rules = &own;
    if (!dry_run)
        vv_pin_enforce(log);
    rc = make_plan(log, rules, &plan, ret_error);
    if (rc == 0 && !dry_run && plan.segments > 0) {
        rc = varve_trim(log, plan.first_lsn, NULL);
        if (rc != 0)
            return vv_error_set(ret_error, rc, 0, "%s: segments before LSN %" PRIu64 " cannot be removed",
                                log->path, plan.first_lsn);
    }
    if (rc == 0 && ret_plan)
        *ret_plan = plan;
    return rc;
}

static void apply(struct varve_log *log)
{
    const struct varve_retain_rules rules = own_rules(log);
    struct varve_retain_plan plan = {.size = sizeof plan};

    if (any_rule(&rules) && make_plan(log, &rules, &plan, NULL) == 0 && plan.segments > 0)
        (void)varve_trim(log, plan.first_lsn, NULL);
}

/* Whether time alone can bring work. */
static bool ages(struct varve_log *log)
{
    return log->options.keep_ms != 0 || vv_pin_ages(log);
}

void vv_retain_tick(struct varve_log *log)
{
    /* Both only grow: once when a segment is started, and again when the log may begin with it. */
    uint64_t begun = atomic_load(&log->counters.segments_opened) + atomic_load(&log->segments_begun);
    uint64_t now = log->io->monotonic_us(log->io);

    vv_pin_tick(log, false);
    if (atomic_load(&log->failed))
        return;
    if (begun == log->retain_begun && atomic_load(&log->space_error) == 0 &&
        !(ages(log) && now >= log->retain_looked_us + VV_RETAIN_LOOK_US))
        return;
    log->retain_begun = begun;
    log->retain_looked_us = now;
    vv_pin_enforce(log);
    apply(log);
}

int64_t vv_retain_sleep_us(struct varve_log *log)
{
    uint64_t now = log->io->monotonic_us(log->io), due = UINT64_MAX;
    uint64_t dirty = atomic_load(&log->pins_dirty_us);

    if (ages(log) && !atomic_load(&log->failed))
        due = log->retain_looked_us + VV_RETAIN_LOOK_US;
    if (dirty != 0 && dirty + VV_PIN_LATER_US < due)
        due = dirty + VV_PIN_LATER_US;
    if (due == UINT64_MAX)
        return VV_WAIT_FOREVER;
    return due > now ? (int64_t)(due - now) : 0;
}
