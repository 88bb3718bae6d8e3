import { createHash, type KeyObject, randomBytes, randomUUID } from "node:crypto";
import { derivedKey, hmac } from "../../core/crypto/hmac.ts";
import { openedText, type SealedBox } from "../../core/crypto/sealed-box.ts";
import { isUuid } from "../../core/ids.ts";
import { GIVEN_TOKEN } from "../../http/api/shapes.ts";
import type { HeartbeatRow } from "./heartbeat.ts";

/**
 * The id in a ping URL as it is hashed: a UUID has its dashes, tokens of other systems stay as they are.
 * @returns null for a text that is neither
 */
export function pingIdOf(text: string): string | null {
  const parts = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(text);
  if (parts) return parts.slice(1).join("-");
  return GIVEN_TOKEN.test(text) ? text : null;
}

/** Seal context of a heartbeat's id in ping URLs. */
export function pingSealContext(id: string): string {
  return `heartbeats.sealedPing.${id}`;
}

/** Seal context of a project's key in ping URLs. */
export function pingKeySealContext(projectId: string): string {
  return `heartbeat_keys.sealedPingKey.${projectId}`;
}

type PingColumns = Pick<HeartbeatRow, "pingHash" | "sealedPing" | "uniqueKey">;

const PING_KEY_BYTES = 16;
const MAX_HASHES = 1000;
/** Longer than any id or key. */
const MAX_KEPT_LENGTH = 64;

/**
 * The ids and keys in ping URLs at rest: found by a keyed hash and shown from a sealed copy, so that a
 * reader of the database cannot ping.
 */
export class PingIds {
  readonly #box: SealedBox;
  readonly #key: KeyObject;
  /** Those of the last pings: each is hashed twice, and comes again. */
  readonly #hashes = new Map<string, string>();

  /** @param auditKey survives a rotation of the encryption key, and the hashes with it */
  constructor(auditKey: Uint8Array, box: SealedBox) {
    this.#box = box;
    this.#key = derivedKey(auditKey, "prism heartbeat pings");
  }

  /** @param secret the UUID, token or key of a ping URL */
  hashOf(secret: string): string {
    const known = this.#hashes.get(secret);
    if (known !== undefined) return known;
    const hash = hmac("sha256", this.#key).update(secret).digest("base64url");
    if (secret.length > MAX_KEPT_LENGTH) return hash;
    if (this.#hashes.size >= MAX_HASHES) this.#hashes.clear();
    this.#hashes.set(secret, hash);
    return hash;
  }

  /** Columns of a heartbeat with a ping id, by default a new one. */
  columnsOf(heartbeatId: string, id: string = randomUUID()): PingColumns & { readonly sealedPing: Uint8Array } {
    const sealedPing = this.#box.seal(pingSealContext(heartbeatId), Buffer.from(id));
    const uniqueKey = isUuid(id) ? uniqueKeyOf(id) : this.#uniqueKeyOfToken(id);
    return { pingHash: this.hashOf(id), sealedPing, uniqueKey };
  }

  /** With the key: readers could guess a short token from its plain hash. */
  #uniqueKeyOfToken(token: string): string {
    return hmac("sha1", this.#key).update(`unique ${token}`).digest("hex");
  }

  /** Columns of a project with a ping key, by default a new one of 22 characters that need no encoding in a URL. */
  keyColumnsOf(projectId: string, key: string = randomBytes(PING_KEY_BYTES).toString("base64url")) {
    return {
      pingKeyHash: this.hashOf(key),
      sealedPingKey: this.#box.seal(pingKeySealContext(projectId), Buffer.from(key)),
    };
  }

  /** @returns null if no configured key opens it; pings are found all the same */
  uuidOf({ id, sealedPing }: { readonly id: string; readonly sealedPing: Uint8Array | null }): string | null {
    return this.#open(pingSealContext(id), sealedPing);
  }

  /** @returns null if the project has none, or no configured key opens it */
  keyOf(keys: { readonly projectId: string; readonly sealedPingKey: Uint8Array | null }): string | null {
    return this.#open(pingKeySealContext(keys.projectId), keys.sealedPingKey);
  }

  #open(place: string, sealed: Uint8Array | null): string | null {
    return sealed && openedText(this.#box, place, sealed);
  }
}

/** As Healthchecks: the id for readers, who must not learn the ping URL. */
function uniqueKeyOf(uuid: string): string {
  return createHash("sha1").update(uuid.replaceAll("-", "").slice(0, 16)).digest("hex");
}
