// authorities.mjs - certificate authorities for the crash driver: see thing.mjs.
import assert from 'node:assert';
import { X509Certificate } from 'node:crypto';
import { derOf } from '../support/authority.mjs';
import { Thing, VAULT, find } from './thing.mjs';

const SERVICE = 'CertificateAuthorityService';
const CA = ['basicConstraints=critical,CA:true', 'keyUsage=critical,keyCertSign,cRLSign',
  'subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid'].join('\n');

/** States: gone, waiting (for its certificate from elsewhere), live. */
export class CertificateAuthority extends Thing {
  static fresh(name, dice, at) {
    const it = new CertificateAuthority(name);
    // The first waits for a certificate, the second is a root: a long series wants every method
    // called.
    at.authorities = (at.authorities ?? 0) + 1;
    it.always = { 1: false, 2: true }[at.authorities];
    return it;
  }

  steps(dice, at) {
    const own = (operation, method, request, more) =>
      this.step(operation, `${SERVICE}/${method}`, { ...this.at, ...request }, more);
    if (this.state === 'gone') {
      const root = this.always ?? dice.chance(0.6);
      return [[1, own('CertificateAuthorityCreate', 'CreateCertificateAuthority',
        { type: root ? 'ROOT' : 'SUBORDINATE', subject: `CN=${this.name}`, kty: 'EC', crv: 'P256' },
        { to: root ? 'live' : 'waiting',
          happened: () => Object.assign(this, { root, enabled: true, certificate: null, csr: null,
            key: 1 }),
          answered: ({ certificate, csr }) => Object.assign(this, { certificate, csr }) })]];
    }
    const remove = own('CertificateAuthorityDelete', 'DeleteCertificateAuthority', {},
      { to: 'gone' });
    if (this.state === 'waiting') return this.csr ? [[1, this.importing(at)]] : [];
    const enabled = !this.enabled;
    const steps = [[2, own('CertificateAuthorityUpdate', 'UpdateCertificateAuthority', { enabled },
      { happened: () => { this.enabled = enabled; } })]];
    if (!this.enabled) steps.push([1, remove]);
    else if (this.root && this.key < 4) {
      steps.push([at.renews ? 1 : 8, this.renewal(own, at, dice.chance(0.5))]); // as above
    }
    return steps;
  }

  renewal(own, at, fresh) {
    return own('CertificateAuthorityRenew', 'RenewCertificateAuthority', { new_key: fresh },
      { happened: () => {
        this.certificate = null;
        this.key += Number(fresh);
        at.renews = true;
      }, answered: ({ certificate }) => { this.certificate = certificate; } });
  }

  importing(at) {
    const certificate = derOf(at.authority.sign(this.csr, { extensions: CA, days: 1000 }));
    const above = [at.authority.intermediate, at.authority.root].map(derOf);
    return this.step('CertificateAuthorityImport',
      `${SERVICE}/ImportCertificateAuthorityCertificate`,
      { ...this.at, x5c: [certificate, ...above] },
      { to: 'live', happened: () => Object.assign(this, { certificate, csr: null }) });
  }

  async check(at, caller) {
    const got = await find(caller, `${SERVICE}/GetCertificateAuthority`, this.at);
    assert.strictEqual(!!got, this.state !== 'gone');
    if (!got) return;
    const states = { waiting: 'PENDING_CERTIFICATE', live: this.enabled ? 'ACTIVE' : 'DISABLED' };
    assert.strictEqual(got.state, states[this.state]);
    assert.strictEqual(got.key_number, this.key);
    if (this.state === 'waiting') {
      this.csr ??= got.csr;
      assert(this.csr.equals(got.csr), 'another request waits than was answered');
      return;
    }
    this.certificate ??= got.certificate;
    assert(this.certificate.equals(got.certificate), 'another certificate than was answered');
    const x509 = new X509Certificate(got.certificate);
    if (this.root) assert(x509.verify(x509.publicKey), 'it did not sign itself');
  }
}

/* What the shop's authority issued for versions has one certificate for each of them. */
export async function checkIssued(list) {
  const versions = list.map((one) => one.version).filter(Boolean);
  assert.strictEqual(new Set(versions).size, versions.length,
    `a version of ${VAULT} was issued twice`);
}
