/* SPDX-License-Identifier: Apache-2.0 */
/* What opening, trimming and the log's own thread need of pins. */
#ifndef VV_LOG_PIN_H
#define VV_LOG_PIN_H

#include "log/log.h"

#define VV_PIN_FILE "PINS"
#define VV_PIN_TEMP "PINS.tmp"
#define VV_PIN_BAD  "PINS.bad" /* one that did not check and was passed over under the policy skip */

/* Moves that were not to wait are on disk after this. */
#define VV_PIN_LATER_US (1000u * 1000u)

/* Reads PINS; none is no pins. Errors: NOMEM IO CORRUPT VERSION NOT_REGULAR. */
int vv_pin_read(struct varve_io *io, struct varve_dir *dir, struct vv_pins *ret_pins,
                struct varve_error *ret_error);

/* Opening for writing: reads PINS into the log. A damaged one refuses, but under the policy skip. Errors: as
 * above. */
int vv_pin_load(struct varve_log *log, struct varve_error *ret_error);

/* Opening, after recovery: a crash may have taken records that a pin stood behind. Such pins stand at the
 * next LSN then, with a warning each: they would not hold what comes in the place of those records. */
void vv_pin_fit(struct varve_log *log, uint64_t next_lsn);

/* The lowest pin, or NULL when there is none. */
const struct vv_pin *vv_pin_lowest(const struct vv_pins *pins);

/* Makes the moves durable that did not wait. pins_mutex is held. Errors: IO NOSPC NOMEM. */
int vv_pin_settle(struct varve_log *log, struct varve_error *ret_error);

/* The same at the log's end, and by the log's own thread when it is time. */
void vv_pin_tick(struct varve_log *log, bool now);

/* Drops the pins that are further behind than their limits, with a warning each. */
void vv_pin_enforce(struct varve_log *log);

/* Whether some pin has a limit of age: then looking must not wait for a change of segment. */
bool vv_pin_ages(struct varve_log *log);

#endif
