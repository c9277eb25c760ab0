// scene.mjs - a vault whose issuer is an ACME authority on loopback, and the people it takes.
import assert from 'node:assert';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pemOf } from '../support/authority.mjs';
import { Keyvault, nap, run } from '../support/keyvault.mjs';

const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
const DONE_MS = 60_000;

export const folderOf = (name) => fs.mkdtempSync(path.join(os.tmpdir(), `keyvault-${name}-`));

/* SoftHSM leaks at a kill; the server of these tests is killed a lot. */
process.env.ASAN_OPTIONS = [process.env.ASAN_OPTIONS, 'detect_leaks=0'].filter(Boolean).join(':');

export class Scene {
  /** `ca`: file that the authority's HTTPS is trusted by; `httpPort`: for http-01, if any; `kind`:
   * class of the server. */
  static async start({ ca, httpPort, settings = {}, kind = Keyvault }) {
    const scene = new Scene();
    scene.server = await kind.start({ settings: { 'outgoing.ca_file': ca,
      'outgoing.networks': '127.0.0.0/8',
      ...(httpPort ? { 'acme.http_listen': `127.0.0.1:${httpPort}` } : {}), ...settings } });
    scene.operator = await scene.server.officer('operator', ['VAULT_OPERATOR'], '/');
    await scene.operator.call('VaultService/CreateVault', { vault: 'shop' });
    scene.issuers = await scene.server.officer('issuers', ['ISSUER_OFFICER'], '/vaults/shop');
    scene.certificates =
      await scene.server.officer('certificates', ['CERTIFICATE_OFFICER'], '/vaults/shop');
    for (const { name, identity } of [scene.issuers, scene.certificates]) {
      fs.writeFileSync(scene.at(`${name}.pem`), identity.pem);
      fs.writeFileSync(scene.at(`${name}.key`), identity.key, { mode: 0o600 });
    }
    return scene;
  }

  at(name) {
    return path.join(this.server.folder, name);
  }

  async stop() {
    await this.server?.stop();
  }

  #line(caller, noun, verb, args) {
    return [noun, ...verb.split(' '), '--endpoint', `127.0.0.1:${this.server.port}`,
      '--server-name', 'localhost', '--ca', path.join(this.server.home, 'tls/server.pem'),
      '--certificate', this.at(`${caller.name}.pem`), '--key', this.at(`${caller.name}.key`),
      '--vault', 'shop', ...args];
  }

  /** kvctl as one of the two; gives its standard output. */
  kvctl(caller, noun, verb, args = [], input = undefined) {
    return run(KVCTL, this.#line(caller, noun, verb, args), { input });
  }

  /** The same; gives what it says on standard error. */
  kvctlTold(caller, noun, verb, args = []) {
    return run('sh', ['-c', '"$0" "$@" 2>&1 >/dev/null', KVCTL,
      ...this.#line(caller, noun, verb, args)]);
  }

  setIssuer(name, { directory, credentials, rules, ...more }) {
    return this.issuers.call('IssuerService/SetIssuer', { vault: 'shop', issuer: name,
      provider: 'ACME', allowed_domains: { rules: ['*'] }, ...(credentials ? { credentials } : {}),
      ...(rules ? { order_rules: rules } : {}),
      settings: JSON.stringify({ directory, terms_agreed: true,
        contacts: ['mailto:pki@example.com'], ...more }) });
  }

  policy(issuer, names, { percentage = 80, ...more } = {}) {
    return { key_props: { kty: 'EC', crv: 'P256' }, issuer: { name: issuer },
      x509_props: { subject: `CN=${names[0]}`, sans: { dns_names: names } },
      lifetime_actions: [{ action_type: 'AUTO_RENEW', trigger: { lifetime_percentage: percentage } }], ...more };
  }

  create(name, issuer, names, more) {
    return this.certificates.call('CertificateService/CreateCertificate',
      { vault: 'shop', name, policy: this.policy(issuer, names, more) });
  }

  pending(name) {
    return this.certificates.call('CertificateService/GetCertificateOperation',
      { vault: 'shop', name });
  }

  /** The operation when `when` holds for it. */
  async until(name, when, what) {
    const end = Date.now() + DONE_MS;
    for (;;) {
      const operation = await this.pending(name);
      if (when(operation)) return operation;
      assert(Date.now() < end, `${name}: never ${what}: ${JSON.stringify(operation, null, 1)}`);
      await nap(100);
    }
  }

  async completed(name) {
    const operation = await this.until(name, (it) => it.status !== 'inProgress', 'over');
    assert.strictEqual(operation.status, 'completed', JSON.stringify(operation, null, 1));
    return operation;
  }

  get(name, version = '') {
    return this.certificates.call('CertificateService/GetCertificate',
      { vault: 'shop', name, version });
  }

  async versions(name) {
    const answer = await this.certificates.call('CertificateService/ListCertificateVersions',
      { vault: 'shop', name });
    return answer.items;
  }

  /** The chain of a name, PEM. */
  async chain(name) {
    const answer = await this.certificates.call('CertificateService/GetCertificateChain',
      { vault: 'shop', name });
    return answer;
  }

  /** OpenSSL must find the way from the certificate to the root. */
  async verify(name, root) {
    const bundle = await this.get(name);
    const { certificates: above = [] } = await this.chain(name);
    fs.writeFileSync(this.at('leaf.pem'), pemOf(bundle.cer));
    fs.writeFileSync(this.at('root.pem'), root);
    fs.writeFileSync(this.at('above.pem'), above.map((it) => pemOf(it)).join(''));
    run('openssl', ['verify', '-CAfile', this.at('root.pem'), '-untrusted', this.at('above.pem'),
      this.at('leaf.pem')]);
    return new X509Certificate(bundle.cer);
  }
}
