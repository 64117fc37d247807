/* SPDX-License-Identifier: Apache-2.0 */
/* The one callback on the durable LSN: replaced as a whole, so that function and argument always belong
 * together. */
#ifndef VV_LOG_OBSERVER_H
#define VV_LOG_OBSERVER_H

#include "varve/log.h"

struct vv_observer {
    varve_durable_fn fn;
    void *arg;
};

#endif
