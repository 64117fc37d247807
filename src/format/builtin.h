/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the formats that the library brings. */
#ifndef VV_FORMAT_BUILTIN_H
#define VV_FORMAT_BUILTIN_H

#include "varve/format.h"

extern const struct varve_format vv_format_varve; /* facts only: src/log drives it */
extern const struct varve_format vv_format_stra;
extern const struct varve_format vv_format_wlog;
extern const struct varve_format vv_format_aero;
extern const struct varve_format vv_format_dbkv;
extern const struct varve_format vv_format_lfwal;

/* The meta files. */
size_t vv_stra_manifest_put(const struct varve_format_meta *meta, uint8_t *out);
int vv_stra_manifest_get(const uint8_t *bytes, size_t len, struct varve_format_meta *ret_meta,
                         struct varve_error *ret_error);
int vv_aero_checkpoint_get(const uint8_t *bytes, size_t len, struct varve_format_meta *ret_meta,
                           struct varve_error *ret_error);

#endif
