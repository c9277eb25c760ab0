// keyvault.mjs - a keyvaultd of one's own, and callers who use it through the stock gRPC client.
//
//   const server = await Keyvault.start();              // init and run in a fresh folder
//   const alice = await server.principal('alice', [['CRYPTO_OFFICER', '/vaults/shop']]);
//   await alice.token(['CRYPTO_OFFICER'], '/vaults/shop');
//   const key = await alice.call('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC' });
//   const error = await alice.refused('KeyService/Sign', { ... });   // error.code, .reason, .field
//   await server.stop();                                // ends with status 0, folder removed
//
// Environment: KEYVAULTD, the program (or KV_BUILD, a build to take it from); KV_LIVE_NODE, the
// folder where npm.sh installed (else the one above this file); KV_LIVE_KEEP=1 leaves the folders
// behind.
import assert from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import { X509Certificate, createSign, generateKeyPairSync, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.join(process.env.KV_LIVE_NODE ?? path.dirname(here), 'x.js'));
export const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

/* A release is tested by the tests of another build. */
if (process.env.KV_BUILD) {
  process.env.KEYVAULTD = path.join(process.env.KV_BUILD, 'server/keyvaultd');
}

const START_MS = 45_000; // sanitizers on a busy machine
const STOP_MS = 60_000;
const CALL_MS = 60_000;
const HEALTH_MS = 10_000;
const PROTO = path.resolve(here, '../../../proto');
const MODULES = ['/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so', '/usr/local/lib/softhsm/libsofthsm2.so'];
export const SOFTHSM = process.env.SOFTHSM2_MODULE ?? MODULES.find((name) => fs.existsSync(name));

const options = { keepCase: true, longs: Number, enums: String, defaults: true, arrays: true,
  includeDirs: [PROTO] };
const files = fs.readdirSync(path.join(PROTO, 'keyvault/v1')).map((name) => `keyvault/v1/${name}`);
const definitions = loader.loadSync(
  [...files, 'grpc/health/v1/health.proto', 'google/rpc/status.proto',
    'google/rpc/error_details.proto'], options);

/** Every method of keyvault.v1 as 'KeyService/Sign' -> its definition. */
export const methods = new Map();
for (const [name, service] of Object.entries(definitions)) {
  if (!name.startsWith('keyvault.v1.') || typeof service.format === 'string') continue;
  for (const [method, definition] of Object.entries(service)) {
    methods.set(`${name.slice('keyvault.v1.'.length)}/${method}`, definition);
  }
}

/** Encodes or decodes any message: message('keyvault.v1.Tag').serialize({...}). */
export const message = (name) => definitions[name];

const codeName = (code) => Object.keys(grpc.status).find((key) => grpc.status[key] === code);
export const nap = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/* A limit that does not keep the program alive. */
const late = (ms) => new Promise((resolve) => setTimeout(resolve, ms, null).unref());

/** A failed call: gRPC code by name, and what google.rpc.Status in the trailer says. */
export class CallError extends Error {
  constructor(method, error) {
    super(`${method}: ${codeName(error.code)}: ${error.details}`);
    this.method = method;
    this.code = codeName(error.code);
    this.text = error.details;
    this.violations = [];
    const [raw] = error.metadata?.get('grpc-status-details-bin') ?? [];
    this.raw = raw ?? Buffer.alloc(0);
    if (!raw) return;
    this.status = message('google.rpc.Status').deserialize(raw);
    for (const { type_url: url, value } of this.status.details) {
      const detail = message(url.slice(url.lastIndexOf('/') + 1)).deserialize(value);
      if (url.endsWith('.BadRequest')) this.violations = detail.field_violations;
      if (url.endsWith('.ErrorInfo')) Object.assign(this, { reason: detail.reason, info: detail });
      if (url.endsWith('.RetryInfo')) this.retry = detail.retry_delay;
    }
    this.field = this.violations[0]?.field;
  }
}

/* The kind of a field by the last part of its name: message and enum names are unique here. */
const kinds = new Map(Object.entries(definitions).filter(([, it]) => it.type)
  .map(([name, it]) => [name.slice(name.lastIndexOf('.') + 1), it.type]));
const kindOf = (typeName) => kinds.get(typeName.slice(typeName.lastIndexOf('.') + 1));

/* An enum's value by its name with or without what all its names begin with ('EC' for
 * 'KEY_TYPE_EC'); numbers pass as they are, unknown ones too. */
function enumValue(value, names) {
  if (typeof value === 'number') return value;
  const found = names.find(({ name }) => name === value) ??
    names.find(({ name }) => name.endsWith(`_${value}`) &&
      name.length - value.length === names[0].name.length - 'UNSPECIFIED'.length);
  assert(found, `no enum value ${value}`);
  return found.number;
}

/* The client drops what it does not know; a test with a slip of the pen must not. */
function spell(value, type) {
  return Object.fromEntries(Object.entries(value).map(([name, member]) => {
    const field = type.field.find((it) => it.name === name);
    assert(field, `${type.name} has no field ${name}`);
    const kind = field.typeName && kindOf(field.typeName);
    const one = (it) => {
      if (!kind || it === null || it === undefined) return it;
      return kind.value ? enumValue(it, kind.value) : spell(it, kind);
    };
    return [name, Array.isArray(member) ? member.map(one) : one(member)];
  }));
}

/** The bytes of a request. */
export const encode = (method, request) => {
  const definition = methods.get(method);
  return definition.requestSerialize(spell(request, definition.requestType.type));
};

/** Runs a program, gives its standard output; throws with all it said. */
export function run(program, args, { input, env, text = true } = {}) {
  const done = spawnSync(program, args,
    { input, env: { ...process.env, ...env }, maxBuffer: 64 << 20 });
  if (done.error) throw done.error;
  if (done.status !== 0) {
    throw new Error(`${program} ${args.join(' ')}: status ${done.status}\n${done.stderr}`);
  }
  return text ? done.stdout.toString() : done.stdout;
}

const openssl = (...args) => run('openssl', args);

/** A DER element: a tag and what is in it. */
export function der(tag, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = body;
  const head = length < 128 ? [length] :
    length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

/** A self-signed P-256 certificate { key, pem } made here: quick, and with any dates (ms). */
export function selfSigned(name, { from = Date.now() - 3600e3, to = Date.now() + 30 * 86400e3,
  keys = generateKeyPairSync('ec', { namedCurve: 'P-256' }) } = {}) {
  const ecdsaSha256 = der(0x30, der(0x06, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
  const subject = der(0x30, der(0x31, der(0x30, der(0x06, [0x55, 0x04, 0x03]),
    der(0x0c, Buffer.from(name)))));
  const time = (ms) => der(0x18,
    Buffer.from(new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')));
  const utc = (ms) => (new Date(ms).getUTCFullYear() < 2050 ? der(0x17,
    Buffer.from(new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '').slice(2))) : time(ms));
  const clientAuth = der(0x30, der(0x06, [0x55, 0x1d, 0x25]), der(0x04, der(0x30,
    der(0x06, [0x2b, 6, 1, 5, 5, 7, 3, 2]))));
  const serial = randomBytes(12);
  serial[0] = 0x40;
  const body = der(0x30, der(0xa0, der(0x02, [2])), der(0x02, serial), ecdsaSha256, subject,
    der(0x30, utc(from), utc(to)), subject,
    keys.publicKey.export({ type: 'spki', format: 'der' }), der(0xa3, der(0x30, clientAuth)));
  const signature = createSign('sha256').update(body).sign(keys.privateKey);
  const whole = der(0x30, body, ecdsaSha256, der(0x03, [0], signature));
  return {
    key: Buffer.from(keys.privateKey.export({ type: 'pkcs8', format: 'pem' })),
    pem: Buffer.from(`-----BEGIN CERTIFICATE-----\n${
      whole.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`),
    der: whole,
  };
}

/** One connection with one client certificate (or none), and the role token it sends. */
export class Caller {
  constructor(server, name, identity) {
    this.server = server;
    this.name = name;
    this.identity = identity;
    this.bearer = null;
    this.answers = [];
  }

  get client() {
    if (!this.open || this.port !== this.server.port) {
      this.open?.close();
      const { key, pem } = this.identity ?? {};
      const credentials = grpc.credentials.createSsl(
        fs.readFileSync(path.join(this.server.home, 'tls/server.pem')), key ?? null, pem ?? null);
      this.port = this.server.port;
      this.open = new grpc.Client(`localhost:${this.port}`, credentials, {
        'grpc.use_local_subchannel_pool': 1,
        'grpc.max_receive_message_length': -1,
        'grpc.max_send_message_length': -1,
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 500,
        'grpc.enable_retries': 0,
      });
      this.server.callers.add(this);
    }
    return this.open;
  }

  close() {
    this.open?.close();
    this.open = undefined;
  }

  /** The same identity on a connection of its own. */
  again() {
    return new Caller(this.server, this.name, this.identity);
  }

  get der() {
    return new X509Certificate(this.identity.pem).raw;
  }

  /**
   * Calls a method. Gives the answer, of streaming methods the list of messages.
   * options: bearer (null: none), deadline (ms from now), metadata {}, raw (bytes of the request),
   * onCall (gets the grpc-js call), onMessage (streaming).
   */
  call(method, request = {}, { bearer = this.bearer, deadline = CALL_MS, metadata = {}, raw, onCall,
    onMessage } = {}) {
    const definition = methods.get(method);
    assert(definition, `no method ${method}`);
    const meta = new grpc.Metadata();
    if (bearer) meta.set('authorization', `Bearer ${bearer}`);
    for (const [key, value] of Object.entries(metadata)) meta.set(key, value);
    const bytes = raw ?? encode(method, request);
    const common = [definition.path, (it) => it, (it) => it, bytes, meta,
      { deadline: deadline === null ? Infinity : Date.now() + deadline }];
    this.answers = [];
    const take = (answer) => {
      this.answers.push(answer);
      return definition.responseDeserialize(answer);
    };
    return new Promise((resolve, reject) => {
      const fail = (error) => {
        const mine = new CallError(method, error);
        this.answers.push(mine.raw, Buffer.from(error.details ?? ''));
        reject(mine);
      };
      let call;
      if (definition.responseStream) {
        const got = [];
        call = this.client.makeServerStreamRequest(...common);
        call.on('data', (it) => {
          const one = take(it);
          got.push(one);
          onMessage?.(one, call);
        });
        call.on('error', fail);
        call.on('end', () => resolve(got));
      } else {
        call = this.client.makeUnaryRequest(...common,
          (error, answer) => (error ? fail(error) : resolve(take(answer))));
      }
      onCall?.(call);
    });
  }

  /** A call that must fail: gives the CallError. */
  async refused(method, request, callOptions) {
    let answer;
    try {
      answer = await this.call(method, request, callOptions);
    } catch (error) {
      if (error instanceof CallError) return error;
      throw error;
    }
    throw new assert.AssertionError({
      message: `${this.name}: ${method} was answered: ${JSON.stringify(answer).slice(0, 400)}`,
    });
  }

  /** Exchanges the certificate for a role token, which later calls carry. */
  async token(roles, scope, ttl = 0) {
    const answer = await this.call('AccessService/IssueRoleToken',
      { roles, scope, ttl_seconds: ttl }, { bearer: null });
    this.bearer = answer.token;
    return answer;
  }

  /** grpc.health.v1.Health/Check: 'SERVING'. */
  health(service = '') {
    const { Check } = definitions['grpc.health.v1.Health'];
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(Check.path, Check.requestSerialize, Check.responseDeserialize,
        { service }, new grpc.Metadata(), { deadline: Date.now() + HEALTH_MS },
        (error, answer) => (error ? reject(new CallError('Check', error)) :
          resolve(answer.status)));
    });
  }
}

const running = new Set();

/* Nothing is left behind, however the test ends. */
process.on('exit', () => {
  for (const server of running) server.removeNow();
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => process.exit(1));
}

export class Keyvault {
  /**
   * settings: { 'limits.streams': 4, 'audit.segment_bytes': 65536 } on top of the usual ones;
   * separation: 'off' lets one caller hold every role;
   * clientCa: true makes a CA whose certificates can be mapped (see service()).
   */
  static async start({ settings = {}, clientCa = false, separation = 'strict' } = {}) {
    const server = new this();
    try {
      server.prepare({ 'access.separation_of_duty': separation, ...settings }, clientCa);
      await server.restart();
    } catch (error) {
      server.removeNow();
      throw error;
    }
    return server;
  }

  #log = '';

  constructor() {
    assert(process.env.KEYVAULTD, 'KEYVAULTD must name the server program');
    assert(SOFTHSM, 'no SoftHSM module found; SOFTHSM2_MODULE can name it');
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-live-'));
    this.home = path.join(this.folder, 'home');
    this.config = path.join(this.folder, 'keyvaultd.conf');
    this.tokens = path.join(this.folder, 'tokens');
    this.env = { SOFTHSM2_CONF: path.join(this.folder, 'softhsm2.conf') };
    this.callers = new Set();
    this.certificates = 0;
    this.startsAt = 0;
    running.add(this);
  }

  prepare(settings, clientCa) {
    fs.mkdirSync(this.home, { mode: 0o700 });
    fs.mkdirSync(this.tokens, { mode: 0o700 });
    fs.writeFileSync(this.env.SOFTHSM2_CONF,
      `directories.tokendir = ${this.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n` +
      'slots.removable = false\n');
    const all = { 'server.home': this.home, 'server.listen': '127.0.0.1:0',
      'tls.key': 'pkcs11:token=kv-tls' };
    for (const duty of ['keys', 'ca', 'system', 'tls']) {
      all[`token.${duty}.module`] = SOFTHSM;
      all[`token.${duty}.uri`] = `pkcs11:token=kv-${duty}`;
      all[`token.${duty}.pin_file`] = `pins/${duty}`;
    }
    if (clientCa) {
      this.ca = this.certificate('client CA', { ca: true });
      all['tls.client_ca'] = path.join(this.folder, 'client-ca.pem');
      fs.writeFileSync(all['tls.client_ca'], this.ca.pem);
    }
    this.configure({ ...all, ...settings });
    this.admin = new Caller(this, 'administrator', this.certificate('administrator'));
    const pem = path.join(this.folder, 'administrator.pem');
    fs.writeFileSync(pem, this.admin.identity.pem);
    this.keyvaultd('init', '--create-tokens', '--administrator', `Administrator=${pem}`);
  }

  /** Writes the configuration: { 'section.key': value }. Counts from the next restart on. */
  configure(settings) {
    this.settings = { ...this.settings, ...settings };
    const sections = {};
    for (const [name, value] of Object.entries(this.settings)) {
      const dot = name.lastIndexOf('.');
      (sections[name.slice(0, dot)] ??= []).push(`${name.slice(dot + 1)} = ${value}`);
    }
    fs.writeFileSync(this.config, Object.entries(sections)
      .map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`).join('\n'));
  }

  /** Runs keyvaultd with this configuration to its end; gives its standard output. */
  keyvaultd(command, ...args) {
    return run(process.env.KEYVAULTD, [command, '--config', this.config, ...args],
      { env: this.env });
  }

  /** PIN of the token for a duty: 'keys', 'ca', 'system', 'tls'. */
  pin(duty) {
    return fs.readFileSync(path.join(this.home, 'pins', duty), 'utf8').trim();
  }

  // --- the process ---

  /** Starts (again) and waits until it serves. */
  async restart() {
    const portFile = path.join(this.home, 'port');
    if (this.child && this.child.exitCode === null && this.child.signalCode === null) {
      await this.terminate();
    }
    fs.rmSync(portFile, { force: true });
    const child = spawn(process.env.KEYVAULTD, ['run', '--config', this.config],
      { env: { ...process.env, ...this.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    this.startsAt = this.log.length;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => { this.log += text; });
    }
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal }));
      child.on('error', (error) => {
        this.log += `${error}\n`;
        resolve({ code: 127 });
      });
    });
    const until = Date.now() + START_MS;
    while (Date.now() < until && child.exitCode === null && child.signalCode === null) {
      if (fs.existsSync(portFile)) {
        this.port = Number(fs.readFileSync(portFile, 'utf8'));
        const probe = new Caller(this, 'probe', null);
        const state = this.port ? await probe.health().catch(() => null) : null;
        probe.close();
        this.callers.delete(probe);
        if (state === 'SERVING') return this;
      }
      await nap(50);
    }
    /* Ended: all that it said is to be read. */
    if (child.exitCode !== null || child.signalCode !== null) await this.ended;
    throw this.failed('keyvaultd did not come up');
  }

  /**
   * What it says when it has looked at all keys after its start:
   * { keys, unknown_objects, missing_objects }.
   */
  async scanned() {
    return JSON.parse(await this.logged(/^.*"token\.scanned".*$/m));
  }

  /** All that it said; '' forgets it. */
  get log() {
    return this.#log;
  }

  set log(text) {
    if (text.length < this.#log.length) this.startsAt = 0;
    this.#log = text;
  }

  /** What of its log since the start matches, when it does: lines may come after an answer. */
  async logged(pattern) {
    return (await this.#looked((log) => pattern.exec(log), pattern))[0];
  }

  /** What it says of an event since the start, as objects, when it has been said so often. */
  async told(event, count = 1) {
    return this.#looked((log) => {
      const lines = log.split('\n').filter((line) => line.includes(`"${event}"`));
      return lines.length < count ? null : lines.map((line) => JSON.parse(line));
    }, event);
  }

  /** SIGHUP; gives what it says to it, which is this event, once. */
  async reload(event = 'server.reloaded') {
    const before = (await this.told(event, 0)).length;
    this.child.kill('SIGHUP');
    const told = await this.told(event, before + 1);
    assert.strictEqual(told.length, before + 1, this.log.slice(-2000));
    return told.at(-1);
  }

  /* What `look` finds in the whole lines since the start, once it finds something. */
  async #looked(look, what) {
    for (const until = Date.now() + START_MS; Date.now() < until; await nap(20)) {
      const gone = this.child.exitCode !== null || this.child.signalCode !== null;
      if (gone) await this.ended; // then all is read
      const found = look(this.log.slice(this.startsAt, this.log.lastIndexOf('\n') + 1));
      if (found) return found;
      if (gone) break;
    }
    throw this.failed(`its log does not say ${what}`);
  }

  /** Fails unless the tokens hold exactly the keys that the rows name. */
  async reconciled() {
    const { unknown_objects: unknown, missing_objects: missing } = await this.scanned();
    assert.deepStrictEqual({ unknown, missing }, { unknown: 0, missing: 0 }, this.log);
  }

  /** Of the listeners for proofs. */
  get acmeHttpPort() {
    return Number(fs.readFileSync(path.join(this.home, 'acme-http-port'), 'utf8'));
  }

  get acmeTlsPort() {
    return Number(fs.readFileSync(path.join(this.home, 'acme-tls-port'), 'utf8'));
  }

  /** Of the listener for revocation lists and OCSP. */
  get pkiPort() {
    return Number(fs.readFileSync(path.join(this.home, 'pki-port'), 'utf8'));
  }

  get pid() {
    return this.child.pid;
  }

  failed(what) {
    return new Error(`${what}\n--- log of keyvaultd ---\n${this.log.slice(-20_000)}`);
  }

  /** SIGKILL; gives when the process is gone. */
  async kill() {
    this.child.kill('SIGKILL');
    return this.ended;
  }

  /** SIGTERM; the server must end by itself with status 0. */
  async terminate() {
    this.child.kill('SIGTERM');
    const end = await Promise.race([this.ended, late(STOP_MS)]);
    if (!end) {
      await this.kill();
      throw this.failed('keyvaultd did not end after SIGTERM');
    }
    if (end.code !== 0) {
      throw this.failed(`keyvaultd ended with ${end.signal ?? `status ${end.code}`}`);
    }
  }

  /** Ends the server properly and removes its folder. */
  async stop() {
    for (const caller of this.callers) caller.close();
    try {
      if (this.child.exitCode === null && this.child.signalCode === null) await this.terminate();
      else if (this.child.exitCode) throw this.failed('keyvaultd had ended before its time');
    } finally {
      this.removeNow();
    }
  }

  removeNow() {
    for (const caller of this.callers) caller.close();
    if (this.child?.exitCode === null) this.child.kill('SIGKILL');
    if (!process.env.KV_LIVE_KEEP) fs.rmSync(this.folder, { recursive: true, force: true });
    running.delete(this);
  }

  // --- certificates of clients ---

  /**
   * A P-256 key and certificate made by openssl: { key, pem } in PEM. Self-signed, or from this.ca
   * with { san: 'URI:urn:app' }.
   */
  certificate(name, { ca = false, san, days = 30 } = {}) {
    const base = path.join(this.folder, `certificate-${++this.certificates}`);
    const subject = `/CN=${name}`;
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${base}.key`);
    if (!san) {
      openssl('req', '-x509', '-new', '-key', `${base}.key`, '-subj', subject, '-days', `${days}`,
        '-out', `${base}.pem`, '-addext',
        ca ? 'keyUsage=critical,keyCertSign,cRLSign' : 'extendedKeyUsage=clientAuth');
    } else {
      assert(this.ca, 'start the server with { clientCa: true }');
      const own = path.join(this.folder, 'ca');
      fs.writeFileSync(`${own}.key`, this.ca.key);
      fs.writeFileSync(`${own}.pem`, this.ca.pem);
      fs.writeFileSync(`${base}.ext`,
        `subjectAltName=${san}\nextendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n` +
        'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n');
      openssl('req', '-new', '-key', `${base}.key`, '-subj', subject, '-out', `${base}.csr`);
      openssl('x509', '-req', '-in', `${base}.csr`, '-CA', `${own}.pem`, '-CAkey', `${own}.key`,
        '-set_serial', `${1000 + this.certificates}`, '-days', `${days}`, '-extfile',
        `${base}.ext`, '-out', `${base}.pem`);
    }
    return { key: fs.readFileSync(`${base}.key`), pem: fs.readFileSync(`${base}.pem`) };
  }

  /** A caller without a client certificate. */
  stranger() {
    return new Caller(this, 'stranger', null);
  }

  /** A caller whose certificate nobody registered. */
  unknown() {
    return new Caller(this, 'unknown', this.certificate('unknown'));
  }

  // --- principals ---

  /** The administrator with a fresh role token. */
  async administrator() {
    if (!this.admin.bearer) await this.admin.token(['ACCESS_ADMINISTRATOR'], '/', 28800);
    return this.admin;
  }

  /** A person (or kind) with a registered certificate and [role, scope] grants. */
  async principal(name, grants = [], { kind = 'USER', vault = '',
    identity = this.certificate(name) } = {}) {
    const caller = new Caller(this, name, identity);
    const admin = await this.administrator();
    caller.principal =
      await admin.call('AccessService/CreatePrincipal', { display_name: name, kind });
    caller.id = caller.principal.id;
    caller.credential = await admin.call('AccessService/AddManagementCertificate',
      { principal_id: caller.id, certificate: caller.der, vault });
    await this.grant(caller, grants);
    return caller;
  }

  /** An application known by a SAN URI in a certificate of the client CA. */
  async service(name, grants = [], uri = `urn:keyvault:${name}`) {
    const caller = new Caller(this, name, this.certificate(name, { san: `URI:${uri}` }));
    const admin = await this.administrator();
    caller.principal = await admin.call('AccessService/CreatePrincipal',
      { display_name: name, kind: 'SERVICE' });
    caller.id = caller.principal.id;
    caller.credential = await admin.call('AccessService/AddCredential',
      { principal_id: caller.id, name_type: 'URI', value: uri });
    await this.grant(caller, grants);
    return caller;
  }

  /** Grants roles; gives the assignments. */
  async grant(caller, grants) {
    const admin = await this.administrator();
    const given = [];
    for (const [role, scope] of grants) {
      given.push(await admin.call('AccessService/AssignRole',
        { principal_id: caller.id, role, scope }));
    }
    caller.assignments = [...(caller.assignments ?? []), ...given];
    return given;
  }

  /** principal() and token() in one: roles in one scope. */
  async officer(name, roles, scope, extra) {
    const caller = await this.principal(name, roles.map((role) => [role, scope]), extra);
    await caller.token(roles, scope, 28800);
    return caller;
  }
}
