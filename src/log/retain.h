/* SPDX-License-Identifier: Apache-2.0 */
/* Which old segments go: the reckoning, and the part of the log's own thread. */
#ifndef VV_LOG_RETAIN_H
#define VV_LOG_RETAIN_H

#include "log/log.h"
#include "log/shape.h"
#include "varve/retain.h"

/* When there is something that only time brings about, it is looked at this often. */
#define VV_RETAIN_LOOK_US (10u * 1000u * 1000u)

/* What the rules let go at this moment. `lowest`: the lowest pin, or NULL. Sets everything but size. Pure. */
void vv_retain_plan(const struct vv_shape *shape, const struct varve_retain_rules *rules, uint64_t now_us,
                    const struct vv_pin *lowest, struct varve_retain_plan *ret_plan);

/* Called whenever the thread is awake. */
void vv_retain_tick(struct varve_log *log);
/* How long it may sleep; VV_WAIT_FOREVER when only a change of segment can bring work. */
int64_t vv_retain_sleep_us(struct varve_log *log);

#endif
