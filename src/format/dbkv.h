/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of the format dbkv, for those who check it and those who take it apart. */
#ifndef VV_FORMAT_DBKV_H
#define VV_FORMAT_DBKV_H

#include "format/fb.h"
#include "varve/payload.h"

/* Passes over one value with all that it holds; an error where it breaks the rules. `within`: so many lists
 * and maps lie around it. */
void vv_dbkv_check_value(struct vv_fb *fb, unsigned within);

/* Whether it is a decimal number in plain notation. */
bool vv_dbkv_is_decimal(const uint8_t *text, size_t len);

#endif
