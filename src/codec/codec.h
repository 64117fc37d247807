/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codecs with their contexts: an encoder is one codec for one thread at a time, a decoder is whatever codecs
 * a reader meets. Pure but for the memory and the keys that they hold.
 */
#ifndef VV_CODEC_CODEC_H
#define VV_CODEC_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/codec.h"

/* Nothing that was packed was larger before: a slot is at most this, and what is larger is not packed. So a
 * few bytes that claim to be gigabytes are refused before anything is allocated for them. */
#define VV_CODEC_PACKED_MAX (UINT64_C(64) << 20)

/* What a codec that seals may add before and behind, and the size of its key: both stay in buffers of the
 * log. */
#define VV_CODEC_EDGE_MAX 1024u
#define VV_CODEC_KEY_MAX  4096u

/* Varve's own. Those of libraries that were left out of the build are not there. */
extern const struct varve_codec vv_codec_identity;
extern const struct varve_codec vv_codec_lz4;
extern const struct varve_codec vv_codec_zstd;
extern const struct varve_codec vv_codec_aesgcm;
extern const struct varve_codec vv_codec_zstd_aesgcm;

/* -- stack.c: every codec seen as a stack of at most two -- */
const struct varve_codec *vv_codec_packer(const struct varve_codec *codec); /* NULL: it does not pack */
const struct varve_codec *vv_codec_sealer(const struct varve_codec *codec); /* NULL: it does not seal */
/* How many bytes more than it was given a codec makes of what it does not pack. */
uint32_t vv_codec_overhead(const struct varve_codec *codec);

/* -- encoder.c -- */
struct vv_encoder {
    const struct varve_codec *codec;
    const struct varve_codec *packer, *sealer; /* of it; NULL: it has none */
    void *packing, *sealing;                   /* their contexts */
};

/* Errors: those of the codecs' open. To be closed, also where opening failed. */
int vv_encoder_open(struct vv_encoder *encoder, const struct varve_codec *codec,
                    const struct varve_codec_setup *setup, struct varve_error *ret_error);
void vv_encoder_close(struct vv_encoder *encoder);

/* Packs into at most `room` bytes. false: it does not, or would not fit. */
bool vv_encoder_pack(struct vv_encoder *encoder, const void *bytes, size_t length, void *out, size_t room,
                     size_t *ret_length);
/* Seals `length` bytes into out, which has vv_codec_overhead more; `bytes` may be where they will stand in
 * it, behind the sealer's head. */
int vv_encoder_seal(struct vv_encoder *encoder, const struct varve_codec_unit *unit, const void *bytes,
                    size_t length, void *out);
/* The id that says what was done. */
uint8_t vv_encoder_id(const struct vv_encoder *encoder, bool packed);

/* All of it, for one piece by itself, as in formats that encode each payload: `out` has `room` bytes, at
 * least `length` and the overhead. *ret_id says how it is to be decoded. */
int vv_encoder_encode(struct vv_encoder *encoder, const struct varve_codec_unit *unit, const void *bytes,
                      size_t length, void *out, size_t room, size_t *ret_length, uint8_t *ret_id);

/* -- decoder.c -- */
struct vv_decoder {
    struct varve_codec_setup setup;
    struct vv_decoder_entry {
        const struct varve_codec *codec;
        void *context;
    } entries[8]; /* of codecs that were met; the last one gives way when there are more */
    unsigned count;
    uint8_t *scratch; /* between the two of a stack */
    size_t scratch_room;
};

/* `setup`: uuid, keys and dictionaries; it is copied. */
void vv_decoder_init(struct vv_decoder *decoder, const struct varve_codec_setup *setup);
void vv_decoder_close(struct vv_decoder *decoder);

/* Whether `length` bytes can have been `raw_length` before codec `id`: to be asked before anything is
 * allocated. Errors: CODEC (not there) CORRUPT. */
int vv_decoder_check(uint32_t id, size_t length, size_t raw_length, struct varve_error *ret_error);
/* Gives exactly raw_length bytes. Errors: CODEC CORRUPT DICTIONARY KEY_MISSING KEY_WRONG NOMEM IO. */
int vv_decoder_decode(struct vv_decoder *decoder, uint32_t id, const struct varve_codec_unit *unit,
                      const void *bytes, size_t length, void *out, size_t raw_length,
                      struct varve_error *ret_error);

#endif
