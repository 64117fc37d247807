/* SPDX-License-Identifier: Apache-2.0 */
/* What the log's own thread does about old records, beside making segments. */
#ifndef VV_LOG_RETAIN_H
#define VV_LOG_RETAIN_H

#include "log/log.h"

/* When there is something that only time brings about, it is looked at this often. */
#define VV_RETAIN_LOOK_US (10u * 1000u * 1000u)

/* Called whenever the thread is awake. */
void vv_retain_tick(struct varve_log *log);
/* How long it may sleep; VV_WAIT_FOREVER when only a change of segment can bring work. */
int64_t vv_retain_sleep_us(struct varve_log *log);

#endif
