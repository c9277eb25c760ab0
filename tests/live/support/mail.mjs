// mail.mjs - mail servers on loopback: a real one with STARTTLS, and others that only pretend.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.join(process.env.KV_LIVE_NODE ?? path.dirname(here), 'x.js'));
const { SMTPServer } = require('smtp-server');
const mailParts = (raw) => {
  const at = raw.indexOf('\r\n\r\n');
  const headers = {};
  for (const line of raw.slice(0, at).replace(/\r\n[ \t]/g, ' ').split('\r\n')) {
    headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 2);
  }
  return { headers, body: raw.slice(at + 4) };
};
export const unquoted = (text) => Buffer.from(text.replace(/=\r\n/g, '')
  .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), 'latin1')
  .toString().replace(/\r\n/g, '\n');

/**
 * A server that takes mail: `identity` is { key, pem }; `users` { name: password }; `refuse`
 * (address) may give an error text with a code in front; `implicit`: TLS from the first byte.
 * Mails are in .mails: { from, to, raw, headers, body, secure, user }.
 */
export class MailServer {
  constructor(identity, { users, refuse = () => null, implicit = false, port = 0 } = {}) {
    this.mails = [];
    this.refuse = refuse;
    this.waiting = [];
    const refusal = (text) => Object.assign(new Error(text.slice(4)),
      { responseCode: Number(text.slice(0, 3)) });
    this.server = new SMTPServer({
      key: identity.key, cert: identity.pem, secure: implicit, authOptional: !users,
      disabledCommands: users ? [] : ['AUTH'], logger: false, closeTimeout: 100,
      onAuth: (auth, session, done) => (users?.[auth.username] === auth.password ?
        done(null, { user: auth.username }) : done(refusal('535 not with this password'))),
      onRcptTo: (address, session, done) => {
        const text = this.refuse(address.address);
        done(text ? refusal(text) : null);
      },
      onData: (stream, session, done) => {
        const parts = [];
        stream.on('data', (it) => parts.push(it));
        stream.on('end', () => {
          const raw = Buffer.concat(parts).toString('latin1');
          const mail = { from: session.envelope.mailFrom.address, raw, ...mailParts(raw),
            to: session.envelope.rcptTo.map((it) => it.address), secure: session.secure,
            user: session.user, helo: session.hostNameAppearsAs };
          this.mails.push(mail);
          for (const wake of this.waiting.splice(0)) wake();
          done();
        });
      },
    });
    this.server.on('error', () => {});
    this.ready = new Promise((resolve) => {
      this.server.listen(port, '127.0.0.1', () => {
        this.port = this.server.server.address().port;
        resolve(this);
      });
    });
  }

  /** Until there are so many mails. */
  async until(count, ms = 60_000) {
    const end = Date.now() + ms;
    while (this.mails.length < count) {
      if (Date.now() > end) throw new Error(`${this.mails.length} mails instead of ${count}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.waiting.push(() => { clearTimeout(timer); resolve(); });
      });
    }
    return this.mails;
  }

  stop() {
    return new Promise((resolve) => { this.server.close(resolve); });
  }
}

/** One that says what `talk(socket, line, count)` writes; `line` is null at the beginning. */
export class Pretender {
  constructor(talk) {
    this.sockets = new Set();
    this.lines = [];
    this.server = net.createServer((socket) => {
      this.sockets.add(socket);
      let rest = '';
      socket.on('error', () => {});
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('data', (data) => {
        rest += data.toString('latin1');
        for (let at = rest.indexOf('\r\n'); at >= 0; at = rest.indexOf('\r\n')) {
          const line = rest.slice(0, at);
          rest = rest.slice(at + 2);
          this.lines.push(line);
          talk(socket, line);
        }
      });
      talk(socket, null);
    });
    this.ready = new Promise((resolve) => {
      this.server.listen(0, '127.0.0.1', () => {
        this.port = this.server.address().port;
        resolve(this);
      });
    });
  }

  stop() {
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => { this.server.close(resolve); });
  }
}

/** Settings of a keyvaultd that mails through `port`, trusting `ca` (a file). */
export const smtpSettings = (port, ca, more = {}) => ({
  'smtp.host': 'localhost', 'smtp.port': port, 'smtp.ca_file': ca,
  'smtp.from': 'vault@example.org', 'notification.origin': 'vault.example.org',
  'outgoing.networks': '127.0.0.0/8, ::1', ...more });

export const passwordFile = (file, password) => {
  fs.writeFileSync(file, password, { mode: 0o600 });
  return file;
};
