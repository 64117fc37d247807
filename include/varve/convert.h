/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversion: the records of a log, in any format, to a new log in any other.
 */
#ifndef VARVE_CONVERT_H
#define VARVE_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"
#include "varve/options.h"

#ifdef __cplusplus
extern "C" {
#endif

enum varve_convert_flags {
    VARVE_CONVERT_LOSSY = 1 << 0, /* goes on where the target cannot hold all; without it that refuses */
};

/* One line for a person about something that the target cannot hold, or that cannot go with it. */
typedef void (*varve_convert_fn)(void *arg, const char *text);

struct varve_convert_result {
    size_t size; /* set by the caller to sizeof(struct varve_convert_result) */
    uint64_t records, payload_bytes;
    uint64_t first_lsn, last_lsn; /* in the target; last_lsn is first_lsn - 1 where there is no record */
    uint64_t losses;              /* how many lines were told, or would have been */
    uint64_t lost_records;        /* damage in the source that was passed over (policy skip): LSNs */
    enum varve_verdict verdict;   /* how the source ends: clean end, or torn */
};

/*
 * Copies every record of the log in directory `source`, from the first to the last that there is, to a new
 * log in the directory `target`, which must not exist or be empty; its parent must exist. A record keeps its
 * payload, and its number, time, type, transaction and origin as far as both formats have them; a record
 * without a time gets that of its appending where the target has times. UUID and pins are kept too, where
 * both have them. What a payload tells besides (`derives` in varve/format.h) is in the target as well.
 *
 * Of `from`, `format`, `policy`, `keys` and `io` are used as varve_open does, and `progress`, over three
 * times the bytes of the source. Of `to`, `format` (NULL = varve), `segment_bytes`, `codec`, `codec_level`,
 * `dictionary`, `keys`, `backend`, `slot_bytes`, `slot_count` and `message`. Either may be NULL.
 *
 * First the whole source is read. Each kind of thing that the target cannot hold is told once through `lost`
 * (may be NULL) and, without VARVE_CONVERT_LOSSY, refused (UNSUPPORTED) before anything is written. A record
 * whose payload the target cannot hold is always refused (UNSUPPORTED, naming its LSN). Files of
 * facts of other programs (snapshots, checkpoints) are not copied, and told.
 *
 * The log is made beside `target`, as target.converting, made durable, read again and compared, and gets its
 * name last: `target` is whole or not there. What a failure or a crash leaves has the other name, is
 * recognised by the next call, and is to be removed then. The source is not changed, and must not be written
 * meanwhile; what is appended to it all the same is not copied.
 *
 * `ret_result` may be NULL. Any thread. Errors: UNSUPPORTED INVALID TOO_LARGE (for a segment) EXISTS (target,
 * or a conversion that was not finished) LOCKED (somebody writes the source) CLOSED (progress) NOT_FOUND
 * NOT_REGULAR NOMEM IO NOSPC CORRUPT (also: what was read again is not what was written), and those of
 * varve_open for both.
 */
VARVE_API VARVE_MUST_CHECK int varve_convert(const char *source, const struct varve_options *from,
                                             const char *target, const struct varve_options *to,
                                             unsigned flags, varve_convert_fn lost, void *arg,
                                             struct varve_convert_result *ret_result,
                                             struct varve_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
