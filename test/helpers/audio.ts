/** The smallest files that players take for what they are. */

/** 8 kHz, 8 bit, one channel, as many samples as asked for. */
export function wavFile(samples = 64): Buffer {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + samples, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(8000, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples, 40);
  return Buffer.concat([head, Buffer.from(Array.from({ length: samples }, (_, i) => i % 251))]);
}

/** One frame of MPEG 1 layer III, 128 kbit/s, 44.1 kHz. */
export function mp3File(): Buffer {
  return Buffer.concat([Buffer.from([0xff, 0xfb, 0x90, 0x00]), Buffer.alloc(413)]);
}

/** The same after an ID3v2.4 tag. */
export function taggedMp3File(): Buffer {
  return Buffer.concat([Buffer.from("ID3\x04\x00\x00\x00\x00\x00\x0a", "latin1"), Buffer.alloc(10), mp3File()]);
}

/** The first page of a stream, with the packet that it begins with. */
export function oggFile(packet = "OpusHead"): Buffer {
  const head = Buffer.alloc(28);
  head.write("OggS", 0);
  head.writeUInt8(2, 5);
  head.writeUInt8(1, 26);
  head.writeUInt8(19, 27);
  return Buffer.concat([head, Buffer.from(packet, "latin1"), Buffer.alloc(19)]);
}
