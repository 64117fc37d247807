/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VV_LOG_OPTIONS_H
#define VV_LOG_OPTIONS_H

#include "varve/error.h"
#include "varve/options.h"

/* Copies the caller's options (NULL = none), checks them, fills in every default but sector_bytes and
 * backend, which depend on the device. Errors: INVALID (the message names the option). */
int vv_options_fill(const struct varve_options *options, struct varve_options *ret_options,
                    struct varve_error *ret_error);

/* The caller's options at their full size, unchecked; all zero for NULL. */
void vv_options_copy(const struct varve_options *options, struct varve_options *ret_options);

#endif
