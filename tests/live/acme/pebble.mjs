// pebble.mjs - Debian's ACME test server on loopback, with a certificate for its own HTTPS, and the
// DNS server that comes with it. Everything it says goes to `log`.
//
//   const pebble = await Pebble.start({ folder, validity: 60, eab: true, env: {...}, httpPort });
//   pebble.directory, pebble.ca (a file), await pebble.root(), await pebble.stop()
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { freePorts } from '../support/ports.mjs';
import { Programs, serverIdentity } from './programs.mjs';

/* The public example value of the package's own configuration. */
export const EAB = { kid: 'kid-1',
  key: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W' };

export class Pebble extends Programs {
  static async start(options) {
    const pebble = new Pebble();
    await pebble.begin(options);
    return pebble;
  }

  async begin({ folder, eab = false, validity = 7_776_000, blocked = [], env = {}, httpPort,
    tlsPort, listen, dnsPort }) {
    this.log = '';
    this.children = [];
    if (!this.identity) this.identity = serverIdentity(folder);
    const [free, management, dns, dnsManagement, http, tls] = await freePorts(6);
    this.listen = listen ?? free;
    this.httpPort = httpPort ?? http;
    this.ca = this.identity.ca;
    this.directory = `https://127.0.0.1:${this.listen}/dir`;
    this.management = `https://127.0.0.1:${management}`;
    fs.writeFileSync(path.join(folder, 'pebble.json'), JSON.stringify({ pebble: {
      listenAddress: `127.0.0.1:${this.listen}`, managementListenAddress: `127.0.0.1:${management}`,
      certificate: this.identity.certificate, privateKey: this.identity.key,
      httpPort: this.httpPort, tlsPort: tlsPort ?? tls, ocspResponderURL: '',
      externalAccountBindingRequired: eab, externalAccountMACKeys: eab ? { [EAB.kid]: EAB.key } : {},
      domainBlocklist: blocked, certificateValidityPeriod: validity } }));
    this.nameServer(dns, dnsManagement);
    this.spawn('pebble', ['-config', path.join(folder, 'pebble.json'), '-strict=false',
      '-dnsserver', `127.0.0.1:${dnsPort ?? dns}`],
    { PEBBLE_VA_NOSLEEP: '1', PEBBLE_AUTHZREUSE: '0', PEBBLE_WFE_NONCEREJECT: '0', ...env });
    await this.up();
  }

  /** The n-th root of this run, PEM. */
  async root(n = 0) {
    return this.get(`${this.management}/roots/${n}`);
  }

  /** "Valid" or "Revoked". */
  async stateOf(der) {
    const serial = new X509Certificate(der).serialNumber.toLowerCase();
    return JSON.parse(await this.get(`${this.management}/cert-status-by-serial/${serial}`)).Status;
  }

  /** How many certificates it has made, when it has told of so many at the least. */
  async made(least) {
    await this.said(`that it has issued ${least}`, () => this.issued >= least);
    return this.issued;
  }

  /** How many accounts it has made; there is one at the least. */
  async accounts() {
    const all = () => this.log.match(/There are now \d+ accounts/g) ?? [];
    await this.said('that there is an account', () => all().length > 0);
    return all().length;
  }

  get issued() {
    return (this.log.match(/Issued certificate serial/g) ?? []).length;
  }
}
