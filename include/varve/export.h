/* SPDX-License-Identifier: Apache-2.0 */
/* Which symbols leave the shared library. */
#ifndef VARVE_EXPORT_H
#define VARVE_EXPORT_H

#if defined(__GNUC__) || defined(__clang__)
#define VARVE_API                         __attribute__((visibility("default")))
#define VARVE_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define VARVE_MUST_CHECK                  __attribute__((warn_unused_result))
#else
#define VARVE_API
#define VARVE_PRINTF(format_at, first_at)
#define VARVE_MUST_CHECK
#endif

#endif
