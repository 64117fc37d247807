/* SPDX-License-Identifier: Apache-2.0 */
/*
 * convert_record: a record as it was read -> one to be appended to a log in another format.
 *
 * In: an entry. Out: a record whose fields the target has, how it will be read there, and what it lost. What
 * the source's payload tells is not lost where the target has no field for it: the payload goes along.
 *
 * Ways to fail: the payload is none of the target's.
 */
#include "log/convert_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/format.h"

static void lose(struct vv_converter *c, enum vv_loss loss, const struct varve_entry *entry)
{
    if (c->losses[loss].records++ == 0)
        c->losses[loss].first_lsn = entry->lsn;
}

static bool is_native(const struct varve_format *format)
{
    return format->traits & VARVE_FORMAT_NATIVE;
}

/* Whether the source has the field, and it would be gone without one of its own. */
static bool counts(const struct vv_converter *c, enum varve_format_fields field)
{
    return (c->from->carries & field) && !(c->from->derives & field);
}

/* -- times -- */

/* Nanoseconds of a time in any unit. */
__extension__ typedef __int128 wide;

/* A time in the target's unit. false: not exactly. */
static bool change_unit(const struct vv_converter *c, uint64_t time, uint64_t *ret_time)
{
    bool from_signed = c->from->traits & VARVE_FORMAT_SIGNED_TIME;
    bool to_signed = c->to->traits & VARVE_FORMAT_SIGNED_TIME;
    wide unit = c->to->time_unit_ns;
    wide ns = from_signed ? (wide)(int64_t)time : (wide)time;
    wide low = to_signed ? INT64_MIN : is_native(c->to) ? 1 : 0;
    wide high = to_signed || is_native(c->to) ? INT64_MAX : UINT64_MAX;
    wide there;

    ns *= (wide)c->from->time_unit_ns;
    there = ns / unit;
    if (ns % unit < 0)
        there--;
    there = there < low ? low : there > high ? high : there;
    *ret_time = (uint64_t)there;
    return there * unit == ns;
}

static void convert_time(struct vv_converter *c, const struct varve_entry *e, struct vv_converted *r)
{
    uint64_t time = 0;
    bool exact;

    if (!(c->from->carries & VARVE_FIELD_TIME))
        return;
    if (!(c->to->carries & VARVE_FIELD_TIME)) {
        if (counts(c, VARVE_FIELD_TIME))
            lose(c, VV_LOSS_TIME, e);
        return;
    }
    exact = change_unit(c, e->time, &time);
    if (c->to->derives & VARVE_FIELD_TIME) {
        if (counts(c, VARVE_FIELD_TIME) && (!exact || time != r->is.time))
            lose(c, VV_LOSS_TIME, e);
        r->timed = true;
        return;
    }
    if (!exact && counts(c, VARVE_FIELD_TIME))
        lose(c, VV_LOSS_TIME_UNIT, e);
    if (is_native(c->to) && time < c->newest_us) {
        if (exact && counts(c, VARVE_FIELD_TIME))
            lose(c, VV_LOSS_TIME_ORDER, e);
        time = c->newest_us;
    }
    c->newest_us = time;
    r->timed = true;
    r->record.flags |= VARVE_RECORD_TIME;
    r->record.time = r->is.time = time;
}

/* -- type and transaction -- */

static void convert_type(struct vv_converter *c, const struct varve_entry *e, struct vv_converted *r)
{
    const struct varve_format *to = c->to;

    if (to->derives & VARVE_FIELD_TYPE) {
        if (counts(c, VARVE_FIELD_TYPE) && e->type != 0 && e->type != r->is.type)
            lose(c, VV_LOSS_TYPE, e);
    } else if ((to->carries & VARVE_FIELD_TYPE) && e->type >= to->type_min && e->type <= to->type_max) {
        r->record.type = r->is.type = e->type;
    } else if (e->type != 0 && counts(c, VARVE_FIELD_TYPE)) {
        lose(c, VV_LOSS_TYPE, e);
    }
}

static void convert_txn(struct vv_converter *c, const struct varve_entry *e, struct vv_converted *r)
{
    static const uint8_t none[VARVE_ORIGIN_BYTES];
    bool origin = memcmp(e->origin, none, sizeof none) != 0;

    if (!(e->flags & VARVE_RECORD_TXN))
        return;
    if (origin && !(c->to->carries & VARVE_FIELD_ORIGIN))
        lose(c, VV_LOSS_ORIGIN, e);
    if (c->to->derives & VARVE_FIELD_TXN) {
        if (counts(c, VARVE_FIELD_TXN) && e->txn_id != r->is.txn_id)
            lose(c, VV_LOSS_TXN, e);
        return;
    }
    if (!(c->to->carries & VARVE_FIELD_TXN) || (!is_native(c->to) && e->txn_id == 0 && !origin)) {
        if (counts(c, VARVE_FIELD_TXN))
            lose(c, VV_LOSS_TXN, e);
        return;
    }
    r->record.flags |= VARVE_RECORD_TXN;
    r->is.flags = VARVE_RECORD_TXN;
    r->record.txn_id = r->is.txn_id = e->txn_id;
    if (c->to->carries & VARVE_FIELD_ORIGIN) {
        memcpy(r->record.origin, e->origin, sizeof e->origin);
        memcpy(r->is.origin, e->origin, sizeof e->origin);
    }
}

/* -- all of it -- */

/* What the target's payload tells by itself. */
static int look_inside(const struct vv_converter *c, const struct varve_entry *e, struct vv_converted *r,
                       struct varve_error *ret_error)
{
    struct iovec whole = {(void *)(uintptr_t)e->data, e->data_bytes};

    r->is.payload_bytes = e->data_bytes;
    if (is_native(c->to))
        return e->data_bytes <= c->to->payload_max
                   ? 0
                   : vv_error_set(ret_error, VARVE_E_TOO_LARGE, 0, "varve: a payload of %zu bytes",
                                  e->data_bytes);
    if (e->data_bytes < c->to->payload_min || e->data_bytes > c->to->payload_max || !c->to->check)
        return 0; /* admit says so, where it is wrong */
    if (c->to->check(&whole, 1, &r->is) == 0)
        return 0;
    return vv_error_set(ret_error, VARVE_E_INVALID, 0, "%s: the payload cannot be one of its own: %s",
                        c->to->name, r->is.reason);
}

int vv_convert_record(struct vv_converter *c, const struct varve_entry *entry,
                      struct vv_converted *ret_converted, struct varve_error *ret_error)
{
    struct vv_converted *r = ret_converted;
    int rc;

    memset(r, 0, sizeof *r);
    r->record.data = entry->data;
    r->record.data_bytes = entry->data_bytes;
    r->lsn = c->next_lsn++;
    if (entry->lsn != r->lsn)
        lose(c, VV_LOSS_NUMBER, entry);
    rc = look_inside(c, entry, r, ret_error);
    if (rc != 0)
        return rc;
    convert_type(c, entry, r);
    convert_txn(c, entry, r);
    convert_time(c, entry, r);
    return is_native(c->to) ? 0 : vv_format_admit(c->to, &r->record, entry->data_bytes, ret_error);
}

void vv_convert_loss(const struct vv_converter *c, enum vv_loss loss, char *out, size_t room)
{
    static const char *const what[VV_LOSS_COUNT] = {
        [VV_LOSS_TYPE] = "a type that it has no room for",
        [VV_LOSS_TXN] = "a transaction that it has no room for",
        [VV_LOSS_ORIGIN] = "an origin that it has no room for",
        [VV_LOSS_TIME] = "a time that it has no room for",
        [VV_LOSS_TIME_UNIT] = "a time that it cannot tell exactly",
        [VV_LOSS_TIME_ORDER] = "a time before that of the record before, which it gives the later one",
        [VV_LOSS_NUMBER] = "another number there",
    };
    uint64_t records = c->losses[loss].records;

    snprintf(out, room, "%s: %" PRIu64 " record%s, from LSN %" PRIu64 " on, %s %s", c->to->name, records,
             records == 1 ? "" : "s", c->losses[loss].first_lsn, records == 1 ? "has" : "have", what[loss]);
}
