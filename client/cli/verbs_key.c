/* verbs_key.c - what kvctl can do with keys. */
#include "client/cli/verbs.h"

/* shape: table */
static const kv_cli_option key_create[] = {
    VAULT,
    NAME,
    NEED("key-type", "RSA|EC|OCT|OKP", "kty", "kind of key; OCT is symmetric, OKP is Ed25519"),
    TEXT("key-size", "BITS", "key_size", "RSA: 2048 (default), 3072, 4096; OCT: 128 to 512"),
    TEXT("curve", "P-256|P-384|P-521|P-256K", "crv", "EC; default P-256"),
    MANY("operation", "NAME", "key_ops",
         "what it may ever do: sign verify, encrypt decrypt, wrap-key unwrap-key"),
    ENABLED,
    NOT_BEFORE,
    EXPIRES,
    TAGS("tags"),
    END,
};
/* shape: table */
static const kv_cli_option key_update[] = {
    VAULT,
    NAME,
    VERSION,
    ENABLED,
    MANY("operation", "NAME", "key_ops", "what it may do"),
    NOT_BEFORE,
    EXPIRES,
    TAGS("tags.items"),
    END,
};

#define SIGNED                                                                                  \
    NEED("algorithm", "ALG", "algorithm", "RS256 PS256 ES256 HS256 (384, 512), ES256K, EdDSA"), \
        OWN("message-file", "FILE", "what is signed, hashed here; - is standard input"),        \
        OWN("digest", "HEX", "the hash of what is signed, in hexadecimal or base64"),           \
        SWITCH("der", "an ECDSA signature as OpenSSL wants it, not r and s side by side")

/* shape: table */
static const kv_cli_option key_sign[] = {
    VAULT,
    NAME,
    VERSION,
    SIGNED,
    OWN("signature-file", "FILE", "write the signature's bytes there; - is standard output"),
    OVERWRITE,
    END,
};
/* shape: table */
static const kv_cli_option key_verify[] = {
    VAULT,
    NAME,
    VERSION,
    SIGNED,
    OWN_NEED("signature-file", "FILE", "with the signature's bytes; - is standard input"),
    END,
};
#define PLAINTEXT                                                                                 \
    NEED("algorithm", "ALG", "algorithm", "RSA-OAEP-256, A256GCM, A256KW, AES-KEY-WRAP-PAD ..."), \
        OWN("file", "FILE", "with the plaintext; default, or -: standard input (-f)")
#define SEALED                                                                                     \
    OWN("sealed-file", "FILE", "JSON as printed on the way there; default, or -: standard input"), \
        FILE_OUT, TEXT("algorithm", "ALG", "algorithm", "default: as the JSON says"), OVERWRITE

/* shape: table */
static const kv_cli_option key_encrypt[] = {
    VAULT,
    NAME,
    VERSION,
    PLAINTEXT,
    TEXT("iv", "HEX", "iv", "CBC: 16 bytes; default: the token chooses"),
    TEXT("aad", "HEX", "aad", "GCM: authenticated too"),
    END,
};
/* shape: table */
static const kv_cli_option key_wrap[] = { VAULT, NAME, VERSION, PLAINTEXT, END };
/* shape: table */
static const kv_cli_option key_decrypt[] = { VAULT, NAME, VERSION, SEALED, END };
/* shape: table */
static const kv_cli_option key_import[] = {
    VAULT,
    NAME,
    OWN("file", "FILE",
        "with the private key, PEM, PKCS#8 or JWK; default, or -: standard input (-f)"),
    OWN("byok-file", "FILE", "a key wrapped for a key-exchange key: .byok file, or the bytes"),
    OWN("public-key-file", "FILE", "of the wrapped key, PEM or DER"),
    OWN("exchange-key", "NAME[/VERSION]", "it was wrapped for; default: as the .byok file says"),
    SWITCH("symmetric", "the file's bytes themselves are the key"),
    MANY("operation", "NAME", "key_ops", "what it may ever do; as for key create"),
    ENABLED,
    NOT_BEFORE,
    EXPIRES,
    TAGS("tags"),
    END,
};
/* shape: table */
static const kv_cli_option key_random[] = { VAULT,
                                            NEED("count", "N", "count", "how many bytes, 1 to 128"),
                                            END };
/* shape: table */
static const kv_cli_option key_download[] = {
    VAULT, NAME, VERSION, FILE_OUT, OWN("format", "pem|der", "default pem"), OVERWRITE, END,
};

/* shape: table */
static const kv_cli_option key_rotation_policy[] = {
    VAULT,
    NAME,
    { "policy", "@FILE|JSON", "all of it, as `rotation-policy show --query policy` prints it",
      "policy", KV_OPTION_JSON, 0 },
    OWN("rotate-after", "DURATION", "a new version so long after the last one: P90D, P1Y"),
    OWN("rotate-before-expiry", "DURATION", "or so long before the last one expires"),
    OWN("notify-before-expiry", "DURATION", "tell so long before it expires; default P30D"),
    TEXT("expiry-time", "DURATION", "policy.attributes.expiry_time", "life of new versions"),
    TEXT("disable-after", "DURATION", "policy.retirement.disable_after",
         "disable a version so long after it was followed"),
    TEXT("destroy-after", "DURATION", "policy.retirement.destroy_after",
         "and destroy it, if that is permitted: what it encrypted is lost"),
    END,
};
/* shape: table */
static const kv_cli_option key_permit_destruction[] = {
    VAULT,
    NAME,
    NEED("disable-after", "DURATION", "disable_after", "as the policy has it"),
    NEED("destroy-after", "DURATION", "destroy_after", "as the policy has it"),
    END,
};

#define KEY_COLUMNS                                                       \
    "NAME=id.name VERSION=id.version TYPE=key.kty:KEY_TYPE_ SIZE=keySize" \
    " ENABLED=attributes.enabled MANAGED=managed EXPORTABLE=exportable"   \
    " CREATED=attributes.created:time"
#define KEY_ITEM_COLUMNS                                                         \
    "NAME=id.name VERSION=id.version ENABLED=attributes.enabled MANAGED=managed" \
    " CREATED=attributes.created:time PURGED=deletion.scheduledPurgeDate:time"
#define SIGNATURE_COLUMNS \
    "NAME=id.name VERSION=id.version ALGORITHM=algorithm:SIGNATURE_ALGORITHM_ SIGNATURE=signature"
#define CIPHER_COLUMNS                                                                        \
    "NAME=id.name VERSION=id.version ALGORITHM=algorithm:ENCRYPTION_ALGORITHM_ IV=iv TAG=tag" \
    " CIPHERTEXT=ciphertext"
#define VERIFY_COLUMNS "NAME=id.name VERSION=id.version VALID=valid"

/* clang-format off */
/* shape: table */
const kv_cli_verb kv_cli_verbs_key[] = {
    { "key", "create", "make a key on the token", API "KeyService/CreateKey", key_create,
      kv_cli_run_call, KEY_COLUMNS },
    { "key", "show", "one key, its public half", API "KeyService/GetKey", kv_cli_of_version,
      kv_cli_run_call, KEY_COLUMNS },
    { "key", "list", "the newest version of each", API "KeyService/ListKeys", kv_cli_of_vault,
      kv_cli_run_list, KEY_ITEM_COLUMNS },
    { "key", "list-versions", "all versions of one", API "KeyService/ListKeyVersions",
      kv_cli_of_name, kv_cli_run_list, KEY_ITEM_COLUMNS },
    { "key", "download", "the public key, to a file", API "KeyService/GetKey", key_download,
      kv_cli_key_download, NULL },
    { "key", "set-attributes", "enable, disable, tag a version, say what it may do",
      API "KeyService/UpdateKey", key_update, kv_cli_run_call, KEY_COLUMNS },
    { "key", "sign", "sign a file or a digest on the token", API "KeyService/Sign", key_sign,
      kv_cli_key_sign, SIGNATURE_COLUMNS },
    { "key", "verify", "verify a signature; exit code 8 if it is not valid",
      API "KeyService/Verify", key_verify, kv_cli_key_verify, VERIFY_COLUMNS },
    { "key", "encrypt", "encrypt a small file; bulk data has a data key of its own",
      API "KeyService/Encrypt", key_encrypt, kv_cli_key_encrypt, CIPHER_COLUMNS },
    { "key", "decrypt", "the way back, to a file", API "KeyService/Decrypt", key_decrypt,
      kv_cli_key_decrypt, NULL },
    { "key", "wrap", "wrap the bytes of another key", API "KeyService/WrapKey", key_wrap,
      kv_cli_key_encrypt, CIPHER_COLUMNS },
    { "key", "unwrap", "the way back, to a file", API "KeyService/UnwrapKey", key_decrypt,
      kv_cli_key_decrypt, NULL },
    { "key", "import", "put a key on the token that was made elsewhere",
      API "KeyService/ImportKey", key_import, kv_cli_key_import, KEY_COLUMNS },
    { "key", "rotate", "make the next version now, like the current one",
      API "KeyService/RotateKey", kv_cli_of_name, kv_cli_run_call, KEY_COLUMNS },
    { "key", "rotation-policy show", "when a key is rotated, and what becomes of old versions",
      API "KeyService/GetKeyRotationPolicy", kv_cli_of_name, kv_cli_run_call, NULL },
    { "key", "rotation-policy update", "replace all of it; --policy '{}' takes it away",
      API "KeyService/UpdateKeyRotationPolicy", key_rotation_policy,
      kv_cli_rotation_policy_update, NULL },
    { "key", "rotation-policy permit-destruction",
      "let it destroy old versions; what they encrypted is lost",
      API "KeyService/PermitKeyDestruction", key_permit_destruction, kv_cli_run_call, NULL },
    { "key", "rotation-policy forbid-destruction", "take that back",
      API "KeyService/PermitKeyDestruction", kv_cli_of_name, kv_cli_run_call, NULL },
    { "key", "random", "random bytes of the token", API "KeyService/GetRandomBytes", key_random,
      kv_cli_run_call, "VALUE=value" },
    DELETION("key", "KeyService", "Key", "Keys", KEY_COLUMNS, KEY_ITEM_COLUMNS),
    { .noun = NULL },
};
/* clang-format on */
