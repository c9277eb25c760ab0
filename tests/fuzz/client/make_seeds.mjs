// make_seeds.mjs - writes the seeds of fuzz_answer: an answer of every type with every field filled,
// failures with all that a status may hold, and what is told of roles.
//
//   KV_LIVE_NODE=<where tests/live/npm.sh has installed> node make_seeds.mjs
import fs from 'node:fs';
import path from 'node:path';
import { message, methods } from '../../live/support/keyvault.mjs';

const folder = new URL('corpus/fuzz_answer/', import.meta.url).pathname;
const DEEP = 6;
const SAMPLES = { TYPE_STRING: 'text', TYPE_BYTES: Buffer.from('bytes'), TYPE_BOOL: true,
  TYPE_INT64: '1795220591854', TYPE_UINT64: '7', TYPE_INT32: -1, TYPE_UINT32: 3 };

const most = (big, small) => ({ ...SAMPLES, TYPE_INT64: big, TYPE_INT32: small });
const FAR = { future: most('9223372036854775807', 2147483647),
  past: most('-9223372036854775808', -2147483648) };

/* What a terminal would obey. */
const STEERS = { ...SAMPLES,
  TYPE_STRING: 'x\r\n\t\x1b]0;t\x07\x1b[2J\x7f\u0085\u009b1A\u061c\u200e\u2028\u202e\u2066' };
const STEERED = ['ServerReport', 'CertificateOperation', 'CertificateBundle', 'AccessExplanation',
  'ListEventsResponse'];

/* protobuf's own names, beside the package's. */
const typeNamed = (name) => message(name.replace(/^\./, '')) ?? message(`keyvault.v1.${name}`);

function fill(type, samples = SAMPLES, depth = 0) {
  const object = {};
  for (const field of type.field) {
    const list = field.label === 'LABEL_REPEATED';
    let value;
    if (field.type === 'TYPE_MESSAGE') {
      const inner = typeNamed(field.typeName);
      if (!inner || depth > DEEP) continue;
      value = fill(inner.type, samples, depth + 1);
    } else if (field.type === 'TYPE_ENUM') {
      value = 1;
    } else {
      value = samples[field.type];
      if (value === undefined) throw new Error(`${field.name} is a ${field.type}`);
    }
    object[field.name] = list ? [value, value] : value;
  }
  return object;
}

const write = (name, line, bytes) => fs.writeFileSync(path.join(folder, name),
  Buffer.concat([Buffer.from(`${line}\n`), bytes]));

fs.rmSync(folder, { recursive: true, force: true });
fs.mkdirSync(folder, { recursive: true });

const types = new Set();
for (const definition of methods.values()) {
  const { responseType, responseSerialize } = definition;
  const { name } = responseType.type;
  if (types.has(name)) continue;
  types.add(name);
  write(name, definition.path, responseSerialize(fill(responseType.type)));
  for (const [when, samples] of name.endsWith('Bundle') ? Object.entries(FAR) : []) {
    write(`${name}-${when}`, definition.path, responseSerialize(fill(responseType.type, samples)));
  }
  if (STEERED.includes(name)) {
    write(`${name}-steers`, definition.path, responseSerialize(fill(responseType.type, STEERS)));
  }
}

const any = (name, value) => ({ type_url: `type.googleapis.com/${name}`,
  value: message(name).serialize(value) });
const reason = any('google.rpc.ErrorInfo', { reason: 'LIMIT_REACHED', domain: 'keyvault',
  metadata: { request_id: '00' } });
const field = any('google.rpc.BadRequest',
  { field_violations: [{ field: 'key_props.size', description: 'must be 2048' }, {}] });
const retry = any('google.rpc.RetryInfo', { retry_delay: { seconds: 1, nanos: 500000000 } });
const status = (...details) => message('google.rpc.Status')
  .serialize({ code: 8, message: 'come again', details });
write('failed-all', 'failed', status(reason, field, retry));
const text = STEERS.TYPE_STRING;
write('failed-steers', 'failed', message('google.rpc.Status').serialize({ code: 8, message: text,
  details: [any('google.rpc.ErrorInfo', { reason: text, domain: text }),
    any('google.rpc.BadRequest', { field_violations: [{ field: text, description: text }] })] }));
write('failed-plain', 'failed', status());
write('failed-long', 'failed', message('google.rpc.Status')
  .serialize({ code: 8, message: 'x'.repeat(5000), details: [] }));

const chunk = (bytes) => {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
};
const of = (method) => methods.get(`AccessService/${method}`).responseSerialize;
const who = (...scopes) => of('WhoAmI')({ assignments: scopes
  .map((scope) => ({ role: 'CRYPTO_USER', scope })) });
const token = (expires) => of('IssueRoleToken')({ token: 'a.b.c', expires });
const later = 4102444800; // the year 2100
write('roles', 'roles', Buffer.concat([who('/vaults/shop'), token(later)].map(chunk)));
write('roles-certificate', 'roles',
  Buffer.concat([who('/vaults/shop/certificates/web'), token(later)].map(chunk)));
write('roles-none', 'roles', Buffer.concat([who(), who('/vaults/other')].map(chunk)));
for (const [when, { TYPE_INT64: end }] of Object.entries(FAR)) {
  write(`roles-${when}`, 'roles', Buffer.concat([who('/'), token(end), token(end)].map(chunk)));
}
write('roles-empty', 'roles', Buffer.concat([who('/', '/'), token(0), token(1)].map(chunk)));
