/* proof.h - showing that one knows a shared secret without saying it: HMAC-SHA256 (RFC 2104) of a number that
 * the other side has chosen. */
#ifndef PROOF_H
#define PROOF_H

#include <stddef.h>
#include <stdint.h>

enum { PROOF_SIZE = 32, PROOF_NONCE = 16, PROOF_SECRET_MIN = 8, PROOF_SECRET_MAX = 1024 };

/* In a telnet subnegotiation of the option AUTHENTICATION (RFC 2941): what is ours begins with this. */
enum { PROOF_OPTION = 37 };
#define PROOF_MARK "esplua1"

/* The proof for a nonce with the secret in a file: its bytes without line ends at the end. Returns 0, or -1
 * with a text in error, which has size bytes. The secret is wiped before it returns. */
int proof_make(const char *path, const uint8_t *nonce, size_t n, uint8_t out[PROOF_SIZE], char *error,
               size_t size);

#endif
