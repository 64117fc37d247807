/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VV_LOG_DEVICE_H
#define VV_LOG_DEVICE_H

#include "log/log.h"

/* Decides log->direct and log->sector_bytes from the options and from what the file system can. Errors:
 * UNSUPPORTED (direct was asked for) IO. */
int vv_device_choose(struct varve_log *log, struct varve_error *ret_error);

#endif
