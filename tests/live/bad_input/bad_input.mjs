// One rule broken in each row: what is called, with what, and which code, field and reason come
// back. After every row the next valid call, on the same connection, is answered.
//
// A row: [what, method, request or bytes, field, { code, reason, who }]. Without a code it is
// INVALID_ARGUMENT about `field`; field null: the message as a whole; code 'OK': just inside the
// rule.
import assert from 'node:assert';
import test, { after, before } from 'node:test';
import { Keyvault, encode, selfSigned } from '../support/keyvault.mjs';

const SHOP = { vault: 'shop' };
const KEY = { vault: 'shop', name: 'ec' };
const HEX = '0123456789abcdef0123456789abcdef';
let server;
const callers = {};

// --- bytes of protobuf that no encoder makes ---

const varint = (value) => {
  const out = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    out.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest);
  return Buffer.from(out);
};
const field = (number, bytes) => Buffer.concat([varint((number << 3) | 2),
  varint(Buffer.from(bytes).length), Buffer.from(bytes)]);
const number = (at, value) => Buffer.concat([varint(at << 3), varint(value)]);
const join = (...parts) => Buffer.concat(parts);
const shop = field(1, 'shop');
const ec = field(2, 'ec');
const times = (count, make) => Array.from({ length: count }, (_, i) => make(i));

// --- the table ---

const repeat = (text, count) => text.repeat(count);
const tag = (name = 'a', value = 'b') => ({ name, value });
const tags = (count) => times(count, (i) => tag(`t${i}`));
const create = (more) => ({ vault: 'shop', name: 'new', kty: 'EC', ...more });
const sign = (more) => ({ ...KEY, algorithm: 'ES256', ...more });
const secret = (more) => ({ vault: 'shop', name: 'new', value: Buffer.from('x'), ...more });
const bytes = (length, fill = 1) => Buffer.alloc(length, fill);

const GET_KEY = 'KeyService/GetKey';
const CREATE_KEY = 'KeyService/CreateKey';
const SIGN = 'KeyService/Sign';
const VERIFY = 'KeyService/Verify';
const ENCRYPT = 'KeyService/Encrypt';
const DECRYPT = 'KeyService/Decrypt';
const WRAP = 'KeyService/WrapKey';
const IMPORT = 'KeyService/ImportKey';
const RANDOM = 'KeyService/GetRandomBytes';
const LIST_KEYS = 'KeyService/ListKeys';
const SET = 'SecretService/SetSecret';
const GET_SECRET = 'SecretService/GetSecret';
const VAULT = 'VaultService/CreateVault';
const CERTIFICATE = 'CertificateService/CreateCertificate';
const FIND = 'CertificateService/GetCertificate';
const ISSUE = 'AccessService/IssueRoleToken';
const ASSIGN = 'AccessService/AssignRole';
const MAP = 'AccessService/AddCredential';
const PERSON = 'AccessService/CreatePrincipal';
const SEARCH = 'AuditService/SearchAudit';

const names = [
  ['a name that is empty', GET_KEY, { ...SHOP, name: '' }, 'name'],
  ['a name of 128 characters', GET_KEY, { ...SHOP, name: repeat('a', 128) }, 'name'],
  ['a name of 127 characters', CREATE_KEY, create({ name: repeat('a', 127) }), '', { code: 'OK' }],
  ['a name with a slash', GET_KEY, { ...SHOP, name: 'a/b' }, 'name'],
  ['a name with a dot', GET_KEY, { ...SHOP, name: 'a.b' }, 'name'],
  ['a name of two dots', GET_KEY, { ...SHOP, name: '..' }, 'name'],
  ['a name with an underscore', GET_KEY, { ...SHOP, name: 'a_b' }, 'name'],
  ['a name with a space', GET_KEY, { ...SHOP, name: 'a b' }, 'name'],
  ['a name beyond ASCII', GET_KEY, { ...SHOP, name: 'schlüssel' }, 'name'],
  ['a name in other digits', GET_KEY, { ...SHOP, name: '１２' }, 'name'],
  ['a name with a NUL', GET_KEY, { ...SHOP, name: 'a\0b' }, 'name'],
  ['a name with a line break', GET_KEY, { ...SHOP, name: 'a\nb' }, 'name'],
  ['a name with a percent sign', GET_KEY, { ...SHOP, name: '%61' }, 'name'],
  ['a name of 5000 characters', GET_KEY, { ...SHOP, name: repeat('a', 5000) }, 'name'],
  ['no vault', CREATE_KEY, create({ vault: '' }), 'vault'],
  ['a vault with a slash', CREATE_KEY, create({ vault: 'sh/op' }), 'vault'],
  ['a vault with a collection', CREATE_KEY, create({ vault: 'shop/keys' }), 'vault'],
  ['the same from a caller of that vault', SIGN, { ...KEY, vault: 'shop/keys', algorithm: 'ES256',
    digest: bytes(32) }, undefined, { code: 'PERMISSION_DENIED', reason: 'PERMISSION_MISSING' }],
  ['a vault that is not there', GET_KEY, { vault: 'nowhere', name: 'ec' }, undefined,
    { code: 'PERMISSION_DENIED', reason: 'PERMISSION_MISSING' }],
  ['a key that is not there', GET_KEY, { ...SHOP, name: 'nothing' }, undefined,
    { code: 'NOT_FOUND' }],
  ['a new vault without a name', VAULT, { vault: '' }, 'vault'],
  ['a vault of 2 characters', VAULT, { vault: 'ab' }, 'vault'],
  ['a vault of 25 characters', VAULT, { vault: repeat('a', 25) }, 'vault'],
  ['a vault of 24 characters', VAULT, { vault: repeat('a', 24) }, '', { code: 'OK' }],
  ['a vault that begins with a digit', VAULT, { vault: '1abc' }, 'vault'],
  ['a vault that begins with a hyphen', VAULT, { vault: '-abc' }, 'vault'],
  ['a vault that ends with a hyphen', VAULT, { vault: 'abc-' }, 'vault'],
  ['a vault with two hyphens', VAULT, { vault: 'a--b' }, 'vault'],
  ['a vault with a dot', VAULT, { vault: 'a.bc' }, 'vault'],
  ['a vault beyond ASCII', VAULT, { vault: 'läden' }, 'vault'],
  ['a vault that is there', VAULT, { vault: 'SHOP' }, undefined, { code: 'ALREADY_EXISTS' }],
  ['retention of 6 days', VAULT, { vault: 'days', retention_days: 6 }, 'retention_days'],
  ['retention of 91 days', VAULT, { vault: 'days', retention_days: 91 }, 'retention_days'],
  ['retention of 0 days', VAULT, { vault: 'days', retention_days: 0 }, 'retention_days'],
  ['a version of 31 digits', GET_KEY, { ...KEY, version: HEX.slice(1) }, 'version'],
  ['a version of 33 digits', GET_KEY, { ...KEY, version: `${HEX}0` }, 'version'],
  ['a version in capitals', GET_KEY, { ...KEY, version: HEX.toUpperCase() }, 'version'],
  ['a version that is a word', GET_KEY, { ...KEY, version: 'latest' }, 'version'],
  ['a version that is not there', GET_KEY, { ...KEY, version: HEX }, undefined,
    { code: 'NOT_FOUND' }],
];

const keys = [
  ['RSA of 1024 bits', CREATE_KEY, create({ kty: 'RSA', key_size: 1024 }), 'key_size'],
  ['RSA of 2047 bits', CREATE_KEY, create({ kty: 'RSA', key_size: 2047 }), 'key_size'],
  ['RSA of 2049 bits', CREATE_KEY, create({ kty: 'RSA', key_size: 2049 }), 'key_size'],
  ['RSA of 8192 bits', CREATE_KEY, create({ kty: 'RSA', key_size: 8192 }), 'key_size'],
  ['RSA of the largest number', CREATE_KEY, create({ kty: 'RSA', key_size: 0xffffffff }),
    'key_size'],
  ['RSA on a curve', CREATE_KEY, create({ kty: 'RSA', crv: 'P256' }), 'crv'],
  ['EC of 255 bits', CREATE_KEY, create({ key_size: 255 }), 'key_size'],
  ['EC of the size of another curve', CREATE_KEY, create({ key_size: 256, crv: 'P384' }),
    /crv|key_size/],
  ['no key type', CREATE_KEY, create({ kty: 0 }), 'kty'],
  ['key type 5', CREATE_KEY, create({ kty: 5 }), 'kty'],
  ['key type 2147483647', CREATE_KEY, create({ kty: 2147483647 }), 'kty'],
  ['key type -1', CREATE_KEY, create({ kty: -1 }), 'kty'],
  ['curve 6', CREATE_KEY, create({ crv: 6 }), 'crv'],
  ['EC on the curve of OKP', CREATE_KEY, create({ crv: 'ED25519' }), 'crv'],
  ['OKP on a curve of EC', CREATE_KEY, create({ kty: 'OKP', crv: 'P256' }), 'crv'],
  ['a symmetric key on a curve', CREATE_KEY, create({ kty: 'OCT', crv: 'P256' }), 'crv'],
  ['a symmetric key of 64 bits', CREATE_KEY, create({ kty: 'OCT', key_size: 64 }), 'key_size'],
  ['a symmetric key of 384 bits', CREATE_KEY, create({ kty: 'OCT', key_size: 384 }), 'key_size'],
  ['a signing symmetric key of 128 bits', CREATE_KEY,
    create({ kty: 'OCT', key_size: 128, key_ops: ['SIGN'] }), 'key_size'],
  ['encrypting and wrapping', CREATE_KEY, create({ kty: 'OCT', key_ops: ['DECRYPT', 'WRAP_KEY'] }),
    'key_ops'],
  ['signing and decrypting', CREATE_KEY, create({ kty: 'RSA', key_ops: ['SIGN', 'DECRYPT'] }),
    'key_ops'],
  ['key operation 8', CREATE_KEY, create({ key_ops: [1, 8] }), 'key_ops[1]'],
  ['key operation 0', CREATE_KEY, create({ key_ops: [0] }), 'key_ops[0]'],
  ['encryption with an EC key', CREATE_KEY, create({ key_ops: ['ENCRYPT'] }), 'key_ops'],
  ['17 key operations', CREATE_KEY, create({ key_ops: times(17, () => 1) }), 'key_ops'],
  ['no algorithm', SIGN, sign({ algorithm: 0, message: bytes(1) }), 'algorithm'],
  ['algorithm 15', SIGN, sign({ algorithm: 15, message: bytes(1) }), 'algorithm'],
  ['EdDSA with an EC key', SIGN, sign({ algorithm: 'EDDSA', message: bytes(1) }), 'algorithm'],
  ['HMAC with an EC key', SIGN, sign({ algorithm: 'HS256', message: bytes(1) }), 'algorithm'],
  ['RSA\'s algorithm with an EC key', SIGN, sign({ algorithm: 'RS256', message: bytes(1) }),
    'algorithm'],
  ['PSS with an EC key', SIGN, sign({ algorithm: 'PS256', digest: bytes(32) }), 'algorithm'],
  ['another curve\'s algorithm', SIGN, sign({ algorithm: 'ES384', digest: bytes(48) }),
    'algorithm'],
  ['EC\'s algorithm with an RSA key', SIGN,
    { ...SHOP, name: 'rsa', algorithm: 'ES256', digest: bytes(32) }, 'algorithm'],
  ['a digest of 31 bytes', SIGN, sign({ digest: bytes(31) }), 'digest'],
  ['a digest of 33 bytes', SIGN, sign({ digest: bytes(33) }), 'digest'],
  ['a digest of 48 bytes', SIGN, sign({ digest: bytes(48) }), 'digest'],
  ['a digest of 0 bytes', SIGN, join(encode(SIGN, sign({})), field(5, '')), 'digest'],
  ['a digest of 32 bytes', SIGN, sign({ digest: bytes(32) }), '', { code: 'OK' }],
  ['a digest of 32 bytes for SHA-512', SIGN,
    { ...SHOP, name: 'rsa', algorithm: 'PS512', digest: bytes(32) }, 'digest'],
  ['neither digest nor message', SIGN, sign({}), 'digest'],
  ['digest and message', SIGN, join(shop, ec, number(4, 7), field(5, bytes(32)), field(6, 'x')),
    /digest|message/],
  ['an empty signature', VERIFY, sign({ message: bytes(1) }), 'signature'],
  ['a signature of 1025 bytes', VERIFY, sign({ message: bytes(1), signature: bytes(1025) }),
    'signature'],
  ['a signature of 3 bytes', VERIFY, sign({ message: bytes(1), signature: bytes(3) }), '',
    { code: 'OK' }],
  ['verification with another curve\'s algorithm', VERIFY,
    sign({ algorithm: 'ES512', digest: bytes(64), signature: bytes(132) }), 'algorithm'],
  ['verification of a digest of 31 bytes', VERIFY,
    sign({ digest: bytes(31), signature: bytes(64) }), 'digest'],
];

const encrypt = (more) => ({ ...SHOP, name: 'aes', algorithm: 'A256GCM', ...more });
const imported = (more) => ({ ...SHOP, name: 'in', ...more });

const ciphers = [
  ['encryption without algorithm', ENCRYPT, encrypt({ algorithm: 0, plaintext: bytes(1) }),
    'algorithm'],
  ['encryption with algorithm 18', ENCRYPT, encrypt({ algorithm: 18, plaintext: bytes(1) }),
    'algorithm'],
  ['encryption with the algorithm of another size', ENCRYPT,
    encrypt({ algorithm: 'A128GCM', plaintext: bytes(1) }), 'algorithm'],
  ['encryption with RSA\'s algorithm', ENCRYPT,
    encrypt({ algorithm: 'RSA_OAEP', plaintext: bytes(1) }), 'algorithm'],
  ['CBC where the vault does not allow it', ENCRYPT,
    encrypt({ algorithm: 'A256CBC', plaintext: bytes(16) }), 'algorithm'],
  ['wrapping\'s algorithm to encrypt', ENCRYPT,
    encrypt({ algorithm: 'A256KW', plaintext: bytes(16) }), 'algorithm'],
  ['a chosen IV for GCM', ENCRYPT, encrypt({ plaintext: bytes(1), iv: bytes(12) }), 'iv'],
  ['a plaintext of 16,385 bytes', ENCRYPT, encrypt({ plaintext: bytes(16_385) }), 'plaintext'],
  ['a plaintext of 16,384 bytes', ENCRYPT, encrypt({ plaintext: bytes(16_384) }), '',
    { code: 'OK' }],
  ['an aad of 16,385 bytes', ENCRYPT, encrypt({ plaintext: bytes(1), aad: bytes(16_385) }), 'aad'],
  ['a ciphertext of 16,385 bytes', DECRYPT, encrypt({ ciphertext: bytes(16_385) }), 'ciphertext'],
  ['encryption with a key that signs', ENCRYPT, { ...KEY, algorithm: 'RSA_OAEP',
    plaintext: bytes(1) }, undefined, { code: 'FAILED_PRECONDITION', reason: 'OPERATION_NOT_PERMITTED' }],
  ['wrapping with a key that encrypts', WRAP,
    encrypt({ algorithm: 'A256KW', plaintext: bytes(16) }), undefined,
    { code: 'FAILED_PRECONDITION', reason: 'OPERATION_NOT_PERMITTED' }],
  ['signing with a key that encrypts', SIGN,
    encrypt({ algorithm: 'HS256', message: bytes(1) }), undefined,
    { code: 'FAILED_PRECONDITION', reason: 'OPERATION_NOT_PERMITTED' }],
  ['no key to import', IMPORT, imported({}), 'key'],
  ['a key of no type', IMPORT, imported({ key: { kty: 0, k: bytes(32) } }), 'key.kty'],
  ['a symmetric key of 31 bytes', IMPORT, imported({ key: { kty: 'OCT', k: bytes(31) } }),
    'key.k'],
  ['a symmetric key without bytes', IMPORT, imported({ key: { kty: 'OCT' } }), 'key.k'],
  ['PKCS#8 of 4097 bytes', IMPORT, imported({ pkcs8: bytes(4097) }), 'pkcs8'],
  ['PKCS#8 that is none', IMPORT, imported({ pkcs8: bytes(100) }), 'pkcs8'],
  ['an EC key without curve', IMPORT, imported({ key: { kty: 'EC', d: bytes(32) } }), 'key.crv'],
  ['an EC key of another length', IMPORT,
    imported({ key: { kty: 'EC', crv: 'P256', d: bytes(31), x: bytes(32), y: bytes(32) } }),
    'key.d'],
  ['an EC key off the curve', IMPORT,
    imported({ key: { kty: 'EC', crv: 'P256', d: bytes(32), x: bytes(32), y: bytes(32) } }), 'key'],
  ['an RSA key without primes', IMPORT,
    imported({ key: { kty: 'RSA', n: bytes(256), e: bytes(3), d: bytes(256) } }), 'key.p'],
  ['no random bytes', RANDOM, { vault: 'shop', count: 0 }, 'count'],
  ['129 random bytes', RANDOM, { vault: 'shop', count: 129 }, 'count'],
];

const about = [
  ['16 tags', CREATE_KEY, create({ tags: tags(16) }), 'tags'],
  ['10,000 tags', CREATE_KEY, create({ tags: tags(10_000) }), 'tags'],
  ['16 tags in an update', 'KeyService/UpdateKey', { ...KEY, tags: { items: tags(16) } },
    /^tags/],
  ['a tag without a name', CREATE_KEY, create({ tags: [tag(''), tag()] }), 'tags[0].name'],
  ['a tag\'s name of 257 bytes', CREATE_KEY, create({ tags: [tag(), tag(repeat('n', 257))] }),
    'tags[1].name'],
  ['a tag\'s name of 256 bytes', CREATE_KEY,
    create({ name: 'tagged', tags: [tag(repeat('n', 256), repeat('v', 256)), ...tags(14)] }), '',
    { code: 'OK' }],
  ['a tag\'s name of 129 two-byte characters', CREATE_KEY,
    create({ tags: [tag(repeat('é', 129))] }), 'tags[0].name'],
  ['a tag\'s value of 257 bytes', CREATE_KEY, create({ tags: [tag('a', repeat('v', 257))] }),
    'tags[0].value'],
  ['a tag twice', CREATE_KEY, create({ tags: [tag('a'), tag('b'), tag('a')] }), 'tags[2].name'],
  ['a tag with a line break', CREATE_KEY, create({ tags: [tag('a', 'b\nc')] }), 'tags[0].value'],
  ['expiry before the beginning', CREATE_KEY,
    create({ attributes: { not_before: 2000, expires: 1000 } }), 'attributes.expires'],
  ['expiry at the beginning', CREATE_KEY,
    create({ attributes: { not_before: 2000, expires: 2000 } }), 'attributes.expires'],
  ['a time before 1970', CREATE_KEY, create({ attributes: { not_before: -1 } }),
    'attributes.not_before'],
  ['an expiry before 1970', SET, secret({ attributes: { expires: -5 } }), 'attributes.expires'],
  ['a time in the year 10000', SET, secret({ attributes: { expires: 253402300800 } }),
    'attributes.expires'],
  ['the smallest time', SET, join(encode(SET, secret({})), field(5, number(2, -(2n ** 63n)))),
    'attributes.not_before'],
  ['an update that ends before it begins', 'SecretService/UpdateSecret',
    { ...SHOP, name: 'word', attributes: { not_before: 3000, expires: 1000 } },
    'attributes.expires'],
  ['100,000 items in a page', LIST_KEYS, { ...SHOP, page_size: 100_000 }, 'page_size'],
  ['1,001 items in a page', LIST_KEYS, { ...SHOP, page_size: 1001 }, 'page_size'],
  ['1,000 items in a page', LIST_KEYS, { ...SHOP, page_size: 1000 }, '', { code: 'OK' }],
  ['a page token of garbage', LIST_KEYS, { ...SHOP, page_token: Buffer.from('/../garbage') },
    'page_token'],
  ['a page token of 5,000 bytes', LIST_KEYS, { ...SHOP, page_token: bytes(5000) }, 'page_token'],
  ['a page token of zeros', 'SecretService/ListSecrets', { ...SHOP, page_token: bytes(32, 0) },
    'page_token'],
  ['a page token in the list of vaults', 'VaultService/ListVaults', { page_token: bytes(3) },
    'page_token'],
  ['501 principals in a page', 'AccessService/ListPrincipals', { page_size: 501 }, 'page_size'],
  ['a page token of principals', 'AccessService/ListPrincipals', { page_token: bytes(40) },
    'page_token'],
];

const secrets = [
  ['a value of 25 KiB and one byte', SET, secret({ value: bytes(25 * 1024 + 1) }), 'value'],
  ['a value of 25 KiB', SET, secret({ name: 'large', value: bytes(25 * 1024) }), '',
    { code: 'OK' }],
  ['an empty value', SET, secret({ name: 'empty', value: bytes(0) }), '', { code: 'OK' }],
  ['a value of almost 1 MiB', SET, secret({ value: bytes((1 << 20) - 100) }), 'value'],
  ['a message of more than 1 MiB', SET, secret({ value: bytes(1 << 20) }), null],
  ['a message of more than 4 MiB', SET, secret({ value: bytes(5 << 20) }), undefined,
    { code: 'RESOURCE_EXHAUSTED' }],
  ['a content type of 256 bytes', SET, secret({ content_type: repeat('x', 256) }),
    'content_type'],
  ['a name of a certificate', SET, secret({ name: 'web' }), undefined,
    { code: 'FAILED_PRECONDITION', reason: 'MANAGED' }],
  ['a form of a secret that has none', GET_SECRET, { ...SHOP, name: 'word', format: 'PEM' },
    'format'],
  ['a password for a secret that has none', GET_SECRET,
    { ...SHOP, name: 'word', pfx_password: Buffer.from('x') }, /^(format|pfx_password)$/],
  ['form 3', GET_SECRET, { ...SHOP, name: 'web', format: 3 }, 'format'],
  ['a password of 201 bytes', GET_SECRET, { ...SHOP, name: 'web', pfx_password: bytes(201, 'x') },
    'pfx_password'],
  ['a password that is not UTF-8', GET_SECRET,
    { ...SHOP, name: 'web', pfx_password: Buffer.from([0xff, 0xfe]) }, 'pfx_password'],
  ['a password for PEM', GET_SECRET,
    { ...SHOP, name: 'web', format: 'PEM', pfx_password: Buffer.from('x') }, 'pfx_password'],
];

const thumbprints = [
  ['a thumbprint of 19 bytes', FIND, { ...SHOP, x5t: bytes(19) }, 'x5t'],
  ['a thumbprint of 21 bytes', FIND, { ...SHOP, x5t: bytes(21) }, 'x5t'],
  ['a thumbprint of 0 bytes', FIND, join(shop, field(3, '')), 'x5t'],
  ['a SHA-256 thumbprint of 20 bytes', FIND, { ...SHOP, x5t_s256: bytes(20) }, 'x5t_s256'],
  ['a SHA-256 thumbprint of 33 bytes', FIND, { ...SHOP, x5t_s256: bytes(33) }, 'x5t_s256'],
  ['neither name nor thumbprint', FIND, SHOP, 'name'],
  ['name and thumbprint', FIND, join(shop, ec, field(3, bytes(20))), /name|x5t/],
  ['a thumbprint and a version', FIND, { ...SHOP, x5t: bytes(20), version: HEX }, 'version'],
  ['a thumbprint of nothing', FIND, { ...SHOP, x5t: bytes(20) }, undefined, { code: 'NOT_FOUND' }],
  ['chain format 4', 'CertificateService/GetCertificateChain', { ...SHOP, name: 'web', format: 4 },
    'format'],
];

/* Policies that are good but for what a row says. */
const policy = (change = {}) => ({
  key_props: { kty: 'EC', ...change.key },
  secret_props: change.secret ?? {},
  x509_props: { subject: 'CN=bad.example.org', ...change.x509 },
  lifetime_actions: change.actions ?? [],
  issuer: { name: 'Self', ...change.issuer },
});
const bad = (what, change, path, more) =>
  [what, CERTIFICATE, { ...SHOP, name: 'bad', policy: policy(change) }, path, more];
const sans = (what, kind, value) =>
  bad(what, { x509: { sans: kind === 'dns_names' ?
    { dns_names: ['good.example.org', value] } : { [kind]: [value] } } },
  `policy.x509_props.sans.${kind}[${kind === 'dns_names' ? 1 : 0}]`);
const action = (trigger, type = 'AUTO_RENEW') => ({ trigger, action_type: type });
const ACTION = 'policy.lifetime_actions[0]';

const policies = [
  ['a new certificate without a policy', CERTIFICATE, { ...SHOP, name: 'bad' }, 'policy'],
  ['an update without a policy', 'CertificateService/UpdateCertificatePolicy',
    { ...SHOP, name: 'web' }, 'policy'],
  bad('RSA of 1024 bits', { key: { kty: 'RSA', key_size: 1024 } }, 'policy.key_props.key_size'),
  bad('RSA of 2049 bits', { key: { kty: 'RSA', key_size: 2049 } }, 'policy.key_props.key_size'),
  bad('EC of 255 bits', { key: { key_size: 255 } }, 'policy.key_props.key_size'),
  bad('the size of another curve', { key: { key_size: 384, crv: 'P256' } },
    'policy.key_props.key_size'),
  bad('RSA on a curve', { key: { kty: 'RSA', crv: 'P256' } }, 'policy.key_props.crv'),
  bad('key type 9', { key: { kty: 9 } }, 'policy.key_props.kty'),
  bad('curve 9', { key: { crv: 9 } }, 'policy.key_props.crv'),
  bad('a content type of its own', { secret: { content_type: 'text/plain' } },
    'policy.secret_props.content_type'),
  bad('neither subject nor names', { x509: { subject: '' } }, 'policy.x509_props.subject'),
  bad('a subject of 201 characters', { x509: { subject: `CN=${repeat('x', 198)}` } },
    'policy.x509_props.subject'),
  bad('a subject that is no name', { x509: { subject: 'bad.example.org' } },
    'policy.x509_props.subject'),
  bad('a subject with nothing after a comma', { x509: { subject: 'CN=a,' } },
    'policy.x509_props.subject'),
  bad('a subject with an attribute unheard of', { x509: { subject: 'NONSENSE=a' } },
    'policy.x509_props.subject'),
  bad('a subject with a common name of 65 characters',
    { x509: { subject: `CN=${repeat('x', 65)}` } }, 'policy.x509_props.subject'),
  bad('a country of three letters', { x509: { subject: 'CN=a,C=DEU' } },
    'policy.x509_props.subject'),
  sans('an empty host name', 'dns_names', ''),
  sans('a host name with a hyphen in front', 'dns_names', '-a.example.org'),
  sans('a host name with an empty label', 'dns_names', 'a..example.org'),
  sans('a host name with a space', 'dns_names', 'a b.example.org'),
  sans('a host name with an underscore', 'dns_names', 'a_b.example.org'),
  sans('a host name beyond ASCII', 'dns_names', 'bücher.example.org'),
  sans('a host name of 254 bytes', 'dns_names', `${repeat('abcdefg.', 31)}abcdef`),
  sans('a label of 64 bytes', 'dns_names', `${repeat('a', 64)}.example.org`),
  sans('a wildcard over a top domain', 'dns_names', '*.org'),
  sans('a wildcard in the middle', 'dns_names', 'a.*.example.org'),
  sans('a part of a wildcard', 'dns_names', 'a*.example.org'),
  sans('an address among host names', 'dns_names', '192.0.2.1'),
  sans('a mail address without an at', 'emails', 'nobody'),
  sans('a mail address beyond ASCII', 'emails', 'jürgen@example.org'),
  sans('an address out of range', 'ip_addresses', '192.0.2.256'),
  sans('an address of three parts', 'ip_addresses', '192.0.2'),
  sans('an IPv6 address of nine parts', 'ip_addresses', '1:2:3:4:5:6:7:8:9'),
  sans('a network', 'ip_addresses', '192.0.2.0/24'),
  sans('a URI without a scheme', 'uris', '//example.org/x'),
  sans('a URI with a space', 'uris', 'https://example.org/a b'),
  sans('a URI without a host', 'uris', 'https:///x'),
  sans('a principal name without a suffix', 'upns', 'nobody'),
  bad('101 host names', { x509: { sans: { dns_names: times(101, (i) => `h${i}.example.org`) } } },
    'policy.x509_props.sans.dns_names'),
  bad('120 names of two kinds', { x509: { sans: { dns_names: times(60, (i) => `h${i}.example.org`),
    ip_addresses: times(60, (i) => `192.0.2.${i}`) } } }, 'policy.x509_props.sans'),
  bad('a usage that is a word', { x509: { ekus: ['serverAuth'] } }, 'policy.x509_props.ekus[0]'),
  bad('a usage of one number', { x509: { ekus: ['1'] } }, 'policy.x509_props.ekus[0]'),
  bad('a usage that no arc can have', { x509: { ekus: ['1.2.3', '1.40.1'] } },
    'policy.x509_props.ekus[1]'),
  bad('a usage with a leading zero', { x509: { ekus: ['1.02.3'] } }, 'policy.x509_props.ekus[0]'),
  bad('a usage twice', { x509: { ekus: ['1.2.3', '1.2.4', '1.2.3'] } },
    'policy.x509_props.ekus[2]'),
  bad('21 usages', { x509: { ekus: times(21, (i) => `1.2.3.${i}`) } }, 'policy.x509_props.ekus'),
  bad('key usage 10', { x509: { key_usage: [1, 10] } }, 'policy.x509_props.key_usage[1]'),
  bad('key usage 0', { x509: { key_usage: [0] } }, 'policy.x509_props.key_usage[0]'),
  bad('a validity of 0 months', { x509: { validity_months: 0 } },
    'policy.x509_props.validity_months'),
  bad('a validity of 1,201 months', { x509: { validity_months: 1201 } },
    'policy.x509_props.validity_months'),
  bad('an authority that may not sign',
    { x509: { basic_constraints: { ca: true }, key_usage: ['DIGITAL_SIGNATURE'] } },
    'policy.x509_props.key_usage'),
  bad('an action without a trigger', { actions: [action({})] }, `${ACTION}.trigger`),
  bad('a renewal at 0 %', { actions: [action({ lifetime_percentage: 0 })] },
    /^policy\.lifetime_actions\[0\]\.trigger/),
  bad('a renewal at 100 %', { actions: [action({ lifetime_percentage: 100 })] },
    `${ACTION}.trigger.lifetime_percentage`),
  bad('a renewal 0 days before the end', { actions: [action({ days_before_expiry: 0 })] },
    /^policy\.lifetime_actions\[0\]\.trigger/),
  bad('a renewal 28 days before the end of one month',
    { x509: { validity_months: 1 }, actions: [action({ days_before_expiry: 28 })] },
    `${ACTION}.trigger.days_before_expiry`),
  bad('a renewal 27 days before the end of one month',
    { x509: { validity_months: 1 }, actions: [action({ days_before_expiry: 27 })] }, '',
    { code: 'OK' }),
  bad('both triggers', { actions: [action({ lifetime_percentage: 80, days_before_expiry: 10 })] },
    `${ACTION}.trigger`),
  bad('action 0', { actions: [action({ lifetime_percentage: 80 }, 0)] }, `${ACTION}.action_type`),
  bad('action 3', { actions: [action({ lifetime_percentage: 80 }, 3)] }, `${ACTION}.action_type`),
  bad('an action twice', { actions: [action({ lifetime_percentage: 80 }),
    action({ lifetime_percentage: 90 })] }, 'policy.lifetime_actions[1].action_type'),
  bad('three actions', { actions: times(3, () => action({ lifetime_percentage: 80 })) },
    'policy.lifetime_actions'),
  bad('a renewal by an issuer unknown', { issuer: { name: 'Unknown' },
    actions: [action({ lifetime_percentage: 80 })] }, `${ACTION}.action_type`),
  bad('an issuer that is not there', { issuer: { name: 'nobody' } }, 'policy.issuer.name'),
  bad('an issuer with a space', { issuer: { name: 'no body' } }, 'policy.issuer.name'),
  bad('a kind of certificate of 65 bytes', { issuer: { cty: repeat('x', 65) } },
    'policy.issuer.cty'),
  ['a certificate of a name that a key has', CERTIFICATE, { ...SHOP, name: 'ec',
    policy: policy() }, undefined, { code: 'ALREADY_EXISTS' }],
  ['a key of a name that a certificate has', CREATE_KEY, create({ name: 'web' }), undefined,
    { code: 'FAILED_PRECONDITION', reason: 'MANAGED' }],
];

const issue = (more) => ({ roles: ['CRYPTO_USER'], scope: '/vaults/shop', ...more });
const mapping = (more) => ({ principal_id: callers.service, name_type: 'URI',
  value: 'urn:bad:input', ...more });
const assign = (more) => ({ principal_id: callers.service, role: 'READER', scope: '/', ...more });

const access = [
  ['a principal without a name', PERSON, { kind: 'USER' }, 'display_name'],
  ['a principal with a name of 129 bytes', PERSON, { kind: 'USER', display_name: repeat('x', 129) },
    'display_name'],
  ['a principal with a bell in the name', PERSON, { kind: 'USER', display_name: 'a\u0007' },
    'display_name'],
  ['a principal of no kind', PERSON, { display_name: 'x' }, 'kind'],
  ['a principal of kind 4', PERSON, { display_name: 'x', kind: 4 }, 'kind'],
  ['an id of 31 digits', 'AccessService/GetPrincipal', { principal_id: HEX.slice(1) },
    'principal_id'],
  ['an id that is a word', 'AccessService/DeletePrincipal', { principal_id: 'operator' },
    'principal_id'],
  ['no id', 'AccessService/RemoveAssignment', {}, 'assignment_id'],
  ['an id of nobody', 'AccessService/GetPrincipal', { principal_id: HEX }, undefined,
    { code: 'NOT_FOUND' }],
  ['a token without roles', ISSUE, issue({ roles: [] }), 'roles'],
  ['a token with 9 roles', ISSUE, issue({ roles: times(9, (i) => i + 1) }), 'roles'],
  ['a token with a role twice', ISSUE, issue({ roles: [9, 9] }), 'roles'],
  ['a token with role 20', ISSUE, issue({ roles: [9, 20] }), 'roles[1]'],
  ['a token with role 0', ISSUE, issue({ roles: [0] }), 'roles[0]'],
  ['a token for 59 seconds', ISSUE, issue({ ttl_seconds: 59 }), 'ttl_seconds'],
  ['a token for 28,801 seconds', ISSUE, issue({ ttl_seconds: 28801 }), 'ttl_seconds'],
  ['a token for no scope', ISSUE, issue({ scope: '' }), 'scope'],
  ['a scope without its slash', ISSUE, issue({ scope: 'vaults/shop' }), 'scope'],
  ['a scope that ends in a slash', ISSUE, issue({ scope: '/vaults/shop/' }), 'scope'],
  ['a scope of another kind', ISSUE, issue({ scope: '/houses/shop' }), 'scope'],
  ['a scope with a collection unheard of', ISSUE, issue({ scope: '/vaults/shop/locks' }), 'scope'],
  ['a scope too deep', ISSUE, issue({ scope: '/vaults/shop/keys/ec/1' }), 'scope'],
  ['a scope with dots', ISSUE, issue({ scope: '/vaults/../keys' }), 'scope'],
  ['a scope of 2,000 bytes', ISSUE, issue({ scope: `/vaults/${repeat('a', 2000)}` }), 'scope'],
  ['a role one does not hold', ISSUE, issue({ roles: ['AUDITOR'] }), undefined,
    { code: 'PERMISSION_DENIED', reason: 'PERMISSION_MISSING' }],
  ['no role to assign', ASSIGN, () => assign({ role: 0 }), 'role'],
  ['role 99 to assign', ASSIGN, () => assign({ role: 99 }), 'role'],
  ['an assignment without a scope', ASSIGN, () => assign({ scope: '' }), 'scope'],
  ['an assignment that has ended', ASSIGN, () => assign({ expires: 1000 }), 'expires'],
  ['an assignment that ends before 1970', ASSIGN, () => assign({ expires: -1000 }), 'expires'],
  ['a mapping of no type', MAP, () => mapping({ name_type: 0 }), 'name_type'],
  ['a mapping of type 4', MAP, () => mapping({ name_type: 4 }), 'name_type'],
  ['a mapping of nothing', MAP, () => mapping({ value: '' }), 'value'],
  ['a mapping of 513 bytes', MAP, () => mapping({ value: repeat('x', 513) }), 'value'],
  ['a CA hash of 31 bytes', MAP, () => mapping({ ca_sha256: bytes(31) }), 'ca_sha256'],
  ['the hash of another CA', MAP, () => mapping({ ca_sha256: bytes(32) }), 'ca_sha256'],
  ['no certificate', 'AccessService/AddManagementCertificate',
    () => ({ principal_id: callers.service }), 'certificate'],
  ['a certificate of 17 KiB', 'AccessService/AddManagementCertificate',
    () => ({ principal_id: callers.service, certificate: bytes(17 * 1024) }), 'certificate'],
  ['a certificate that is PEM', 'AccessService/AddManagementCertificate',
    () => ({ principal_id: callers.service, certificate: selfSigned('x').pem }), 'certificate'],
  ['credentials of nobody', 'AccessService/ListCredentials', {}, 'principal_id'],
  ['credentials of two', 'AccessService/ListCredentials',
    () => ({ principal_id: callers.service, vault: 'shop' }), /principal_id|vault/],
  ['a token id that is none', 'AccessService/RevokeRoleToken', { jti: 'x' }, 'jti'],
  ['a revocation until before 1970', 'AccessService/RevokeRoleToken', { jti: HEX, expires: -1 },
    'expires'],
];

const now = Date.now();
const audit = [
  ['a search without a time', SEARCH, {}, 'from_ms'],
  ['a search without an end', SEARCH, { from_ms: now }, 'to_ms'],
  ['a search backwards', SEARCH, { from_ms: now, to_ms: now - 1 }, 'to_ms'],
  ['a search before 1970', SEARCH, { from_ms: -5, to_ms: now }, 'from_ms'],
  ['a search in a collection unheard of', SEARCH, { from_ms: 1, to_ms: now, collection: 'locks' },
    'collection'],
  ['a search for a million and one', SEARCH, { from_ms: 1, to_ms: now, limit: 1000001 }, 'limit'],
  ['a search for a principal that is a word', SEARCH, { from_ms: 1, to_ms: now, principal_id: 'x' },
    'principal_id'],
  ['an export backwards', 'AuditService/ExportAudit', { first_sequence: 5, last_sequence: 4 },
    'last_sequence'],
];

const nested = (depth) => {
  let inner = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) inner = field(1000, inner);
  return inner;
};

const wire = [
  ['a name that is not UTF-8', GET_KEY, join(shop, field(2, [0xff, 0x41])), 'name'],
  ['a name in an overlong form', GET_KEY, join(shop, field(2, [0xc0, 0xaf])), 'name'],
  ['a name with half a surrogate pair', GET_KEY, join(shop, field(2, [0xed, 0xa0, 0x80])), 'name'],
  ['a name with a character cut off', GET_KEY, join(shop, field(2, [0x61, 0xe2, 0x82])), 'name'],
  ['a tag that is not UTF-8', CREATE_KEY,
    join(encode(CREATE_KEY, create()), field(8, field(1, [0x80]))), 'tags[0].name'],
  ['a number where a text stands', GET_KEY, join(number(1, 7), ec), 'vault'],
  ['a text where a number stands', LIST_KEYS, join(shop, field(2, 'ten')), 'page_size'],
  ['a field twice', GET_KEY, join(shop, ec, field(2, 'rsa')), 'name'],
  ['a length beyond the end', GET_KEY, join(shop, Buffer.from([0x12, 0x7f, 0x61])), null],
  ['a length of 2^64 - 1', GET_KEY, join(shop, Buffer.from([0x12]), varint(-1)), null],
  ['a number without an end', GET_KEY, Buffer.from([0x08, ...times(11, () => 0xff)]), null],
  ['field number 0', GET_KEY, join(shop, ec, Buffer.from([0x02, 0x01, 0x61])), null],
  ['a group', GET_KEY, join(shop, ec, Buffer.from([0xa3, 0x06, 0xa4, 0x06])), null],
  ['bytes of chance', CREATE_KEY, bytes(1000, 0xa7), null],
  ['an enum of ten bytes', CREATE_KEY, join(shop, field(2, 'new'), number(3, -1)), 'kty'],
  ['an enum beyond 32 bits', CREATE_KEY, join(shop, field(2, 'new'), number(3, 2 ** 32 + 1)),
    'kty'],
  ['64 fields unheard of', GET_KEY, join(shop, ec, ...times(64, (i) => number(900 + i, 1))), '',
    { code: 'OK' }],
  ['65 fields unheard of', GET_KEY, join(shop, ec, ...times(65, (i) => number(900 + i, 1))), null],
  ['a million fields unheard of', GET_KEY, join(shop, ec, bytes(300_000).fill('\x98\x06\x01')),
    null],
  ['a field unheard of, 10,000 deep', GET_KEY, join(shop, ec, nested(10_000)), '', { code: 'OK' }],
  ['1 MiB of one field unheard of', GET_KEY, join(shop, ec, field(1000, bytes((1 << 20) - 100))),
    '', { code: 'OK' }],
  ['a packed list of enums with garbage', CREATE_KEY,
    join(encode(CREATE_KEY, create()), field(6, [1, 2, 0xff])), /^key_ops|^$/],
  ['a packed list of a million enums', CREATE_KEY,
    join(encode(CREATE_KEY, create()), field(6, bytes(1_000_000))), 'key_ops'],
];

// --- running it ---

const who = (method) => {
  const [service, name] = method.split('/');
  if (name === 'IssueRoleToken') return callers.user;
  if (['Sign', 'Verify', 'Encrypt', 'Decrypt', 'WrapKey', 'UnwrapKey', 'GetRandomBytes', 'GetKey',
    'ListKeys', 'GetSecret', 'ListSecrets'].includes(name)) {
    return callers.user;
  }
  return { VaultService: callers.operator, KeyService: callers.keeper,
    SecretService: callers.secrets, CertificateService: callers.certificates,
    AccessService: callers.admin, AuditService: callers.auditor }[service];
};

async function check([what, method, given, path, { code = 'INVALID_ARGUMENT', reason } = {}]) {
  const caller = who(method);
  const request = typeof given === 'function' ? given() : given;
  const ask = Buffer.isBuffer(request) ? [{}, { raw: request }] : [request, {}];
  if (code === 'OK') {
    await caller.call(method, ...ask);
    return;
  }
  const error = await caller.refused(method, ...ask);
  assert.strictEqual(error.code, code, error.message);
  assert.strictEqual(error.reason, reason, error.message);
  assert(error.text.length > 0 && error.text.length < 400, error.text);
  if (code === 'INVALID_ARGUMENT') {
    if (path === null) assert.strictEqual(error.violations.length, 0, error.message);
    else {
      assert.strictEqual(error.status.message, error.text);
      assert.strictEqual(error.violations.length, 1, error.message);
      if (path instanceof RegExp) assert.match(error.field, path, error.message);
      else assert.strictEqual(error.field, path, error.message);
      assert(error.violations[0].description.length > 5);
    }
  } else {
    assert.strictEqual(error.violations.length, 0);
  }
}

async function checkAll(rows) {
  const wrong = [];
  for (const row of rows) {
    try {
      await check(row);
    } catch (error) {
      wrong.push(`${row[1]}: ${row[0]}: ${error.message.split('\n').slice(0, 12).join(' ')}`);
    }
    const after = await who(row[1]).call('AccessService/WhoAmI');
    assert(after.principal.id);
    await callers.user.call('KeyService/Sign', { ...KEY, algorithm: 'ES256', digest: bytes(32) });
  }
  assert.deepStrictEqual(wrong, []);
}

before(async () => {
  server = await Keyvault.start({ clientCa: true });
  const officer = (name, ...roles) => server.officer(name, roles, '/');
  callers.admin = await server.administrator();
  callers.operator = await officer('operator', 'VAULT_OPERATOR');
  callers.keeper = await officer('keeper', 'CRYPTO_OFFICER');
  callers.secrets = await officer('secrets', 'SECRETS_OFFICER');
  callers.certificates = await officer('certificates', 'CERTIFICATE_OFFICER');
  callers.auditor = await officer('auditor', 'AUDITOR');
  await callers.operator.call(VAULT, { vault: 'shop' });
  callers.user = await server.officer('user', ['CRYPTO_USER', 'CERTIFICATE_USER', 'SECRETS_USER'],
    '/vaults/shop');
  callers.service = (await callers.admin.call(PERSON, { display_name: 'service', kind: 'SERVICE' }))
    .id;
  await callers.keeper.call(CREATE_KEY, create({ name: 'ec' }));
  await callers.keeper.call(CREATE_KEY, create({ name: 'rsa', kty: 'RSA' }));
  await callers.keeper.call(CREATE_KEY, create({ name: 'aes', kty: 'OCT' }));
  await callers.secrets.call(SET, secret({ name: 'word' }));
  await callers.certificates.call(CERTIFICATE, { ...SHOP, name: 'web', policy: policy() });
});

after(async () => {
  await server?.stop();
});

const groups = { names, keys, ciphers, 'tags, attributes, pages': about, secrets, thumbprints, policies,
  access, audit, 'bytes on the wire': wire };
for (const [name, rows] of Object.entries(groups)) {
  test(`${name}: ${rows.length} rows`, () => checkAll(rows));
}

test('nothing that was refused was made', async () => {
  const { items } = await callers.user.call(LIST_KEYS, SHOP);
  assert.deepStrictEqual(items.map((it) => it.id.name).sort(),
    ['aes', 'bad', 'ec', 'rsa', 'tagged', 'web', repeat('a', 127)].sort());
  const listed = await callers.user.call('CertificateService/ListCertificates', SHOP);
  assert.deepStrictEqual(listed.items.map((it) => it.id.name).sort(), ['bad', 'web']);
});
