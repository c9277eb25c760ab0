// shim.mjs - the other end of tests/support/p11_shim.c: what is to go wrong, and what was called.
import fs from 'node:fs';

const LINE = 64;
const NAME = 24;
const AT = { gate: 24, calls: 28, hits: 32, inside: 36, rv: 40, delay: 44, skip: 48, times: 52, left: 56,
  fault: 60 };
export const FAULTS = ['none', 'refuse', 'lose', 'delay', 'hang', 'die', 'leave', 'escape'];

export class Shim {
  /* The file is there once the server has loaded the module. */
  constructor(file) {
    this.fd = fs.openSync(file, 'r+');
    this.names = [];
    const { size } = fs.fstatSync(this.fd);
    const all = Buffer.alloc(size);
    fs.readSync(this.fd, all, 0, size, 0);
    for (let at = 0; at < size; at += LINE) {
      this.names.push(all.toString('latin1', at, at + NAME).replace(/\0.*$/s, ''));
    }
  }

  #at(name, member) {
    const line = this.names.indexOf(name);
    if (line < 0) throw new Error(`PKCS #11 has no ${name}`);
    return line * LINE + AT[member];
  }

  read(name, member) {
    const word = Buffer.alloc(4);
    fs.readSync(this.fd, word, 0, 4, this.#at(name, member));
    return word.readUInt32LE();
  }

  #write(name, member, value) {
    const word = Buffer.alloc(4);
    word.writeUInt32LE(value);
    fs.writeSync(this.fd, word, 0, 4, this.#at(name, member));
  }

  /** The next `times` calls after `skip` (0: all, until lift()) fail in that way; `again`: only when
   *  the module has been initialised again. */
  inject(name, fault, { rv = 0, delay = 0, skip = 0, times = 0, again = false } = {}) {
    const gate = again ? this.read('C_Initialize', 'calls') + 1 : 0;
    this.lift(name); // of an older fault: it would take the numbers of this one
    for (const [member, value] of Object.entries({ gate, rv, delay, skip, times, left: times,
      hits: 0, fault: FAULTS.indexOf(fault) })) this.#write(name, member, value);
  }

  lift(name) {
    this.#write(name, 'fault', 0);
  }

  /** The functions that were called at all. */
  called() {
    return this.names.filter((name) => this.read(name, 'calls') > 0);
  }

  close() {
    fs.closeSync(this.fd);
  }
}
