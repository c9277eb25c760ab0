// login.mjs - kvctl login at a real identity provider (npm oidc-provider), by the device grant and
// with a token from a file; what is kept afterwards, and for whom.
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Keyvault, nap, selfSigned } from '../support/keyvault.mjs';
import { loopbackIdentity } from './provider.mjs';

/* SoftHSM leaks the name of the curve at each use of an Ed25519 key. */
process.env.ASAN_OPTIONS = [process.env.ASAN_OPTIONS, 'detect_leaks=0'].filter(Boolean).join(':');

const require = createRequire(path.join(process.env.KV_LIVE_NODE, 'x.js'));
const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-login-'));
const at = (name) => path.join(folder, name);
let identity;
let issuer;
let listener;
let server;
let admin;

async function startProvider() {
  const { default: Provider } =
    await import(pathToFileURL(require.resolve('oidc-provider')).href);
  identity = loopbackIdentity(folder);
  let app;
  listener = https.createServer({ key: identity.key, cert: identity.pem },
    (request, answer) => app(request, answer));
  await new Promise((resolve) => { listener.listen(0, '127.0.0.1', resolve); });
  issuer = `https://localhost:${listener.address().port}`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'kvctl', token_endpoint_auth_method: 'none', grant_types: [DEVICE],
      response_types: [], redirect_uris: [] }],
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
    cookies: { keys: ['a test'] },
    findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  });
  app = provider.callback();
}

before(async () => {
  await startProvider();
  server = await Keyvault.start({ settings: { 'outgoing.networks': '127.0.0.0/8',
    'oidc.corp.issuer': issuer, 'oidc.corp.audience': 'kvctl',
    'oidc.corp.ca_file': identity.file } });
  admin = await server.administrator();
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  const keeper = await server.officer('keeper', ['CRYPTO_OFFICER'], '/');
  await keeper.call('KeyService/CreateKey', { vault: 'shop', name: 'own', kty: 'EC' });
  for (const name of ['alice', 'administrator']) {
    const made = name === 'alice' ? selfSigned('laptop') : admin.identity;
    fs.writeFileSync(at(`${name}.pem`), made.pem);
    fs.writeFileSync(at(`${name}.key`), made.key, { mode: 0o600 });
  }
});

after(async () => {
  await server?.stop();
  listener?.closeAllConnections();
  listener?.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Starts kvctl; `done` gives { status, out, err }; `said` what it has said so far. */
function kvctl(who, words, { input = '', env = {} } = {}) {
  const child = spawn(KVCTL, [...words, '--endpoint', `127.0.0.1:${server.port}`, '--server-name',
    'localhost', '--ca', path.join(server.home, 'tls/server.pem'), '--certificate',
    at(`${who}.pem`), '--key', at(`${who}.key`)], { env: { ...process.env, HOME: folder,
    XDG_CACHE_HOME: at('cache'), ...env } });
  const it = { out: '', err: '' };
  child.stdout.on('data', (text) => { it.out += text; });
  child.stderr.on('data', (text) => { it.err += text; });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  it.done = new Promise((resolve) => {
    child.on('close', (status) => {
      it.ended = true;
      resolve({ status, out: it.out, err: it.err });
    });
  });
  return it;
}

const succeeds = async (...args) => {
  const end = await kvctl(...args).done;
  assert.strictEqual(end.status, 0, end.err);
  return end;
};

/** A browser: cookies, redirects, forms. */
class Browser {
  constructor() {
    this.cookies = new Map();
  }

  request(url, form) {
    return new Promise((resolve, reject) => {
      const body = form && new URLSearchParams(form).toString();
      const headers = { cookie: [...this.cookies].map(([k, v]) => `${k}=${v}`).join('; ') };
      if (body) headers['content-type'] = 'application/x-www-form-urlencoded';
      const sent = https.request(url, { method: form ? 'POST' : 'GET', ca: identity.pem, headers },
        (answer) => {
          let text = '';
          for (const cookie of answer.headers['set-cookie'] ?? []) {
            const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
            this.cookies.set(name, value);
          }
          answer.on('data', (part) => { text += part; });
          answer.on('end', () => resolve({ status: answer.statusCode, text,
            location: answer.headers.location && new URL(answer.headers.location, url).href }));
        });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  async go(url, form) {
    let page = await this.request(url, form);
    for (let hops = 0; page.location && hops < 10; hops += 1) {
      const here = page.location;
      page = await this.request(here);
      page.url = here;
    }
    return { url, ...page };
  }

  /** Fills in the page's first form and sends it. */
  submit(page, values = {}) {
    const action = page.text.match(/<form[^>]*action="([^"]*)"/)?.[1] ?? page.url;
    const hidden = Object.fromEntries([...page.text.matchAll(/<input[^>]*>/g)]
      .map(([tag]) => [tag.match(/name="([^"]*)"/)?.[1], tag.match(/value="([^"]*)"/)?.[1] ?? ''])
      .filter(([name]) => name));
    return this.go(new URL(action.replaceAll('&amp;', '&'), page.url).href,
      { ...hidden, ...values });
  }
}

/** What the person does who reads kvctl's words. */
async function signIn(login, account, { deny = false } = {}) {
  let found;
  while (!(found = login.err.match(/open\n {4}(\S+)\nand enter the code\n {4}(\S+)/))) {
    assert(!login.ended, login.err);
    await nap(20);
  }
  const browser = new Browser();
  let page = await browser.go(found[1]);
  page = await browser.submit(page, { user_code: found[2] });
  page = await browser.submit(page, deny ? { abort: 'yes' } : { confirm: 'yes' });
  for (let step = 0; !deny && /name="prompt"/.test(page.text) && step < 3; step += 1) {
    page = await browser.submit(page, /name="login"/.test(page.text) ?
      { login: account, password: 'any' } : {});
  }
  return page;
}

const login = (who, more = [], options) => kvctl(who, ['login', '--oidc-issuer', issuer,
  '--oidc-client-id', 'kvctl', '--oidc-ca', identity.file, '--roles', 'crypto-user', '--scope',
  '/vaults/shop', ...more], options);
const signs = (who, options) => kvctl(who, ['key', 'sign', '--vault', 'shop', '--name', 'own',
  '--algorithm', 'ES256', '--digest', '01'.repeat(32)], options).done;
const sessions = () => (fs.existsSync(at('cache/keyvault')) ?
  fs.readdirSync(at('cache/keyvault')) : []);

test('an access administrator lets a person in', async () => {
  for (const words of [['principal', 'create', '--name', 'alice', '--kind', 'user'],
    ['principal', 'credential', 'add', '--principal', 'alice', '--oidc-provider', 'corp',
      '--value', 'alice@corp'],
    ['role', 'assign', '--principal', 'alice', '--role', 'crypto-user', '--scope',
      '/vaults/shop']]) {
    await succeeds('administrator', words);
  }
  const { out } = await succeeds('administrator', ['principal', 'credential', 'list',
    '--principal', 'alice']);
  assert.match(out, /"provider": "corp"/);
  assert.match(out, /"kind": "CREDENTIAL_KIND_OIDC"/);
});

test('she signs in on another screen, and the role token is kept for her alone', async () => {
  const before_ = await signs('alice');
  assert.strictEqual(before_.status, 5);
  assert.match(before_.err, /kvctl login/);

  const running = login('alice');
  const page = await signIn(running, 'alice@corp');
  assert.strictEqual(page.status, 200, page.text);
  const end = await running.done;
  assert.strictEqual(end.status, 0, end.err);
  assert(!`${end.out}${end.err}`.includes('eyJ'), 'the token is shown');
  const [name, ...others] = sessions();
  assert.deepStrictEqual(others, []);
  const file = at(`cache/keyvault/${name}`);
  assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600);
  assert.strictEqual(fs.statSync(path.dirname(file)).mode & 0o777, 0o700);

  assert.strictEqual((await signs('alice')).status, 0);
  const who = await succeeds('alice', ['token', 'whoami']);
  assert.match(who.out, /"displayName": "alice"/);
  /* Somebody with another certificate does not get it. */
  const other = selfSigned('other');
  fs.writeFileSync(at('other.pem'), other.pem);
  fs.writeFileSync(at('other.key'), other.key, { mode: 0o600 });
  assert.strictEqual((await signs('other')).status, 5);
  /* And a file that others can read is not used. */
  fs.chmodSync(file, 0o640);
  const open = await signs('alice');
  assert.strictEqual(open.status, 5);
  assert.match(open.err, /is not used/);
  fs.chmodSync(file, 0o600);
  fs.writeFileSync(file, '{"token":7}');
  assert.strictEqual((await signs('alice')).status, 5);
});

test('whoever is not registered, or says no, gets nothing', async () => {
  await succeeds('alice', ['logout']);
  assert.deepStrictEqual(sessions(), []);
  let running = login('alice');
  await signIn(running, 'mallory@corp');
  let end = await running.done;
  assert.strictEqual(end.status, 5, end.err);
  assert.match(end.err, /stands for no principal/);
  running = login('alice');
  await signIn(running, 'alice@corp', { deny: true });
  end = await running.done;
  assert.strictEqual(end.status, 5, end.err);
  assert.match(end.err, /access_denied/);
  assert.deepStrictEqual(sessions(), []);
});

test('what is missing is said before anybody is asked', async () => {
  const bare = await kvctl('alice', ['login']).done;
  assert.strictEqual(bare.status, 2);
  assert.match(bare.err, /--roles/);
  const nowhere = await kvctl('alice', ['login', '--roles', 'crypto-user', '--scope', '/']).done;
  assert.strictEqual(nowhere.status, 2);
  assert.match(nowhere.err, /--oidc-issuer/);
  const distrusted = await kvctl('alice', ['login', '--roles', 'crypto-user', '--scope', '/'],
    { env: { KVCTL_OIDC_ISSUER: issuer, KVCTL_OIDC_CLIENT_ID: 'kvctl',
      KVCTL_OIDC_CA: path.join(server.home, 'tls/server.pem') } }).done;
  assert.notStrictEqual(distrusted.status, 0);
  assert.match(distrusted.err, /certificate/);
  const another = await kvctl('alice', ['login', '--roles', 'crypto-user', '--scope', '/'],
    { env: { KVCTL_OIDC_ISSUER: issuer.replace('localhost', '127.0.0.1'),
      KVCTL_OIDC_CLIENT_ID: 'kvctl', KVCTL_OIDC_CA: identity.file } }).done;
  assert.match(another.err, /another name/);
});

test('a token from elsewhere is exchanged, from a file or standard input', async () => {
  const wrong = await kvctl('alice', ['login', '--id-token-file', '-', '--roles', 'crypto-user',
    '--scope', '/vaults/shop'], { input: 'abc.def.ghi\n' }).done;
  assert.strictEqual(wrong.status, 5, wrong.err);
  assert.match(wrong.err, /ID_TOKEN_INVALID/);
  const known = await kvctl('administrator', ['login', '--id-token-file', '-', '--roles',
    'access-administrator', '--scope', '/'], { input: 'abc.def.ghi\n' }).done;
  assert.strictEqual(known.status, 2, known.err);
  assert.match(known.err, /id_token/);
});

test('a session that ended says what to do', async () => {
  const running = login('alice');
  await signIn(running, 'alice@corp');
  assert.strictEqual((await running.done).status, 0);
  assert.strictEqual((await signs('alice')).status, 0);
  await succeeds('administrator', ['token', 'revoke', '--principal', 'alice']);
  const ended = await signs('alice');
  assert.strictEqual(ended.status, 5);
  assert.match(ended.err, /kvctl login signs in again/);
});
