// make_seeds.mjs - writes the seeds of fuzz_segment: a header, records and a checkpoint with every
// field filled, and frames without a header. The target puts the CRCs right.
//
//   KV_LIVE_NODE=<where tests/live/npm.sh has installed> node make_seeds.mjs
import fs from 'node:fs';
import { message } from '../../live/support/keyvault.mjs';

const folder = new URL('corpus/fuzz_segment/', import.meta.url);
const HASH = Buffer.alloc(32, 'h');
const ID = 'ab'.repeat(16);
const KIND = { record: 1, checkpoint: 2 };

function frame(kind, bytes) {
  const head = Buffer.alloc(9);
  head.writeUInt32BE(1 + bytes.length);
  head[8] = kind;
  return Buffer.concat([head, bytes, HASH]);
}

const record = (more) => frame(KIND.record, message('keyvault.v1.AuditRecord').serialize({
  sequence: 1, time_ms: '1795220591854', node: ID, request_id: Buffer.alloc(16, 'r'),
  operation: 'KeyCreate', ...more }));
const change = { table: 'objects', key: 'ab/1/web', generation: 7 };
const full = record({ principal_id: Buffer.alloc(16, 'p'), principal_name: 'Ada',
  certificate_sha256: Buffer.alloc(32, 'c'), roles: 'crypto-user', peer: '127.0.0.1:1',
  vault: 'shop', collection: 'keys', name: 'web', version: ID, status: 5, reason: 'INTEGRITY',
  field: 'key_ops', note: 'a note', duration_us: 17, key_id: Buffer.alloc(16, 'k'), count: 3,
  changes: Array.from({ length: 8 }, () => change), store_version: 9, store_digest: HASH });
const checkpoint = frame(KIND.checkpoint, message('keyvault.v1.AuditCheckpoint').serialize({
  node: ID, sequence: 2, hash: HASH, time_ms: '1795220591854', kid: ID, store_version: 9,
  store_digest: HASH, signature: Buffer.alloc(64, 's') }));

const header = Buffer.alloc(160);
header.write('KVAUDIT1');
header.writeUInt32BE(1, 8);
header.writeUInt32BE(header.length, 12);
header.writeBigUInt64BE(1n, 32);
header.write(ID, 120);

const write = (name, ...parts) => fs.writeFileSync(new URL(name, folder), Buffer.concat(parts));
fs.mkdirSync(folder, { recursive: true });
write('segment', header, record(), full, checkpoint, record({ sequence: 3 }), Buffer.alloc(64));
write('header', header);
write('frames', full, record());
write('checkpoint', checkpoint);
write('many-changes', record({ changes: Array.from({ length: 9 }, () => change) }));
write('long-texts', record({ principal_name: 'x'.repeat(3000), roles: 'y'.repeat(3000),
  note: 'z'.repeat(3000) }));
