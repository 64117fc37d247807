/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pin: positions from which somebody still needs the log, in the file PINS.
 *
 * PINS is replaced as a whole, so a crash leaves the pins as they were before a change or after it. A pin
 * that is set or dropped is durable before the caller hears of it. A move may wait, in memory: what is on
 * disk then stands further back and holds more, and is brought up to date before anything that only the older
 * position holds is removed. So whatever a crash leaves, no pin stands before the log's first record, and
 * none has moved back past what its owner was told is safe.
 *
 * Ways to fail: PINS cannot be written: nothing has changed, in memory either. PINS is damaged: opening for
 * writing refuses, because trimming without it could remove what somebody needs.
 */
#include "log/pin.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "log/replace.h"
#include "log/shape.h"
#include "log/stages.h"
#include "log/tell.h"
#include "varve/pin.h"

_Static_assert(VARVE_PIN_TEXT_BYTES == VV_PIN_TEXT_BYTES && VARVE_PINS_MAX == VV_PINS_MAX, "one size");

int vv_pin_read(struct varve_io *io, struct varve_dir *dir, struct vv_pins *ret_pins,
                struct varve_error *ret_error)
{
    char *text = vv_alloc(VV_PINS_BYTES_MAX + 2);
    size_t len;
    int rc;

    if (!text)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, VV_PIN_FILE);
    ret_pins->count = 0;
    rc = vv_replace_read(io, dir, VV_PIN_FILE, text, VV_PINS_BYTES_MAX + 1, &len);
    if (rc == -ENOENT) {
        rc = 0;
    } else if (rc == -ELOOP || rc == -EMEDIUMTYPE) {
        rc = vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, VV_PIN_FILE ": not a regular file");
    } else if (rc != 0) {
        rc = vv_error_set(ret_error, VARVE_E_IO, -rc, VV_PIN_FILE ": cannot be read");
    } else {
        text[len] = 0;
        rc = vv_pins_decode(text, len, ret_pins, ret_error);
    }
    vv_free(text);
    return rc;
}

int vv_pin_load(struct varve_log *log, struct varve_error *ret_error)
{
    struct varve_error error;
    int rc;

    if (log->in_memory)
        return 0;
    log->pins = vv_alloc_zero(sizeof *log->pins);
    log->pins_next = vv_alloc_zero(sizeof *log->pins_next);
    if (!log->pins || !log->pins_next)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, VV_PIN_FILE);
    rc = vv_pin_read(log->io, log->dir, log->pins, &error);
    if (rc == VARVE_E_CORRUPT && log->options.policy == VARVE_POLICY_SKIP) {
        vv_tell(log, PINS_DAMAGED, VV_ABOUT(.code = rc),
                "%s; kept as " VV_PIN_BAD ", and the log goes on without pins", error.message);
        rc = log->io->rename(log->io, log->dir, VV_PIN_FILE, VV_PIN_BAD, 1);
        if (rc == 0)
            rc = log->io->dir_sync(log->io, log->dir);
        if (rc != 0)
            return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_PIN_FILE ": cannot be renamed");
    }
    if (rc != 0)
        vv_error_copy(ret_error, &error);
    else
        atomic_store(&log->pins_count, (uint32_t)log->pins->count);
    return rc;
}

/* What is on disk is not what is in force, from now on if it was until now. pins_mutex is held. */
static void mark_dirty(struct varve_log *log)
{
    if (atomic_load(&log->pins_dirty_us) != 0)
        return;
    atomic_store(&log->pins_dirty_us, log->io->monotonic_us(log->io) | 1);
    vv_prepare_kick(log); /* it sleeps until there is something to do */
}

/* Writes `pins`, and makes them those in force. After a failure they may be on disk all the same, so those in
 * force are written again before anything relies on them. pins_mutex is held; `pins` is pins or pins_next. */
static int put(struct varve_log *log, struct vv_pins *pins, struct varve_error *ret_error)
{
    char *text = vv_alloc(VV_PINS_BYTES_MAX);
    size_t len;
    int rc;

    if (!text)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, VV_PIN_FILE);
    len = vv_pins_encode(pins, text);
    rc = vv_replace_file(log->io, log->dir, VV_PIN_TEMP, VV_PIN_FILE, text, len);
    vv_free(text);
    if (rc != 0)
        mark_dirty(log);
    if (rc != 0)
        return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                            VV_PIN_FILE ": cannot be written");
    if (pins != log->pins) {
        log->pins_next = log->pins;
        log->pins = pins;
    }
    atomic_store(&log->pins_count, (uint32_t)log->pins->count);
    atomic_store(&log->pins_dirty_us, 0);
    return 0;
}

int vv_pin_settle(struct varve_log *log, struct varve_error *ret_error)
{
    return atomic_load(&log->pins_dirty_us) == 0 ? 0 : put(log, log->pins, ret_error);
}

void vv_pin_tick(struct varve_log *log, bool now)
{
    uint64_t since = atomic_load(&log->pins_dirty_us);
    struct varve_error error;
    int rc;

    if (since == 0 || (!now && log->io->monotonic_us(log->io) < since + VV_PIN_LATER_US))
        return;
    pthread_mutex_lock(&log->pins_mutex);
    rc = vv_pin_settle(log, &error);
    /* Not at once again: a disk that is full stays so for a while. */
    if (rc != 0)
        atomic_store(&log->pins_dirty_us, log->io->monotonic_us(log->io) | 1);
    pthread_mutex_unlock(&log->pins_mutex);
    if (rc != 0)
        vv_tell(log, PINS_UNWRITTEN, VV_ABOUT(.code = error.code, .sys_errno = error.sys_errno),
                "pins that moved are not on disk yet: %s", error.message);
}

void vv_pin_fit(struct varve_log *log, uint64_t next_lsn)
{
    bool any = false;

    if (!log->pins)
        return;
    for (size_t i = 0; i < log->pins->count; i++) {
        struct vv_pin *p = &log->pins->pin[i];

        if (p->lsn <= next_lsn)
            continue;
        vv_tell(log, PIN_MOVED_BACK, VV_ABOUT(.lsn = next_lsn),
                "pin %s stood at LSN %" PRIu64 ", past the log's end; it holds the next record, %" PRIu64,
                p->name, p->lsn, next_lsn);
        p->lsn = next_lsn;
        any = true;
    }
    if (any)
        mark_dirty(log);
    /* If it cannot be written it stays dirty: a log with a full disk is opened all the same. */
    vv_pin_tick(log, true);
}

const struct vv_pin *vv_pin_lowest(const struct vv_pins *pins)
{
    const struct vv_pin *lowest = NULL;

    for (size_t i = 0; i < pins->count; i++) {
        if (!lowest || pins->pin[i].lsn < lowest->lsn)
            lowest = &pins->pin[i];
    }
    return lowest;
}

/* -- what callers ask for -- */

static int check_log(struct varve_log *log, bool changes, struct varve_error *ret_error)
{
    int gate = atomic_load(&log->gate), rc = 0;

    if (gate == VARVE_E_FORKED)
        rc = gate;
    else if (log->in_memory || (changes && log->read_only))
        rc = VARVE_E_UNSUPPORTED;
    else if (changes && gate != 0)
        rc = vv_fail_code(log);
    if (rc == 0)
        return 0;
    return vv_error_set(ret_error, rc, 0, "%s: pins %s", log->path,
                        rc == VARVE_E_UNSUPPORTED ? "need a log that is on disk, open for writing"
                                                  : "cannot be changed");
}

/* Where `pin` may be put. pins_mutex is held, so that no trimming comes in between. */
static int check_lsn(struct varve_log *log, const char *name, uint64_t lsn, uint64_t now_lsn,
                     struct varve_error *ret_error)
{
    uint64_t first = atomic_load(&log->first_lsn), last = vv_reserve_last_lsn(log);

    if (log->trim_lsn > first)
        first = log->trim_lsn;
    if (lsn < now_lsn)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "pin %s stands at LSN %" PRIu64 " and does not move back to %" PRIu64, name,
                            now_lsn, lsn);
    if (lsn > last + 1)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "pin %s: LSN %" PRIu64 " is not given yet; the last one is %" PRIu64, name, lsn,
                            last);
    if (lsn < first)
        return vv_error_set(ret_error, VARVE_E_TRIMMED, 0,
                            "pin %s: LSN %" PRIu64 " is gone; the first one is %" PRIu64, name, lsn, first);
    return 0;
}

static int set_pin(struct varve_log *log, const struct varve_pin *pin, struct varve_error *ret_error)
{
    struct vv_pins *next = log->pins_next;
    uint64_t now_us = vv_log_now_us(log), first = atomic_load(&log->first_lsn), lsn = pin->lsn;
    struct vv_pin *p;
    bool found;
    size_t at;
    int rc;

    memcpy(next, log->pins, sizeof *next);
    at = vv_pins_find(next, pin->name, &found);
    p = &next->pin[at];
    if (lsn == 0)
        lsn = found ? p->lsn : log->trim_lsn > first ? log->trim_lsn : first;
    rc = check_lsn(log, pin->name, lsn, found ? p->lsn : 0, ret_error);
    if (rc != 0)
        return rc;
    if (!found) {
        if (next->count == VV_PINS_MAX)
            return vv_error_set(ret_error, VARVE_E_LIMIT, 0, "pin %s: there are %u pins already", pin->name,
                                VV_PINS_MAX);
        memmove(p + 1, p, (next->count - at) * sizeof *p);
        next->count++;
        memset(p, 0, sizeof *p);
        memcpy(p->name, pin->name, sizeof p->name);
        p->since_us = now_us;
    }
    if (p->lsn != lsn)
        p->moved_us = now_us;
    p->lsn = lsn;
    memcpy(p->owner, pin->owner, sizeof p->owner);
    p->max_records = pin->max_records;
    p->max_bytes = pin->max_bytes;
    p->max_age_ms = pin->max_age_ms;
    return put(log, next, ret_error);
}

int varve_pin_set(struct varve_log *log, const struct varve_pin *pin, struct varve_error *ret_error)
{
    int rc = check_log(log, true, ret_error);

    if (rc != 0)
        return rc;
    if (!pin || pin->size < sizeof *pin || !vv_pins_name_ok(pin->name) || !vv_pins_owner_ok(pin->owner))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "a pin's name is 1 to 63 letters, digits and . _ : - without a dash first, its "
                            "owner up to 63 printable characters");
    pthread_mutex_lock(&log->pins_mutex);
    rc = set_pin(log, pin, ret_error);
    pthread_mutex_unlock(&log->pins_mutex);
    /* It may sleep for ever, and a limit of age wants to be looked at. */
    if (rc == 0 && pin->max_age_ms != 0)
        vv_prepare_kick(log);
    return rc;
}

static int find_pin(const struct vv_pins *pins, const char *name, size_t *ret_at,
                    struct varve_error *ret_error)
{
    bool found = false;
    size_t at = name ? vv_pins_find(pins, name, &found) : 0;

    if (!found)
        return vv_error_set(ret_error, VARVE_E_NO_PIN, 0, "there is no pin %s",
                            name ? name : "without a name");
    *ret_at = at;
    return 0;
}

static int move_pin(struct varve_log *log, const char *name, uint64_t lsn, unsigned flags,
                    struct varve_error *ret_error)
{
    struct vv_pins *pins = log->pins;
    size_t at;
    int rc = find_pin(pins, name, &at, ret_error);

    if (rc == 0)
        rc = check_lsn(log, name, lsn, pins->pin[at].lsn, ret_error);
    if (rc != 0 || pins->pin[at].lsn == lsn)
        return rc;
    if (!(flags & VARVE_PIN_LATER)) {
        memcpy(log->pins_next, pins, sizeof *pins);
        pins = log->pins_next;
    }
    pins->pin[at].lsn = lsn;
    pins->pin[at].moved_us = vv_log_now_us(log);
    if (!(flags & VARVE_PIN_LATER))
        return put(log, pins, ret_error);
    mark_dirty(log);
    return 0;
}

int varve_pin_move(struct varve_log *log, const char *name, uint64_t lsn, unsigned flags,
                   struct varve_error *ret_error)
{
    int rc = check_log(log, true, ret_error);

    if (rc != 0)
        return rc;
    if (flags & ~(unsigned)VARVE_PIN_LATER)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "flags %#x have unknown bits", flags);
    pthread_mutex_lock(&log->pins_mutex);
    rc = move_pin(log, name, lsn, flags, ret_error);
    pthread_mutex_unlock(&log->pins_mutex);
    return rc;
}

/* pins_mutex is held. */
static int drop_pin(struct varve_log *log, const char *name, struct varve_error *ret_error)
{
    struct vv_pins *next = log->pins_next;
    size_t at;
    int rc = find_pin(log->pins, name, &at, ret_error);

    if (rc != 0)
        return rc;
    memcpy(next, log->pins, sizeof *next);
    next->count--;
    memmove(&next->pin[at], &next->pin[at + 1], (next->count - at) * sizeof next->pin[at]);
    return put(log, next, ret_error);
}

int varve_pin_drop(struct varve_log *log, const char *name, struct varve_error *ret_error)
{
    int rc = check_log(log, true, ret_error);

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&log->pins_mutex);
    rc = drop_pin(log, name, ret_error);
    pthread_mutex_unlock(&log->pins_mutex);
    return rc;
}

/* -- how far behind a pin is -- */

struct measure {
    struct varve_log *log;
    struct vv_shape shape;
    struct varve_cursor *cursor; /* NULL: not needed, or not to be had */
    uint64_t now_us;
};

static int measure_begin(struct measure *m, struct varve_log *log, bool deep, struct varve_error *ret_error)
{
    int rc;

    *m = (struct measure){.log = log};
    rc = vv_shape_load(log, &m->shape, ret_error);
    if (rc != 0)
        return rc;
    m->now_us = log->read_only ? log->io->realtime_us(log->io) : vv_log_now_us(log);
    /* Damage is for others to tell: then bytes and time are those of the whole log, or of nothing. */
    if (deep && varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &m->cursor, NULL) != 0)
        m->cursor = NULL;
    return 0;
}

static void measure_end(struct measure *m)
{
    varve_cursor_close(m->cursor);
    vv_shape_free(&m->shape);
}

/* true: bytes and time are those of the pin's own record. */
static bool measure_pin(struct measure *m, const struct vv_pin *pin, struct varve_pin *ret)
{
    struct varve_entry entry;

    *ret = (struct varve_pin){.size = sizeof *ret,
                              .lsn = pin->lsn,
                              .max_records = pin->max_records,
                              .max_bytes = pin->max_bytes,
                              .max_age_ms = pin->max_age_ms,
                              .since_us = pin->since_us,
                              .moved_us = pin->moved_us};
    memcpy(ret->name, pin->name, sizeof ret->name);
    memcpy(ret->owner, pin->owner, sizeof ret->owner);
    if (pin->lsn > m->shape.durable_lsn)
        return true;
    ret->lag_records = m->shape.durable_lsn + 1 - pin->lsn;
    if (!m->cursor || varve_cursor_seek_lsn(m->cursor, pin->lsn) != 0 ||
        varve_cursor_next(m->cursor, &entry) != 0 || entry.lsn != pin->lsn)
        return false;
    ret->lag_bytes = vv_shape_bytes_behind(&m->shape, entry.segment, entry.frame_offset);
    ret->lag_us = m->now_us > entry.time_us ? m->now_us - entry.time_us : 0;
    return true;
}

/* A copy of the pins that needs no lock; from the file where the log is open read-only. */
static int copy_pins(struct varve_log *log, struct vv_pins **ret_pins, struct varve_error *ret_error)
{
    struct vv_pins *pins = vv_alloc_zero(sizeof *pins);
    int rc = 0;

    if (!pins)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, VV_PIN_FILE);
    if (log->read_only) {
        rc = vv_pin_read(log->io, log->dir, pins, ret_error);
    } else {
        pthread_mutex_lock(&log->pins_mutex);
        memcpy(pins, log->pins, sizeof *pins);
        pthread_mutex_unlock(&log->pins_mutex);
    }
    if (rc == 0)
        *ret_pins = pins;
    else
        vv_free(pins);
    return rc;
}

int varve_pin_list(struct varve_log *log, varve_pin_fn fn, void *arg, struct varve_error *ret_error)
{
    struct vv_pins *pins = NULL;
    struct varve_pin told;
    struct measure m;
    int rc = check_log(log, false, ret_error);

    if (rc == 0)
        rc = copy_pins(log, &pins, ret_error);
    if (rc != 0)
        return rc;
    rc = measure_begin(&m, log, pins->count > 0, ret_error);
    for (size_t i = 0; rc == 0 && i < pins->count; i++) {
        (void)measure_pin(&m, &pins->pin[i], &told);
        rc = fn(arg, &told);
    }
    measure_end(&m);
    vv_free(pins);
    return rc;
}

bool vv_pin_ages(struct varve_log *log)
{
    bool ages = false;

    pthread_mutex_lock(&log->pins_mutex);
    for (size_t i = 0; i < log->pins->count; i++)
        ages |= log->pins->pin[i].max_age_ms != 0;
    pthread_mutex_unlock(&log->pins_mutex);
    return ages;
}

/* What a pin is over, in words; NULL: nothing. */
static const char *over(const struct varve_pin *p, bool exact)
{
    if (p->max_records != 0 && p->lag_records > p->max_records)
        return "records";
    if (exact && p->max_bytes != 0 && p->lag_bytes > p->max_bytes)
        return "bytes";
    if (exact && p->max_age_ms != 0 && p->lag_us / 1000 > p->max_age_ms)
        return "age";
    return NULL;
}

/* Drops it, unless it is another than the one that was measured: moved, or with other limits. */
/* Whether it is over its limit still. */
static bool drop_late(struct varve_log *log, const struct vv_pin *measured, const struct varve_pin *p,
                      const char *what)
{
    struct varve_error error = {.code = 0};
    bool found, dropped = false;
    size_t at;

    pthread_mutex_lock(&log->pins_mutex);
    at = vv_pins_find(log->pins, p->name, &found);
    if (found && memcmp(&log->pins->pin[at], measured, sizeof *measured) == 0)
        dropped = drop_pin(log, p->name, &error) == 0;
    pthread_mutex_unlock(&log->pins_mutex);
    if (dropped)
        vv_tell(log, PIN_DROPPED, VV_ABOUT(.lsn = p->lsn, .bytes = p->lag_bytes, .duration_us = p->lag_us),
                "pin %s is dropped: over its limit of %s; it stood at LSN %" PRIu64 ", %" PRIu64
                " records, %" PRIu64 " bytes and %" PRIu64 " s behind",
                p->name, what, p->lsn, p->lag_records, p->lag_bytes, p->lag_us / 1000000);
    else if (error.code != 0)
        vv_tell(log, PIN_NOT_DROPPED,
                VV_ABOUT(.lsn = p->lsn, .code = error.code, .sys_errno = error.sys_errno),
                "pin %s is over its limit of %s and cannot be dropped: %s", p->name, what, error.message);
    return error.code != 0;
}

void vv_pin_enforce(struct varve_log *log)
{
    struct vv_pins *pins;
    bool any = false, deep = false;
    struct measure m;
    uint32_t left = 0;

    pthread_mutex_lock(&log->pins_mutex);
    for (size_t i = 0; i < log->pins->count; i++) {
        const struct vv_pin *p = &log->pins->pin[i];

        deep |= p->max_bytes != 0 || p->max_age_ms != 0;
        any |= deep || p->max_records != 0;
    }
    pthread_mutex_unlock(&log->pins_mutex);
    if (!any)
        atomic_store(&log->pins_over, 0);
    if (!any || copy_pins(log, &pins, NULL) != 0)
        return;
    if (measure_begin(&m, log, deep, NULL) == 0) {
        for (size_t i = 0; i < pins->count; i++) {
            struct varve_pin told;
            bool exact = measure_pin(&m, &pins->pin[i], &told);
            const char *what = over(&told, exact);

            if (what && drop_late(log, &pins->pin[i], &told, what))
                left++;
        }
        atomic_store(&log->pins_over, left);
    }
    measure_end(&m);
    vv_free(pins);
}
