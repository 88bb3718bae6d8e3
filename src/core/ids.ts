import { randomByte, sha256Hex } from "./crypto/tokens.ts";

const HEX2 = Array.from({ length: 256 }, (_, n) => n.toString(16).padStart(2, "0"));
const HEX3 = Array.from({ length: 4096 }, (_, n) => n.toString(16).padStart(3, "0"));

const COUNTER_BITS = 18;
let lastMs = 0;
let prefix = "";
let counter = 0;

/**
 * A UUIDv7 (RFC 9562 section 5.7), lower case. The ids of a process increase strictly: within a
 * millisecond `rand_a` and the first six bits of `rand_b` are a counter (section 6.2, method 1).
 * While the clock stops or runs backwards, the last instant is used.
 */
export function uuidv7(now: number = Date.now()): string {
  if (now > lastMs) {
    const hex = now.toString(16).padStart(12, "0");
    prefix = `${hex.slice(0, 8)}-${hex.slice(8)}-7`;
    lastMs = now;
    // The top bit is 0 at first, so that at least 2^17 ids fit into a millisecond.
    counter = ((randomByte() << 16) | (randomByte() << 8) | randomByte()) & ((1 << (COUNTER_BITS - 1)) - 1);
  } else if (++counter >>> COUNTER_BITS) {
    return uuidv7(lastMs + 1);
  }
  let tail = "";
  for (let i = 0; i < 6; i++) tail += HEX2[randomByte()];
  return `${prefix}${HEX3[counter >>> 6]}-${HEX2[0x80 | (counter & 63)]}${HEX2[randomByte()]}-${tail}`;
}

/** The instant of a UUIDv7, in epoch ms; NaN for another text. */
export function instantOfId(id: string): number {
  return Number.parseInt(id.slice(0, 13).replace("-", ""), 16);
}

/** A deterministic UUIDv7 of an instant and a name. */
export function uuidOf(at: number, name: string): string {
  const time = at.toString(16).padStart(12, "0");
  const hash = sha256Hex(name);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 18)}`;
}

/** A text before all UUIDv7 of the instant and after, and after those of earlier ones. */
export function firstIdAt(at: number): string {
  const time = Math.max(0, Math.floor(at)).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether the text is a UUID of any version in canonical lower case, the only form of ids. */
export function isUuid(text: string): boolean {
  return text.length === 36 && UUID.test(text);
}
