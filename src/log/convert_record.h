/* SPDX-License-Identifier: Apache-2.0 */
/* A record of one format as a record of another, and what is lost on the way. Pure. */
#ifndef VV_LOG_CONVERT_RECORD_H
#define VV_LOG_CONVERT_RECORD_H

#include <stdbool.h>

#include "varve/cursor.h"
#include "varve/format.h"

enum vv_loss {
    VV_LOSS_TYPE = 0,
    VV_LOSS_TXN,
    VV_LOSS_ORIGIN,
    VV_LOSS_TIME,       /* the target has none, or its payload tells another */
    VV_LOSS_TIME_UNIT,  /* it cannot be told exactly there */
    VV_LOSS_TIME_ORDER, /* it is before the one before it, which the native format does not have */
    VV_LOSS_NUMBER,
    VV_LOSS_COUNT,
};

struct vv_converter {
    const struct varve_format *from, *to;
    uint64_t next_lsn;  /* that the next record gets */
    uint64_t newest_us; /* to the native format: of the records so far */
    struct {
        uint64_t records, first_lsn; /* how many, and the first of them, in the source */
    } losses[VV_LOSS_COUNT];
};

struct vv_converted {
    struct varve_record record;   /* to be appended; the payload is the entry's */
    uint64_t lsn;                 /* that it gets */
    bool timed;                   /* `is.time` counts: it is not the clock's */
    struct varve_format_entry is; /* how it will be read: type, flags, txn_id, origin, time */
};

/* Errors: those of vv_format_admit, for a payload that the target does not have. */
int vv_convert_record(struct vv_converter *converter, const struct varve_entry *entry,
                      struct vv_converted *ret_converted, struct varve_error *ret_error);

/* "12 records, from LSN 3 on: their type, which wlog has no room for", into `out`. */
void vv_convert_loss(const struct vv_converter *converter, enum vv_loss loss, char *out, size_t room);

#endif
