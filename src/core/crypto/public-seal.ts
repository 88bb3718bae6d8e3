import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import { type SealedBox, UnsealError } from "./sealed-box.ts";

/*
 * Secrets that anyone may seal and only the server opens: X25519, HKDF-SHA-256 and AES-256-GCM. A sealed text is
 * `v1:` and, in base64url: id of the key (4 bytes) ‖ public key of the sender (32) ‖ ciphertext ‖ tag (16).
 */

/** Where a secret belongs. It is authenticated, so that a sealed text does not open anywhere else. */
export interface SealPlace {
  /** Slug. */
  readonly project: string;
  readonly kind: string;
  readonly name: string;
  /** Such as `fields.url`. */
  readonly field: string;
  /** Members of the object that decide who gets it, by path: it does not open with other values. */
  readonly bound: Readonly<Record<string, unknown>>;
}

const VERSION = "v1:";
const KEY_PREFIX = "x25519:";
const ID_BYTES = 4;
const POINT_BYTES = 32;
const TAG_BYTES = 16;
const HEAD_BYTES = ID_BYTES + POINT_BYTES;
/** PKCS #8 of a raw X25519 key (RFC 8410, section 7). */
const PKCS8 = Buffer.from("302e020100300506032b656e04220420", "hex");

/** Seals for the owner of a public key. @throws UnsealError for a text that is no such key */
export function sealFor(publicKey: string, place: SealPlace, secret: string): string {
  const recipient = pointIn(publicKey);
  const pair = generateKeyPairSync("x25519");
  const sender = rawOf(pair.publicKey);
  const { key, nonce } = keyOf(pair.privateKey, importedPoint(recipient), sender, recipient);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(placeBytes(place));
  const text = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
  return VERSION + Buffer.concat([idOf(recipient), sender, text, cipher.getAuthTag()]).toString("base64url");
}

/** The key pairs that follow from the encryption keys of a server: those of earlier keys open, too. */
export class SealKeys {
  readonly #pairs: readonly { readonly id: Buffer; readonly privateKey: KeyObject; readonly point: Buffer }[];

  constructor(box: SealedBox) {
    this.#pairs = box.derived("prism seal").map((seed) => {
      const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
      const point = rawOf(createPublicKey(privateKey));
      return { id: idOf(point), privateKey, point };
    });
  }

  /** The one to seal for, `x25519:…`. */
  get publicKey(): string {
    return KEY_PREFIX + (this.#pairs[0]?.point ?? Buffer.alloc(0)).toString("base64url");
  }

  /** @throws UnsealError for another key, another place, or a changed text */
  open(place: SealPlace, sealed: string): string {
    const bytes = Buffer.from(sealed.slice(VERSION.length), "base64url");
    const pair = this.#pairs.find(({ id }) => id.equals(bytes.subarray(0, ID_BYTES)));
    if (!sealed.startsWith(VERSION) || bytes.length < HEAD_BYTES + TAG_BYTES || !pair)
      throw new UnsealError("sealed for another key");
    try {
      const sender = bytes.subarray(ID_BYTES, HEAD_BYTES);
      const { key, nonce } = keyOf(pair.privateKey, importedPoint(sender), sender, pair.point);
      const decipher = createDecipheriv("aes-256-gcm", key, nonce);
      decipher.setAAD(placeBytes(place));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      const text = Buffer.concat([decipher.update(bytes.subarray(HEAD_BYTES, -TAG_BYTES)), decipher.final()]);
      return text.toString("utf8");
    } catch (cause) {
      throw new UnsealError("sealed for another place, or changed", { cause });
    }
  }
}

/** Of each sealed text the sender has a new key, and so each has a key and a nonce of its own. */
function keyOf(privateKey: KeyObject, publicKey: KeyObject, sender: Buffer, recipient: Buffer) {
  const shared = diffieHellman({ privateKey, publicKey });
  const bytes = Buffer.from(hkdfSync("sha256", shared, Buffer.concat([sender, recipient]), "prism sealed v1", 44));
  return { key: bytes.subarray(0, 32), nonce: bytes.subarray(32) };
}

function placeBytes({ project, kind, name, field, bound }: SealPlace): Buffer {
  return Buffer.from(JSON.stringify([project, kind, name, field, Object.entries(bound).sort()]));
}

function idOf(point: Buffer): Buffer {
  return hash("sha256", point, "buffer").subarray(0, ID_BYTES);
}

function rawOf(publicKey: KeyObject): Buffer {
  return Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
}

function importedPoint(point: Buffer): KeyObject {
  return createPublicKey({ key: { kty: "OKP", crv: "X25519", x: point.toString("base64url") }, format: "jwk" });
}

function pointIn(publicKey: string): Buffer {
  const point = Buffer.from(publicKey.slice(KEY_PREFIX.length), "base64url");
  if (publicKey.startsWith(KEY_PREFIX) && point.length === POINT_BYTES) return point;
  throw new UnsealError(`the public key of a server begins with ${KEY_PREFIX} and has 43 more characters`);
}
