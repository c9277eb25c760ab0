/* der.h - whether a certificate is written in DER, so that whoever writes it anew gets its bytes.
 *
 * OpenSSL reads more than DER and gives back what it read, names and the signed part from a copy of
 * the bytes. So the bytes themselves are judged (X.690, sections 8 to 11): tags and lengths as
 * short as they can be and never indefinite, no strings in pieces, integers, booleans, bit strings,
 * object identifiers, times and the order of sets in their one form, strings of the characters of
 * their kind; and the values of extensions just so. Of default values that are written out those
 * are found that certificates have: version 1, an extension that is not critical, a basic
 * constraint that is no CA, and trailing zeros of a key usage.
 *
 * Internal to this folder. Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>

#include "server/base/slice.h"

/* Exactly one value, and all in it that its tags tell. Deeper than 32 levels is false. */
bool kv_x509_is_der(kv_slice bytes);

/* Of a whole certificate, signed or not, that has been parsed. */
bool kv_x509_certificate_is_der(kv_slice der);
