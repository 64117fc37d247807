/* SPDX-License-Identifier: Apache-2.0 */
/* A master key and what it is wanted for -> a key for that alone. */
#include "codec/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdint.h>

/* libcrypto's parameters are not const, though it only reads these. */
static OSSL_PARAM octets(const char *name, const void *bytes, size_t length)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes, length);
}

bool vv_hkdf_sha256(const void *salt, size_t salt_bytes, const void *key, size_t key_bytes, const void *info,
                    size_t info_bytes, void *out, size_t out_bytes)
{
    char digest[] = "SHA2-256";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[5], *p = params;
    int ok = 0;

    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    *p++ = octets(OSSL_KDF_PARAM_KEY, key, key_bytes);
    if (salt_bytes > 0)
        *p++ = octets(OSSL_KDF_PARAM_SALT, salt, salt_bytes);
    if (info_bytes > 0)
        *p++ = octets(OSSL_KDF_PARAM_INFO, info, info_bytes);
    *p = OSSL_PARAM_construct_end();
    if (ctx)
        ok = EVP_KDF_derive(ctx, out, out_bytes, params);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok == 1;
}
