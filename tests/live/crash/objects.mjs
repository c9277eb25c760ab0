// objects.mjs - keys, secrets and certificates for the crash driver: see thing.mjs.
import assert from 'node:assert';
import { X509Certificate, createPrivateKey, createPublicKey, createVerify, generateKeyPairSync }
  from 'node:crypto';
import { VAULT, Versioned } from './thing.mjs';

const MESSAGE = Buffer.from('a document');
const bytes = (text) => Buffer.from(text, 'base64url');
const spkiOf = (der) => createPublicKey({ key: der, format: 'der', type: 'spki' });

/* With the public key that was answered when it was made, not the one that is told now. */
async function signs(caller, name, version, publicKey) {
  const { signature } = await caller.call('KeyService/Sign',
    { vault: VAULT, name, version, algorithm: 'ES256', message: MESSAGE });
  assert(createVerify('sha256').update(MESSAGE)
    .verify({ key: publicKey, dsaEncoding: 'ieee-p1363' }, signature),
  `a signature by ${version} is not that of the key that was answered`);
}

/** What is known of a version: { spki }, absent until it was told. */
export class Key extends Versioned {
  policy = null; // { expiry_time, permitted }

  constructor(name) {
    super(name, 'Key');
  }

  static fresh(name) {
    return new Key(name);
  }

  made(operation, method, request) {
    return this.making(operation, method, { ...this.at, ...request }, {}, {
      see: (answer, known) => { known.spki = answer.spki; } });
  }

  imported() {
    const { d, x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      .export({ format: 'jwk' });
    return this.made('KeyImport', 'KeyService/ImportKey',
      { key: { kty: 'EC', crv: 'P256', d: bytes(d), x: bytes(x), y: bytes(y) } });
  }

  steps(dice) {
    const create = this.made('KeyCreate', 'KeyService/CreateKey', { kty: 'EC' });
    if (this.state === 'gone') return [[3, create], [1, this.imported()]];
    if (this.state === 'deleted') return this.afterDeletion();
    return [[1, create], [2, this.made('KeyRotate', 'KeyService/RotateKey', {})], [2, this.removal()],
      ...(this.versions.size ? [[2, this.marking(dice)]] : []), ...this.policySteps(dice)];
  }

  policySteps(dice) {
    const retirement = { disable_after: `P${10 + dice.below(90)}D`, destroy_after: 'P1Y' };
    const set = this.step('KeyRotationPolicySet', 'KeyService/UpdateKeyRotationPolicy',
      { ...this.at, policy: { retirement, lifetime_actions: [
        { trigger: { time_after_create: 'P90D' }, action: 'ROTATE' }] } },
      { happened: () => { // what was permitted stays so while the schedule is the same
        const same = this.policy?.retirement.disable_after === retirement.disable_after;
        this.policy = { retirement, permitted: same && this.policy.permitted };
      } });
    if (!this.policy || this.policy.permitted) return [[1, set]];
    const { policy } = this;
    return [[1, set], [1, this.step('KeyDestructionPermit', 'KeyService/PermitKeyDestruction',
      { ...this.at, ...policy.retirement }, { happened: () => { policy.permitted = true; } })]];
  }

  forget() {
    super.forget();
    this.policy = null;
  }

  async meet(caller, version) {
    const { spki } = await caller.call('KeyService/GetKey', { ...this.at, version });
    this.unseen.pop();
    this.versions.set(version, { spki });
  }

  async works(caller, version) {
    const { spki } = this.versions.get(version);
    await signs(caller, this.name, version, spkiOf(spki));
    if (!this.policy) return;
    const got = await caller.call('KeyService/GetKeyRotationPolicy', this.at);
    assert.deepStrictEqual({ ...got.policy.retirement }, this.policy.retirement);
    assert.strictEqual(got.destruction_permitted > 0, this.policy.permitted, 'the permission');
  }
}

/** What is known of a version: { value }. */
export class Secret extends Versioned {
  backup = null; // { value, versions }

  constructor(name) {
    super(name, 'Secret');
  }

  static fresh(name) {
    return new Secret(name);
  }

  steps(dice) {
    const value = `value ${dice.below(1e9)} of ${this.name}`;
    const set = this.making('SecretSet', 'SecretService/SetSecret',
      { ...this.at, value: Buffer.from(value) }, { value });
    if (this.state === 'gone') return [[2, set], ...(this.backup ? [[4, this.restoration()]] : [])];
    if (this.state === 'deleted') return this.afterDeletion();
    return [[3, set], [2, this.removal()],
      ...(this.versions.size ? [[2, this.marking(dice)]] : [])];
  }

  /* What goes into a backup is what its restoration is compared with. */
  removal() {
    const before = { versions: new Map(this.versions), unseen: [...this.unseen],
      marks: new Map(this.marks) };
    return { ...super.removal(), first: async (caller) => {
      const { value } = await caller.call('SecretService/BackupSecret', this.at);
      this.backup = { value, ...before };
    } };
  }

  restoration() {
    const { value, versions, unseen, marks } = this.backup;
    return this.step('SecretRestore', 'SecretService/RestoreSecret', { vault: VAULT, value }, {
      to: 'live',
      happened: () => Object.assign(this, { versions: new Map(versions), unseen: [...unseen],
        marks: new Map(marks) }) });
  }

  async valueOf(caller, version) {
    return (await caller.call('SecretService/GetSecret', { ...this.at, version })).value.toString();
  }

  async meet(caller, version) {
    const value = await this.valueOf(caller, version);
    const known = this.unseen.find((one) => one.value === value);
    assert(known, `nobody set the value of ${version}`);
    this.unseen.splice(this.unseen.indexOf(known), 1);
    this.versions.set(version, known);
  }

  async works(caller) {
    for (const [version, { value }] of [...this.versions].slice(-3)) {
      assert.strictEqual(await this.valueOf(caller, version), value, `the value of ${version}`);
    }
  }
}

/** What is known of a version: { cer }, absent until it was looked at. */
export class Certificate extends Versioned {
  constructor(name, issuer, exportable) {
    super(name, 'Certificate');
    Object.assign(this, { issuer, exportable, revoked: new Set() });
  }

  static fresh(name, dice, at) {
    const it = new Certificate(name, dice.pick(['Self', 'authority', 'delegated']),
      dice.chance(0.5));
    // Made elsewhere, with its key; the first one soon, for a long series wants every method called.
    it.pfx = dice.chance(at.brings ? 0.15 : 0.5) ? at.brought.pop() : undefined;
    at.brings ||= Boolean(it.pfx);
    return it;
  }

  get policy() {
    return { key_props: { kty: 'EC', exportable: this.exportable }, issuer: { name: this.issuer },
      x509_props: { subject: `CN=${this.name}.example.org`,
        sans: { dns_names: [`${this.name}.example.org`] }, validity_months: 1 } };
  }

  steps(dice) {
    const create = this.making('CertificateCreate', 'CertificateService/CreateCertificate',
      { ...this.at, policy: this.policy }, {},
      { also: () => { this.months = 1; } });
    if (this.state === 'gone') return [[1, this.pfx ? this.importing() : create]];
    if (this.state === 'deleted') return this.afterDeletion();
    const months = 1 + dice.below(3);
    return [...(this.pfx ? [] : [[2, create]]), [2, this.removal()],
      [1, this.step('CertificatePolicyUpdate', 'CertificateService/UpdateCertificatePolicy',
        { ...this.at, policy: { x509_props: { validity_months: months } } },
        { happened: () => { this.months = months; } })],
      ...(this.versions.size ? [[1, this.marking(dice)]] : []), ...this.revocation(dice)];
  }

  importing() {
    return this.making('CertificateImport', 'CertificateService/ImportCertificate',
      { ...this.at, value: this.pfx.value, policy: { key_props: { exportable: this.exportable } } },
      { cer: this.pfx.cer });
  }

  /* At the authority that issued it. */
  revocation(dice) {
    const mine = [...this.versions].filter(([version, it]) => it.cer && !this.revoked.has(version));
    if (this.issuer === 'Self' || this.pfx || !mine.length) return [];
    const [version, { cer }] = dice.pick(mine);
    const serial = new X509Certificate(cer).serialNumber.toLowerCase();
    return [[1, this.step('CertificateAuthorityRevoke',
      'CertificateAuthorityService/RevokeCertificate',
      { vault: VAULT, name: 'authority', serial, reason: 'SUPERSEDED' }, {
        happened: () => this.revoked.add(version) })]];
  }

  forget() {
    super.forget();
    this.months = undefined;
    this.revoked = new Set();
  }

  async meet(caller, version) {
    const { cer } = await caller.call('CertificateService/GetCertificate', { ...this.at, version });
    if (this.pfx) assert(cer.equals(this.pfx.cer));
    this.unseen.pop();
    this.versions.set(version, { cer });
  }

  async works(caller, version, at) {
    const known = this.versions.get(version);
    const got = await caller.call('CertificateService/GetCertificate', { ...this.at, version });
    assert(got.cer.length > 0, 'it has no certificate');
    known.cer ??= got.cer;
    assert(got.cer.equals(known.cer), `another certificate than was answered for ${version}`);
    const operation = await caller.call('CertificateService/GetCertificateOperation', this.at)
      .catch((error) => (this.pfx && error.code === 'NOT_FOUND' ? null : Promise.reject(error)));
    assert(!operation || operation.status === 'completed', `its operation: ${operation?.status}`);
    const x509 = new X509Certificate(known.cer);
    await signs(caller, this.name, version, x509.publicKey);
    const { value } = await caller.call('SecretService/GetSecret',
      { ...this.at, version, format: 'PEM' });
    assert(value.includes('BEGIN CERTIFICATE'));
    assert.strictEqual(value.includes('PRIVATE KEY'), this.exportable);
    if (this.exportable) assert(x509.checkPrivateKey(createPrivateKey(value)), 'another private key');
    if (this.months) {
      const { policy } = await caller.call('CertificateService/GetCertificatePolicy', this.at);
      assert.strictEqual(policy.x509_props.validity_months, this.months);
    }
    for (const one of this.revoked) {
      const { serialNumber } = new X509Certificate(this.versions.get(one).cer);
      const { state } = await at.user.call('CertificateAuthorityService/GetIssuedCertificate',
        { vault: VAULT, name: 'authority', serial: serialNumber.toLowerCase() });
      assert.strictEqual(state, 'ISSUED_CERTIFICATE_STATE_REVOKED', `${one} is not revoked`);
    }
  }
}
