// load.mjs - callers who never stop, check every answer, and remember what they were promised.
import assert from 'node:assert';
import { createPrivateKey, createPublicKey, createVerify, generateKeyPairSync, randomBytes }
  from 'node:crypto';
import { CallError, nap } from '../support/keyvault.mjs';

const VAULT = 'shop';
const PATIENT_MS = 15_000;
const CONNECT_MS = 2000; // the server has no deadline for a call that it has not seen
const b64 = (it) => Buffer.from(it).toString('base64url');

const publicOf = (bundle) => createPublicKey({ format: 'jwk',
  key: { kty: 'EC', crv: 'P-256', x: b64(bundle.key.x), y: b64(bundle.key.y) } });

export class Load {
  constructor(user) {
    this.user = user;
    this.keys = new Map(); // name -> public key, of keys that were acknowledged
    this.secrets = new Map();
    this.wrapping = []; // names of keys that wrap others
    this.answers = 0;
    this.refusals = new Map();
    this.wrong = [];
    this.late = [];
    this.made = 0;
    this.on = false;
    this.deadline = PATIENT_MS;
  }

  async #once(what, mostMs, work) {
    const began = performance.now();
    try {
      await work();
      this.answers++;
      this.done.set(what, (this.done.get(what) ?? 0) + 1);
    } catch (error) {
      if (!(error instanceof CallError)) {
        this.wrong.push(`${what}: ${error.message}`);
      } else {
        const why = `${what}: ${error.code}`;
        this.refusals.set(why, (this.refusals.get(why) ?? 0) + 1);
        if (!['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED'].includes(error.code)) {
          this.wrong.push(error.message);
        }
      }
    }
    const ms = performance.now() - began;
    if (ms > mostMs) this.late.push(`${what}: ${Math.round(ms)} ms`);
  }

  async sign(name) {
    const message = Buffer.from(`a document ${this.made}`);
    const { signature } = await this.user.call('KeyService/Sign',
      { vault: VAULT, name, algorithm: 'ES256', message }, { deadline: this.deadline });
    const good = createVerify('sha256').update(message)
      .verify({ key: this.keys.get(name), dsaEncoding: 'ieee-p1363' }, signature);
    assert(good, `a signature of ${name} is not valid`);
  }

  async createKey() {
    const name = `key-${++this.made}`;
    const bundle = await this.user.call('KeyService/CreateKey',
      { vault: VAULT, name, kty: 'EC' }, { deadline: this.deadline });
    this.keys.set(name, publicOf(bundle));
  }

  async setSecret() {
    const name = `secret-${++this.made}`;
    const value = Buffer.from(`value ${this.made}`);
    await this.user.call('SecretService/SetSecret', { vault: VAULT, name, value },
      { deadline: this.deadline });
    this.secrets.set(name, value);
  }

  async getSecret(name) {
    const { value } = await this.user.call('SecretService/GetSecret', { vault: VAULT, name },
      { deadline: this.deadline });
    assert(this.secrets.get(name).equals(value), `${name} has another value`);
  }

  /* A certificate whose key makes it whole: issued, and its key signs. */
  async createCertificate() {
    const name = `certificate-${++this.made}`;
    await this.user.call('CertificateService/CreateCertificate', { vault: VAULT, name, policy: {
      key_props: { kty: 'EC' }, issuer: { name: 'Self' },
      x509_props: { subject: `CN=${name}`, validity_months: 1 } } }, { deadline: this.deadline });
    const bundle = await this.user.call('KeyService/GetKey', { vault: VAULT, name },
      { deadline: this.deadline });
    this.keys.set(name, publicOf(bundle));
  }

  /* Its private key leaves the token once, and is the one that is told. */
  async createExportable() {
    const name = `exportable-${++this.made}`;
    await this.user.call('CertificateService/CreateCertificate', { vault: VAULT, name, policy: {
      key_props: { kty: 'EC', exportable: true }, issuer: { name: 'Self' },
      x509_props: { subject: `CN=${name}`, validity_months: 1 } } }, { deadline: this.deadline });
    const at = { vault: VAULT, name };
    const told = await this.user.call('KeyService/GetKey', at, { deadline: this.deadline });
    const { value } = await this.user.call('SecretService/GetSecret', { ...at, format: 'PEM' },
      { deadline: this.deadline });
    assert(createPublicKey(createPrivateKey(value)).equals(publicOf(told)),
      `${name} came out as another key`);
    this.keys.set(name, publicOf(told));
  }

  async importKey() {
    const name = `imported-${++this.made}`;
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { d, x, y } = pair.privateKey.export({ format: 'jwk' });
    const bytes = (text) => Buffer.from(text, 'base64url');
    await this.user.call('KeyService/ImportKey', { vault: VAULT, name,
      key: { kty: 'EC', crv: 'P256', d: bytes(d), x: bytes(x), y: bytes(y) } },
    { deadline: this.deadline });
    this.keys.set(name, pair.publicKey);
  }

  async createWrappingKey() {
    const name = `wrapping-${++this.made}`;
    await this.user.call('KeyService/CreateKey', { vault: VAULT, name, kty: 'OCT', key_size: 256,
      key_ops: ['WRAP_KEY', 'UNWRAP_KEY'] }, { deadline: this.deadline });
    this.wrapping.push(name);
  }

  async wrap(name) {
    const it = { vault: VAULT, name, algorithm: 'A256KW' };
    const plaintext = randomBytes(32);
    const { ciphertext } = await this.user.call('KeyService/WrapKey', { ...it, plaintext },
      { deadline: this.deadline });
    const opened = await this.user.call('KeyService/UnwrapKey', { ...it, ciphertext },
      { deadline: this.deadline });
    assert(opened.plaintext.equals(plaintext), `${name} unwraps something else than it wrapped`);
  }

  /** Every kind of work once, unwatched: so that there is something to use. */
  async begin() {
    for (let i = 0; i < 3; i++) await this.createKey();
    await this.setSecret();
    await this.createWrappingKey();
    for (const one of Object.values(this.works())) await one();
  }

  /* By what they are called. */
  works() {
    const some = (list) => list[Math.floor(Math.random() * list.length)];
    return { 'sign': () => this.sign(some([...this.keys.keys()])),
      'create key': () => this.createKey(), 'set secret': () => this.setSecret(),
      'get secret': () => this.getSecret(some([...this.secrets.keys()])),
      'create certificate': () => this.createCertificate(),
      'create exportable': () => this.createExportable(), 'import key': () => this.importKey(),
      'create wrapping key': () => this.createWrappingKey(),
      'wrap': () => this.wrap(some(this.wrapping)), 'connect': () => this.connect() };
  }

  /* A handshake, which the token's TLS key signs, and a call. */
  async connect() {
    const other = this.user.again();
    other.bearer = this.user.bearer;
    try {
      await other.call('KeyService/ListKeys', { vault: VAULT },
        { deadline: this.deadline ?? CONNECT_MS });
    } finally {
      other.close();
    }
  }

  /** Goes on until stop(); no answer may take longer than `mostMs`. */
  run(mostMs) {
    this.on = true;
    this.deadline = null; // the server's
    this.done = new Map(); // how often it was answered
    this.loops = Object.entries(this.works()).map(async ([what, work]) => {
      while (this.on) {
        await this.#once(what, mostMs, work);
        await nap(5);
      }
    });
  }

  /** Every kind of work has been done so often. */
  tried(times) {
    return this.done.size === this.loops.length && [...this.done.values()].every((it) => it >= times);
  }

  async stop() {
    this.on = false;
    await Promise.all(this.loops);
    this.deadline = PATIENT_MS;
  }

  /** Until every kind of work succeeds; false when it does not in time. */
  async recovers(ms) {
    const until = Date.now() + ms;
    let left = Object.values(this.works());
    while (left.length && Date.now() < until) {
      const still = [];
      for (const work of left) {
        await work().catch((error) => {
          if (!(error instanceof CallError)) throw error;
          this.last = error.message;
          still.push(work);
        });
      }
      left = still;
      if (left.length) await nap(100);
    }
    return left.length === 0;
  }

  /** What was acknowledged is there and works. */
  async check() {
    for (const name of this.keys.keys()) await this.sign(name);
    for (const name of this.secrets.keys()) await this.getSecret(name);
    for (const name of this.wrapping) await this.wrap(name);
  }
}
