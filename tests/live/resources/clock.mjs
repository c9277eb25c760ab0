// The clock steps, forward and back, while the server is used: role tokens end by the new time and
// not before, what is due happens once, new tokens are good at once, and the audit log stays whole.
// Environment: KV_VERIFY_LOG (verify_main.c).
import assert from 'node:assert';
import path from 'node:path';
import test from 'node:test';
import { CallError, nap, run } from '../support/keyvault.mjs';
import { VAULT, settle, start, watch } from './host.mjs';

const HOUR = 3600_000;
const SOON_MS = 60_000;
const QUIET_MS = 1500;
let at;

const tokenOf = (ttl) => at.user.call('AccessService/IssueRoleToken',
  { roles: ['CRYPTO_USER'], scope: `/vaults/${VAULT}`, ttl_seconds: ttl }, { bearer: null });
const outcome = (bearer) => at.user.call('KeyService/GetKey',
  { vault: VAULT, name: at.made.keys[0] }, { bearer }).then(() => 'OK', (error) => {
  if (!(error instanceof CallError)) throw error;
  return error.code;
});
const versions = async () => (await at.user.call('CertificateService/ListCertificateVersions',
  { vault: VAULT, name: 'planned' })).items.length;

const plan = () => at.user.call('RenewalService/RenewAll',
  { vault: VAULT, issuer: 'Self', spread_seconds: 1800 });

async function soon(what, is) {
  for (const until = Date.now() + SOON_MS; !await is(); await nap(50)) {
    if (Date.now() > until) throw at.server.failed(`not in time: ${what}`);
  }
}

test('a clock that steps', async (t) => {
  at = await start();
  const { pid } = at.server;
  try {
    await at.user.call('CertificateService/CreateCertificate', { vault: VAULT, name: 'planned',
      policy: { key_props: { kty: 'EC' }, issuer: { name: 'Self' },
        x509_props: { subject: 'CN=planned', validity_months: 1 } } });
    const short = (await tokenOf(900)).token;
    assert.strictEqual(await outcome(short), 'OK');

    await t.test('two hours forward', async () => {
      await plan();
      at.server.clock(2 * HOUR);
      assert.strictEqual(await outcome(short), 'UNAUTHENTICATED');
      assert.strictEqual(await outcome((await tokenOf(900)).token), 'OK');
      const seen = await watch(at, QUIET_MS);
      for (const [what, { refused }] of Object.entries(seen)) assert.strictEqual(refused, 0, what);
      // What is planned is looked at once a minute, and whenever there is a new plan.
      await plan();
      await soon('what was planned for this hour is done', async () => await versions() === 2);
    });

    await t.test('an hour back', async () => {
      const ahead = (await tokenOf(900)).token;
      at.server.clock(HOUR);
      const seen = await watch(at, QUIET_MS);
      for (const [what, { refused }] of Object.entries(seen)) assert.strictEqual(refused, 0, what);
      assert.strictEqual(await outcome((await tokenOf(900)).token), 'OK');
      assert(['OK', 'UNAUTHENTICATED'].includes(await outcome(ahead)));
      assert.strictEqual(await versions(), 2, 'what was done is done again');
    });

    await t.test('to and fro under load', async () => {
      const load = watch(at, QUIET_MS);
      for (let i = 0; i < 10; i++) {
        await nap(QUIET_MS / 12);
        at.server.clock(HOUR + (i % 2 ? 1 : -1) * 1000 * (i + 1));
      }
      for (const [what, { refused }] of Object.entries(await load)) {
        assert.strictEqual(refused, 0, what);
      }
    });

    await t.test('the audit log is whole and is signed in time', async () => {
      const status = () => at.operator.call('AuditService/GetAuditStatus');
      const { head_sequence: head } = await status();
      await soon('a checkpoint over what was recorded', async () =>
        (await status()).checkpoint_sequence >= head);
      const { kid, public_key: spki } = await status();
      const said = run(process.env.KV_VERIFY_LOG,
        [path.join(at.server.home, 'audit'), kid, spki.toString('hex')]);
      assert.match(said, /^broken=sound /);
    });
    await t.test('afterwards, when what was made has begun to be valid', () => {
      at.server.clock(3 * HOUR);
      return settle(at, pid);
    });
  } finally {
    await at.server.stop();
  }
});
