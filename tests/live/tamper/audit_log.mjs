// Promise 3, no audit, no answer - and none that was changed afterwards: records in a segment file
// are edited, dropped, swapped, repeated; the tail is cut; a segment is taken away; an older log is
// put back. Offline, verification with nothing but the public key names the first break. The server
// refuses to go on with a log that is not the one its token anchors.
// Environment: KV_VERIFY_LOG (verify_main.c).
import assert from 'node:assert';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Keyvault, message } from '../support/keyvault.mjs';
import { Copy } from './copies.mjs';
import { KIND, Segment } from './segments.mjs';

const CHECKPOINT = message('keyvault.v1.AuditCheckpoint');
const RECORD = message('keyvault.v1.AuditRecord');
let server;
let key; // { kid, spki }
let user;

const folder = (of) => path.join(of.home, 'audit');
const segments = (of) => fs.readdirSync(folder(of)).filter((name) => name.endsWith('.kva')).sort()
  .map((name) => new Segment(path.join(folder(of), name)));
const last = (list) => list[list.length - 1];

/* What the standalone verifier says: { broken, segment, sequence, last, proved, ... }. */
function verify(of, expected) {
  const done = spawnSync(process.env.KV_VERIFY_LOG,
    [folder(of), key.kid, key.spki, ...(expected ? [expected.toString('hex')] : [])]);
  assert(done.status === 0 || done.status === 1, `${done.stderr}`);
  const report = Object.fromEntries(`${done.stdout}`.split(' ').slice(0, 9)
    .map((one) => one.split('=')));
  assert.strictEqual(report.broken === 'sound', done.status === 0);
  return { ...report, text: `${done.stdout}` };
}

/* Damages a copy; the verifier must name one of `breaks` at `sequence`. */
async function damaged(work, breaks, { refused = true } = {}) {
  const copy = new Copy(server);
  const { sequence, file, expected } = work(copy);
  const report = verify(copy, expected);
  assert(breaks.includes(report.broken), `${report.text} instead of ${breaks}`);
  if (sequence) assert.strictEqual(Number(report.sequence), sequence, report.text);
  if (file) assert.strictEqual(report.segment, file, report.text);
  if (refused) await copy.refuses(report.text);
  else copy.remove();
}

/* Changes a segment in place: `change` gets its records' places in `frames`. */
function rewrite(segment, change) {
  const result = change(segment.frames, segment);
  segment.save();
  return { file: segment.name, ...result };
}

const records = (frames) => frames.map((frame, at) => ({ ...frame, at }))
  .filter((frame) => frame.kind === KIND.record);
const sequenceOf = (frame) => RECORD.deserialize(frame.message).sequence;

const attacks = {
  'a record edited': [(frames) => {
    const victim = records(frames)[3];
    frames[victim.at].bytes[30] ^= 1;
    return { sequence: sequenceOf(victim) };
  }, ['edited']],
  'a record edited, its CRC made good': [(frames, segment) => {
    const victim = records(frames)[3];
    frames[victim.at].message[20] ^= 1;
    segment.checksum(frames[victim.at]);
    return { sequence: sequenceOf(victim) };
  }, ['edited']],
  'a record edited, its CRC and hash made good': [(frames, segment) => {
    const victim = records(frames)[3];
    const told = RECORD.deserialize(victim.message);
    frames[victim.at] = segment.frame(KIND.record,
      RECORD.serialize({ ...told, principal_name: 'Nobody' }), segment.before(victim.at));
    return { sequence: told.sequence + 1 };
  }, ['edited', 'dropped']],
  'a record edited, and the whole chain after it made good': [(frames, segment) => {
    const victim = records(frames)[3];
    const told = RECORD.deserialize(victim.message);
    frames[victim.at] = segment.frame(KIND.record,
      RECORD.serialize({ ...told, principal_name: 'Nobody' }), segment.before(victim.at));
    for (let at = victim.at + 1; at < frames.length; at++) {
      frames[at] = segment.frame(frames[at].kind, frames[at].message, segment.before(at));
    }
    return {};
  }, ['bad-checkpoint']],
  'a record dropped': [(frames) => {
    const victim = records(frames)[3];
    frames.splice(victim.at, 1);
    return { sequence: sequenceOf(victim) };
  }, ['dropped']],
  'two records swapped': [(frames) => {
    const [one, two] = records(frames).slice(3, 5);
    [frames[one.at], frames[two.at]] = [frames[two.at], frames[one.at]];
    return { sequence: sequenceOf(one) };
  }, ['swapped']],
  'a record repeated': [(frames) => {
    const victim = records(frames)[3];
    frames.splice(victim.at + 1, 0, frames[victim.at]);
    return { sequence: sequenceOf(victim) + 1 };
  }, ['repeated']],
  'the header edited': [(frames, segment) => {
    segment.header[40] ^= 1;
    return {};
  }, ['bad-header']],
};

test('tampering with the audit log', async (t) => {
  server = await Keyvault.start({ settings: { 'access.separation_of_duty': 'off',
    'audit.segment_bytes': 65536, 'audit.checkpoint_seconds': 86400, 'audit.checkpoint_records': 1 << 30 } });
  try {
    const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
    await operator.call('VaultService/CreateVault', { vault: 'shop' });
    user = await server.officer('user', ['SECRETS_OFFICER', 'SECRETS_USER'], '/vaults/shop');
    const auditor = await server.officer('auditor', ['AUDITOR'], '/');
    await user.call('SecretService/SetSecret', { vault: 'shop', name: 's', value: Buffer.of(1) });
    for (let i = 0; segments(server).length < 4; i++) {
      await Promise.all(Array.from({ length: 20 }, () => user.call('SecretService/GetSecret',
        { vault: 'shop', name: 's' })));
      assert(i < 200, 'the log does not grow');
    }
    const status = await auditor.call('AuditService/GetAuditStatus');
    key = { kid: status.kid, spki: status.public_key.toString('hex') };
    await server.terminate();
    const older = new Copy(server, 'older');
    await server.restart();
    for (let i = 0; i < 10; i++) {
      await user.call('SecretService/GetSecret', { vault: 'shop', name: 's' });
    }
    await server.terminate();

    await t.test('the copy itself is sound', async () => {
      const copy = new Copy(server);
      const report = verify(copy);
      assert.strictEqual(report.broken, 'sound', report.text);
      assert.strictEqual(report.proved, report.last, 'a shutdown leaves nothing unproved');
      assert(Number(report.segments) >= 4, report.text);
      assert.strictEqual((await copy.outcome()).what, 'verified');
      copy.remove();
    });

    for (const [what, [change, breaks]] of Object.entries(attacks)) {
      await t.test(`${what}, in the segment written last`, () =>
        damaged((copy) => rewrite(last(segments(copy)), change), breaks));
      await t.test(`${what}, in a full segment`, () =>
        damaged((copy) => rewrite(segments(copy)[1], change), breaks, { refused: false }));
    }

    await t.test('the tail cut, before the last checkpoint', () => damaged((copy) => {
      const list = segments(copy);
      const expected = last(list).frames.filter((one) => one.kind === KIND.checkpoint).pop();
      return rewrite(last(list), (frames) => {
        frames.length -= 4;
        return { expected: expected.message, file: undefined };
      });
    }, ['cut']));

    await t.test('a segment taken away', () => damaged((copy) => {
      fs.rmSync(segments(copy)[1].path);
      return {};
    }, ['segment-missing'], { refused: false }));

    await t.test('the last segment taken away', () => damaged((copy) => {
      const list = segments(copy);
      const expected = last(list).frames.filter((one) => one.kind === KIND.checkpoint).pop();
      fs.rmSync(last(list).path);
      return { expected: expected.message };
    }, ['cut']));

    await t.test('all segments taken away', async () => {
      const copy = new Copy(server);
      for (const one of segments(copy)) fs.rmSync(one.path);
      await copy.refuses();
    });

    await t.test('an older log put back', async () => {
      const copy = new Copy(server);
      fs.rmSync(folder(copy), { recursive: true });
      fs.cpSync(folder(older), folder(copy), { recursive: true });
      assert.strictEqual(verify(copy).broken, 'sound', 'its own checkpoints are good');
      await copy.refuses();
    });

    await t.test('a checkpoint signed by somebody else', () => damaged((copy) =>
      rewrite(last(segments(copy)), (frames, segment) => {
        const at = frames.findLastIndex((one) => one.kind === KIND.checkpoint);
        const told = CHECKPOINT.deserialize(frames[at].message);
        told.signature[5] ^= 1;
        frames[at] = segment.frame(KIND.checkpoint, CHECKPOINT.serialize(told),
          segment.before(at));
        return {};
      }), ['bad-signature']));

    // What is past the last checkpoint when the server is killed.
    await server.restart();
    const proved = Number(verify(server).proved);
    await user.call('SecretService/SetSecret', { vault: 'shop', name: 's', value: Buffer.of(2) });
    for (let i = 0; i < 5; i++) {
      await user.call('SecretService/GetSecret', { vault: 'shop', name: 's' });
    }
    await server.kill();

    await t.test('the tail cut, past the last checkpoint, with a change in it', async () => {
      const copy = new Copy(server);
      const lost = rewrite(last(segments(copy)), (frames) => {
        const all = records(frames);
        const at = all.findIndex((one) => sequenceOf(one) > proved &&
          RECORD.deserialize(one.message).operation === 'SecretSet');
        frames.length = all[at].at;
        return { sequence: sequenceOf(all[at]) };
      });
      const report = verify(copy);
      // Nothing signed covers these records: the verifier says how far it vouches, and no further.
      assert(Number(report.proved) < lost.sequence, report.text);
      // The database remembers the change; its record still waits there, so let that be gone too.
      spawnSync('sqlite3', [copy.database, 'DELETE FROM audit_pending']);
      assert.match(await copy.refuses(), /audit log/);
    });
  } finally {
    await server.stop().catch(() => server.removeNow());
  }
});
