/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics in a file for other processes: the option metrics_file. */
#ifndef VV_LOG_EXPORT_H
#define VV_LOG_EXPORT_H

#include "log/log.h"

#define VV_EXPORT_PERIOD_US (250u * 1000u)

/* Opens the file and starts the thread, where the option asks for them. Errors: IO LOCKED NOT_REGULAR NOMEM
 * UNSUPPORTED. */
int vv_export_start(struct varve_log *log, struct varve_error *ret_error);

/* Stops the thread and writes for the last time, where there is one. `forked`: the thread is the parent's,
 * and only this process's copies of the file's descriptor and mapping go. */
void vv_export_stop(struct varve_log *log, bool forked);

#endif
