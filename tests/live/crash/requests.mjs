// requests.mjs - certificates of the issuer Unknown for the crash driver: a request goes out, waits
// over kills, is merged, cancelled or forgotten. See thing.mjs.
import assert from 'node:assert';
import { X509Certificate } from 'node:crypto';
import { derOf } from '../support/authority.mjs';
import { Thing, find } from './thing.mjs';

const SERVICE = 'CertificateService';

/** States: gone, waiting, cancelled, idle (its operation was forgotten), merged. */
export class Request extends Thing {
  csr = null;
  cer = null;

  static fresh(name) {
    return new Request(name);
  }

  get policy() {
    return { key_props: { kty: 'EC' }, issuer: { name: 'Unknown' },
      x509_props: { subject: `CN=${this.name}.example.org`,
        sans: { dns_names: [`${this.name}.example.org`] } } };
  }

  steps(dice, at) {
    if (this.state !== 'waiting') {
      return [[1, this.step('CertificateCreate', `${SERVICE}/CreateCertificate`,
        { ...this.at, policy: this.policy }, { to: 'waiting',
          happened: () => { this.csr = null; },
          answered: ({ csr }) => { this.csr = csr; } })]];
    }
    const end = (operation, method, to) =>
      this.step(operation, `${SERVICE}/${method}`, this.at, { to });
    return [[1, end('CertificatePendingUpdate', 'CancelCertificateOperation', 'cancelled')],
      [1, end('CertificatePendingDelete', 'DeleteCertificateOperation', 'idle')],
      ...(this.csr ? [[2, this.merging(at)]] : [])];
  }

  merging(at) {
    const cer = derOf(at.authority.sign(this.csr));
    return this.step('CertificatePendingMerge', `${SERVICE}/MergeCertificate`,
      { ...this.at, x5c: [cer, derOf(at.authority.intermediate)] },
      { to: 'merged', happened: () => { this.cer = cer; } });
  }

  async check(at, caller) {
    const got = await find(caller, `${SERVICE}/GetCertificate`, this.at);
    assert.strictEqual(!!got, this.state !== 'gone');
    const operation = await find(caller, `${SERVICE}/GetCertificateOperation`, this.at);
    const status = { waiting: 'inProgress', cancelled: 'cancelled', merged: 'completed' };
    assert.strictEqual(operation?.status, status[this.state]);
    if (this.state === 'waiting') {
      this.csr ??= operation.csr;
      assert(this.csr.equals(operation.csr), 'another request waits than was answered');
    }
    if (!got) return;
    assert(got.cer.equals(this.cer ?? Buffer.alloc(0)), 'another certificate than was merged');
    if (!this.cer) return;
    const key = await caller.call('KeyService/GetKey', this.at);
    assert(new X509Certificate(this.cer).publicKey.export({ type: 'spki', format: 'der' })
      .equals(key.spki), 'the key is not that of the certificate');
  }
}
