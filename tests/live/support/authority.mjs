// authority.mjs - a certificate authority of OpenSSL, for certificates that are made elsewhere.
import fs from 'node:fs';
import path from 'node:path';
import { run } from './keyvault.mjs';

export const pemOf = (der, label = 'CERTIFICATE') => `-----BEGIN ${label}-----\n${
  der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`;
export const derOf = (pem) => Buffer.from(
  pem.toString().match(/-----BEGIN [^-]+-----([^-]+)/)[1], 'base64');

/** A root and an intermediate below it; `folder` is the caller's to remove. */
export class Authority {
  constructor(folder) {
    this.folder = folder;
    fs.mkdirSync(folder, { recursive: true });
    const ca = 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n' +
      'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n';
    this.made = 0;
    this.key('root');
    run('openssl', ['req', '-x509', '-key', this.at('root.key'), '-out', this.at('root.pem'),
      '-subj', '/CN=Test Root', '-days', '3650', '-addext', 'keyUsage=critical,keyCertSign']);
    this.key('intermediate');
    run('openssl', ['req', '-new', '-key', this.at('intermediate.key'), '-out',
      this.at('intermediate.csr'), '-subj', '/CN=Test Intermediate']);
    this.issue('root', this.at('intermediate.csr'), 'intermediate.pem', ca, 1825);
    this.root = fs.readFileSync(this.at('root.pem'));
    this.intermediate = fs.readFileSync(this.at('intermediate.pem'));
  }

  at(name) {
    return path.join(this.folder, name);
  }

  key(name) {
    run('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out',
      this.at(`${name}.key`)]);
  }

  issue(signer, csr, out, extensions, days, more = []) {
    fs.writeFileSync(this.at('extensions'), extensions);
    run('openssl', ['x509', '-req', '-in', csr, '-CA', this.at(`${signer}.pem`), '-CAkey',
      this.at(`${signer}.key`), '-out', this.at(out), '-days', String(days), '-extfile',
      this.at('extensions'), ...(more.includes('-set_serial') ? [] : ['-set_serial',
        `0x4${[...crypto.getRandomValues(new Uint8Array(12))].map((it) =>
          it.toString(16).padStart(2, '0')).join('')}`]), ...more]);
  }

  /**
   * Signs a request (DER) with its own names, under the intermediate; gives PEM.
   * options: days, extensions (instead of the request's), serial.
   */
  sign(csr, { days = 90, extensions, serial, signer = 'intermediate' } = {}) {
    const csrFile = this.at(`${++this.made}.csr`);
    const out = `${this.made}.pem`;
    fs.writeFileSync(csrFile, pemOf(csr, 'CERTIFICATE REQUEST'));
    const dns = [...run('openssl', ['req', '-in', csrFile, '-noout', '-text'])
      .matchAll(/DNS:([^\s,]+)/g)].map((it) => `DNS:${it[1]}`);
    this.issue(signer, csrFile, out, extensions ?? [
      'basicConstraints=critical,CA:false', 'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=serverAuth,clientAuth', 'subjectKeyIdentifier=hash',
      'authorityKeyIdentifier=keyid', ...(dns.length ? [`subjectAltName=${dns}`] : [])].join('\n'),
    days, serial ? ['-set_serial', serial] : []);
    return fs.readFileSync(this.at(out));
  }

  /** A key and its certificate: { key, pem } as PEM; algorithm as `openssl genpkey` takes it. */
  identity(name, { algorithm = ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'], ...rest } = {}) {
    const file = this.at(`${++this.made}.key`);
    run('openssl', ['genpkey', '-algorithm', ...algorithm, '-out', file]);
    run('openssl', ['req', '-new', '-key', file, '-out', this.at('one.csr'), '-subj', `/CN=${name}`,
      '-addext', `subjectAltName=DNS:${name}`]);
    const csr = derOf(fs.readFileSync(this.at('one.csr')));
    return { file, key: fs.readFileSync(file), pem: this.sign(csr, rest) };
  }
}
