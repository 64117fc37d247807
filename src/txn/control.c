/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/control.h"

#include <string.h>

#include "base/bytes.h"

static size_t control_bytes(enum vv_control_type type)
{
    switch (type) {
    case VV_CONTROL_BEGIN:
        return VV_CONTROL_BEGIN_BYTES;
    case VV_CONTROL_COMMIT:
        return VV_CONTROL_COMMIT_BYTES;
    case VV_CONTROL_ABORT:
        return VV_CONTROL_ABORT_BYTES;
    case VV_CONTROL_WHOLE:
    case VV_CONTROL_PART:
        break;
    }
    return 0;
}

size_t vv_control_put(enum vv_control_type type, const struct vv_control *control, uint8_t *out)
{
    memset(out, 0, VV_CONTROL_BYTES_MAX);
    vv_put_u32(out, VV_CONTROL_VERSION);
    if (type == VV_CONTROL_ABORT)
        vv_put_u32(out + 4, control->reason);
    if (type != VV_CONTROL_BEGIN)
        vv_put_u64(out + 8, control->begin_lsn);
    if (type == VV_CONTROL_COMMIT) {
        vv_put_u64(out + 16, control->parts);
        vv_put_u64(out + 24, control->units);
        vv_put_u64(out + 32, control->bytes);
    }
    return control_bytes(type);
}

int vv_control_get(enum vv_control_type type, const void *payload, size_t bytes,
                   struct vv_control *ret_control, const char **ret_why)
{
    const uint8_t *at = payload;
    struct vv_control control = {0};

    if (bytes < VV_CONTROL_BEGIN_BYTES) {
        *ret_why = "it is too short";
        return VARVE_E_CORRUPT;
    }
    if (vv_get_u32(at) != VV_CONTROL_VERSION) {
        *ret_why = "its version is not 1";
        return VARVE_E_VERSION;
    }
    if (bytes != control_bytes(type)) {
        *ret_why = "it has another length";
        return VARVE_E_CORRUPT;
    }
    if (type == VV_CONTROL_ABORT)
        control.reason = vv_get_u32(at + 4);
    if (type != VV_CONTROL_BEGIN)
        control.begin_lsn = vv_get_u64(at + 8);
    if (type == VV_CONTROL_COMMIT) {
        control.parts = vv_get_u64(at + 16);
        control.units = vv_get_u64(at + 24);
        control.bytes = vv_get_u64(at + 32);
    }
    *ret_control = control;
    return 0;
}
