// segments.mjs - reads and writes the frames of a segment file (see server/audit/frame.h), as
// somebody would who wants to change the past and has no key.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const HEADER = 160;
const HEAD = 8;
const HASH = 32;
export const KIND = { record: 1, checkpoint: 2 };

const table = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  return c >>> 0;
});

function crc32c(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = table[(c ^ byte) & 0xff] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

const sha256 = (...parts) => crypto.createHash('sha256').update(Buffer.concat(parts)).digest();

export class Segment {
  constructor(file) {
    this.path = file;
    this.name = path.basename(file);
    const bytes = fs.readFileSync(file);
    this.size = bytes.length;
    this.header = bytes.subarray(0, HEADER);
    this.frames = [];
    for (let at = HEADER; at + HEAD < bytes.length && bytes.readUInt32BE(at);) {
      const size = HEAD + bytes.readUInt32BE(at) + HASH;
      this.frames.push(this.view(Buffer.from(bytes.subarray(at, at + size))));
      at += size;
    }
  }

  view(bytes) {
    return { bytes, kind: bytes[HEAD], message: bytes.subarray(HEAD + 1, bytes.length - HASH),
      hash: bytes.subarray(bytes.length - HASH) };
  }

  /** The hash that a frame in that place follows on: of the record before it. */
  before(at) {
    for (let i = at - 1; i >= 0; i--) {
      if (this.frames[i].kind === KIND.record) return this.frames[i].hash;
    }
    return sha256(this.header.subarray(40, 72), this.header);
  }

  checksum({ bytes }) {
    bytes.writeUInt32BE(crc32c(Buffer.concat([bytes.subarray(0, 4), bytes.subarray(HEAD)])), 4);
  }

  /** A frame that is good in itself. */
  frame(kind, message, before) {
    const bytes = Buffer.alloc(HEAD + 1 + message.length + HASH);
    bytes.writeUInt32BE(1 + message.length, 0);
    bytes[HEAD] = kind;
    message.copy(bytes, HEAD + 1);
    sha256(before, message).copy(bytes, HEAD + 1 + message.length);
    const made = this.view(bytes);
    this.checksum(made);
    return made;
  }

  save() {
    const bytes = Buffer.concat([this.header, ...this.frames.map((one) => one.bytes)]);
    fs.writeFileSync(this.path, Buffer.concat([bytes,
      Buffer.alloc(Math.max(0, this.size - bytes.length))]));
  }
}
