/* mbed.h - the digests' states and the points of curves of mbedtls, as 2.28 (Debian 12) and 3.6 (Debian 13) have them:
 * under the names of 3, which calls members private that an accelerator has in registers. */
#ifndef SIM_MBED_H
#define SIM_MBED_H

#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <mbedtls/version.h>

#if MBEDTLS_VERSION_MAJOR < 3
#define mbedtls_sha1_starts mbedtls_sha1_starts_ret
#define mbedtls_sha256_starts mbedtls_sha256_starts_ret
#define mbedtls_sha512_starts mbedtls_sha512_starts_ret
#endif

#endif
