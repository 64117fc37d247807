/* SPDX-License-Identifier: Apache-2.0 */
/* Varve, a write-ahead log. This header includes all others of libvarve; those of libvarvekv, varve/txn.h,
 * varve/kv.h and varve/stream.h, stand on their own. */
#ifndef VARVE_VARVE_H
#define VARVE_VARVE_H

#include "varve/codec.h"
#include "varve/convert.h"
#include "varve/cursor.h"
#include "varve/error.h"
#include "varve/format.h"
#include "varve/health.h"
#include "varve/inspect.h"
#include "varve/io.h"
#include "varve/keys.h"
#include "varve/log.h"
#include "varve/lost.h"
#include "varve/message.h"
#include "varve/metrics.h"
#include "varve/options.h"
#include "varve/payload.h"
#include "varve/pin.h"
#include "varve/repair.h"
#include "varve/retain.h"
#include "varve/writeset.h"

#define VARVE_VERSION_MAJOR  0
#define VARVE_VERSION_MINOR  1
#define VARVE_VERSION_PATCH  0
#define VARVE_VERSION_STRING "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that is loaded, as "major.minor.patch". Static. */
VARVE_API const char *varve_version(void);

#ifdef __cplusplus
}
#endif

#endif
