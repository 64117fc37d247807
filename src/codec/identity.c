/* SPDX-License-Identifier: Apache-2.0 */
/* The codec that does nothing. Whoever encodes asks for its id and leaves the bytes where they are. */
#include "codec/codec.h"

const struct varve_codec vv_codec_identity = {
    .size = sizeof(struct varve_codec),
    .id = VARVE_CODEC_IDENTITY,
    .name = "identity",
};
