// The whole token of the authorities goes away and comes back while the server serves: what needs it
// says so, everything else goes on, lists and OCSP answers that were signed before are served, and
// afterwards what was put off is done by itself.
import assert from 'node:assert';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { pemOf } from '../support/authority.mjs';
import { CallError, Keyvault, nap, run } from '../support/keyvault.mjs';

const VAULT = 'shop';
const CA = 'CertificateAuthorityService/';
const TRY_LATER = [0x30, 3, 0x0a, 1, 3];
const CREATE = 'CertificateService/CreateCertificate';
let server;
let url;
let issuers;
let officer;
let made = 0;
let folder;
const kept = {};

const at = (name) => path.join(server.folder, name);
const named = (name) => ({ vault: VAULT, name });
const order = (issuer) => ({ ...named(`c${++made}`), policy: { key_props: { kty: 'EC' },
  issuer: { name: issuer }, x509_props: { subject: `CN=c${made}` } } });
const fetched = async (name) => Buffer.from(await (await fetch(`${url}/${name}`)).arrayBuffer());

async function issue() {
  const request = order('root');
  const { status } = await officer.call(CREATE, request);
  assert.strictEqual(status, 'completed');
  const { cer } = await officer.call('CertificateService/GetCertificate', named(request.name));
  fs.writeFileSync(at(`${request.name}.pem`), pemOf(cer));
  return { file: at(`${request.name}.pem`), serial: new X509Certificate(cer).serialNumber };
}

/* The tokens have one module here, which is opened anew while one of them is away: a call of that
 * moment is to be made again. */
async function steady(who, method, request) {
  for (;; await nap(100)) {
    try {
      return await who.call(method, typeof request === 'function' ? request() : request);
    } catch (error) {
      if (error.code !== 'UNAVAILABLE') throw error;
    }
  }
}

/* The path of an OCSP question without a nonce, as clients ask that want a cached answer. */
function question({ file }) {
  run('openssl', ['ocsp', '-issuer', at('root.pem'), '-cert', file, '-no_nonce', '-reqout',
    at('question')]);
  return `ocsp/${VAULT}/root/${encodeURIComponent(fs.readFileSync(at('question'))
    .toString('base64'))}`;
}

/* An answer that was signed, of a token that is there: it may have to be asked for again. */
async function signed(certificate) {
  for (;; await nap(100)) {
    const answer = await fetched(question(certificate));
    if (answer.length > 100) return answer;
    assert.deepStrictEqual([...answer], TRY_LATER);
  }
}

before(async () => {
  server = await Keyvault.start({ settings: { 'pki.listen': '127.0.0.1:0' } });
  url = `http://127.0.0.1:${server.pkiPort}`;
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  issuers = await server.officer('issuers', ['ISSUER_OFFICER'], '/');
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], '/');
  const { certificate } = await issuers.call(`${CA}CreateCertificateAuthority`,
    { ...named('root'), type: 'ROOT', subject: 'CN=Root', revocation:
      { ocsp_url: 'http://pki.example.org/ocsp', crl_url: 'http://pki.example.org/root.crl' } });
  fs.writeFileSync(at('root.pem'), pemOf(certificate));
  [folder] = fs.readdirSync(server.tokens).map((name) => path.join(server.tokens, name))
    .filter((it) => fs.existsSync(path.join(it, 'token.object')) &&
      fs.readFileSync(path.join(it, 'token.object')).includes('kv-ca'));
  assert(folder);
});

after(async () => {
  await server?.stop();
});

test('OCSP answers are signed once, and the headers say how long they hold', async () => {
  Object.assign(kept, { one: await issue(), two: await issue(), three: await issue() });
  await signed(kept.one);
  const first = await fetch(`${url}/${question(kept.one)}`);
  const { headers } = first;
  const bytes = Buffer.from(await first.arrayBuffer());
  const date = (name) => Date.parse(headers.get(name));
  assert.match(headers.get('cache-control'), /^max-age=\d+, public, no-transform, must-revalidate$/);
  assert(date('last-modified') <= date('date') && date('date') < date('expires'));
  assert.strictEqual(date('expires') - date('last-modified'), 12 * 3600e3);
  const age = Number(headers.get('cache-control').match(/\d+/)[0]);
  assert(age > 0 && age * 1000 < date('expires') - date('date'));
  assert.match(headers.get('etag'), /^"[0-9a-f]+"$/);
  await nap(1100); /* A signature of now would say another time. */
  assert.deepStrictEqual(await fetched(question(kept.one)), bytes);
  const two = await signed(kept.two);
  assert.notDeepStrictEqual(two, bytes);
  kept.answer = two;
  const again = await fetch(`${url}/${question(kept.one)}`,
    { headers: { 'if-none-match': headers.get('etag') } });
  assert.strictEqual(again.status, 304);
  /* What is revoked is another answer at once. */
  const revoke = () => issuers.call(`${CA}RevokeCertificate`,
    { ...named('root'), serial: kept.three.serial });
  while (!(await revoke()).on_crl) await nap(100);
  fs.writeFileSync(at('answer'), await signed(kept.three));
  assert.match(run('openssl', ['ocsp', '-respin', at('answer'), '-issuer', at('root.pem'), '-cert',
    kept.three.file, '-CAfile', at('root.pem')]), /: revoked/);
  const list = await fetch(`${url}/crl/${VAULT}/root.crl`);
  assert(Date.parse(list.headers.get('last-modified')) <= Date.now());
});

test('away: what needs the token says so, the rest goes on', async () => {
  const list = await fetched(`crl/${VAULT}/root.crl`);
  const answer = await signed(kept.one);
  fs.renameSync(folder, `${folder}.away`);
  const refused = async (who, method, request) => {
    for (;; await nap(100)) {
      try {
        await who.call(method, typeof request === 'function' ? request() : request);
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        return error;
      }
    }
  };
  assert.strictEqual((await refused(officer, CREATE, () => order('root'))).code, 'UNAVAILABLE');
  assert.strictEqual((await refused(issuers, `${CA}RenewCertificateAuthority`,
    { ...named('root'), new_key: true, revocation: { crl_hours: 24 } })).code, 'UNAVAILABLE');
  assert.strictEqual((await issuers.refused(`${CA}CreateCertificateAuthority`,
    { ...named('new'), type: 'ROOT', subject: 'CN=new' })).code, 'UNAVAILABLE');
  /* Another issuer is another matter. */
  assert.strictEqual((await steady(officer, CREATE, () => order('Self'))).status, 'completed');
  const { key_number: number } = await steady(issuers, `${CA}GetCertificateAuthority`,
    named('root'));
  assert.strictEqual(number, 1);
  assert.deepStrictEqual(await fetched(`crl/${VAULT}/root.crl`), list);
  assert.deepStrictEqual(await fetched(question(kept.one)), answer);
  /* A revocation counts now, and is on a list later. OCSP does not say that all is well. */
  const revoked = await steady(issuers, `${CA}RevokeCertificate`,
    { ...named('root'), serial: kept.one.serial, reason: 'KEY_COMPROMISE' });
  assert.strictEqual(revoked.on_crl, false);
  assert.deepStrictEqual([...await fetched(question(kept.one))], TRY_LATER);
  assert.deepStrictEqual(await fetched(`crl/${VAULT}/root.crl`), list);
  assert.deepStrictEqual(await fetched(question(kept.two)), kept.answer);
  const nonce = await fetch(`${url}/ocsp/${VAULT}/root`, { method: 'POST', body: (() => {
    run('openssl', ['ocsp', '-issuer', at('root.pem'), '-cert', kept.two.file, '-nonce', '-reqout',
      at('question')]);
    return fs.readFileSync(at('question'));
  })() });
  assert.deepStrictEqual([...Buffer.from(await nonce.arrayBuffer())], TRY_LATER);
});

test('back: it issues again, and what was put off is done', async () => {
  fs.renameSync(`${folder}.away`, folder);
  for (let ok = false; !ok; await nap(200)) {
    ok = await officer.call(CREATE, order('root')).then(() => true, (error) => {
      assert.strictEqual(error.code, 'UNAVAILABLE', error.message);
      return false;
    });
  }
  const again = () => steady(issuers, `${CA}RevokeCertificate`,
    { ...named('root'), serial: kept.one.serial });
  while (!(await again()).on_crl) await nap(200);
  fs.writeFileSync(at('answer'), await signed(kept.one));
  assert.match(run('openssl', ['ocsp', '-respin', at('answer'), '-issuer', at('root.pem'), '-cert',
    kept.one.file, '-CAfile', at('root.pem')]), /: revoked[^]*keyCompromise/);
  assert.match(run('openssl', ['crl', '-inform', 'DER', '-noout', '-text'],
    { input: await fetched(`crl/${VAULT}/root.crl`) }), new RegExp(kept.one.serial));
  server.log = '';
  await server.restart();
  await server.reconciled();
});
