/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair: brings a damaged log to a state that opens under every policy, and that varve_verify finds in
 * order.
 *
 * No byte of a segment is changed. What is lost is set aside (lost.h) and accepted; a file that has to make
 * room for another one is kept, as NAME.before-repair. With a directory to copy to, nothing at all is changed
 * in the log.
 */
#ifndef VARVE_REPAIR_H
#define VARVE_REPAIR_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/inspect.h"
#include "varve/options.h"

#ifdef __cplusplus
extern "C" {
#endif

enum varve_repair_flags {
    VARVE_REPAIR_DRY_RUN = 1 << 0, /* says what would be done, and changes nothing */
};

struct varve_repair_result {
    size_t size;                 /* set by the caller to sizeof(struct varve_repair_result) */
    struct varve_recovery found; /* before: what is sound is counted, lost_* is what is not */
    uint64_t damages;            /* places that were not as they should be; 0 = there was nothing to do */
    uint64_t lost_bytes;         /* that stand at them, and were set aside */
    uint64_t files;              /* that were renamed, or copied, to NAME.before-repair */
    int manifest_made;           /* MANIFEST was missing or damaged, and is made from the segments */
    int pins_made;               /* PINS was damaged: one pin, `repair`, holds all records instead */
    uint64_t left;               /* damages that are still there; 0 after a repair that did its work */
};

/* One line for a person about a step that is taken, or would be. */
typedef void (*varve_repair_fn)(void *arg, const char *text);

/*
 * Repairs the log in directory `path`, or with `to` a copy of it that is made there; `to` must not exist, its
 * parent must. A crash leaves the log as it was, or as it will be, or something between the two that the next
 * repair finishes; `to` appears when it is whole. `damage` and `step` may be NULL, `options` too: of them
 * `io`, `keys`, `progress` and `message` are used. Returns 0 also where there was nothing to do, and where
 * `left` is not 0.
 *
 * Errors: LOCKED (somebody has the log open) KEY_MISSING KEY_WRONG CODEC DICTIONARY (its records cannot be
 * read here) CORRUPT (no segment has a sound header) VERSION NOT_REGULAR FORMAT NOT_FOUND EXISTS (`to`)
 * INVALID NOMEM IO NOSPC; and with the policy skip those of varve_open.
 */
VARVE_API int varve_repair(const char *path, const char *to, const struct varve_options *options,
                           unsigned flags, varve_damage_fn damage, varve_repair_fn step, void *arg,
                           struct varve_repair_result *ret_result, struct varve_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
