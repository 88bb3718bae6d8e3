import { createCipheriv, createDecipheriv, createHash, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { fewRandomBytes } from "./tokens.ts";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** A sealed value starts with the first bytes of a hash of its key. */
export const KEY_ID_BYTES = 4;
const HEADER_BYTES = KEY_ID_BYTES + NONCE_BYTES;

/** A sealed value was made with another key, belongs to another row, or was changed. */
export class UnsealError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UnsealError";
  }
}

/**
 * Encryption at rest (docs/security.md): AES-256-GCM with a random 96-bit nonce. A sealed value is
 * key id (4 bytes) ‖ nonce ‖ ciphertext ‖ tag; `context` (table, column and row) is authenticated
 * with it, so that a value moved to another row does not open.
 */
export class SealedBox {
  readonly #current: KeyObject;
  readonly keyId: Buffer;
  readonly #keys: ReadonlyMap<string, KeyObject>;

  /** @param keys 32 bytes each. The first one seals; each of them opens. */
  constructor(keys: readonly [Uint8Array, ...Uint8Array[]]) {
    this.#current = createSecretKey(keys[0]);
    this.keyId = keyId(keys[0]);
    this.#keys = new Map(keys.map((key) => [keyId(key).toString("hex"), createSecretKey(key)]));
  }

  /** Ids of all keys in hex, in order. They reveal nothing about the keys. */
  get keyIds(): readonly string[] {
    return [...this.#keys.keys()];
  }

  /** A secret of 32 bytes for another use, of each key in their order. */
  derived(use: string): Buffer[] {
    return [...this.#keys.values()].map((key) => Buffer.from(hkdfSync("sha256", key, "", use, 32)));
  }

  seal(context: string, plain: Uint8Array): Buffer {
    const nonce = fewRandomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#current, nonce);
    cipher.setAAD(Buffer.from(context));
    return Buffer.concat([this.keyId, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws UnsealError */
  open(context: string, sealed: Uint8Array): Buffer {
    const bytes = Buffer.from(sealed);
    const key = this.#keys.get(bytes.subarray(0, KEY_ID_BYTES).toString("hex"));
    if (!key || bytes.length < HEADER_BYTES + TAG_BYTES)
      throw new UnsealError("sealed with a key that is not configured");
    const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(KEY_ID_BYTES, HEADER_BYTES));
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES, -TAG_BYTES)), decipher.final()]);
    } catch (cause) {
      throw new UnsealError("the sealed value was changed or belongs to another row", { cause });
    }
  }
}

/** A sealed text; null: no configured key opens it. */
export function openedText(box: SealedBox, context: string, sealed: Uint8Array): string | null {
  try {
    return box.open(context, sealed).toString("utf8");
  } catch (error) {
    if (error instanceof UnsealError) return null;
    throw error;
  }
}

function keyId(key: Uint8Array): Buffer {
  return createHash("sha256").update("prism-key-id").update(key).digest().subarray(0, KEY_ID_BYTES);
}
