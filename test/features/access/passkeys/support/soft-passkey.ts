import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import type { TestPrism } from "../../../../helpers/prism.ts";
import { call, PASSWORD } from "../../sessions/support/auth-client.ts";

export const PASSKEYS = "/api/v1/users/me/passkeys";
export const SIGN_IN = "/api/v1/auth/passkey";

/** Flags of authenticator data (WebAuthn section 6.1). */
const [PRESENT, VERIFIED, MAY_BE_BACKED_UP, BACKED_UP, ATTESTED] = [0x01, 0x04, 0x08, 0x10, 0x40];

/** What an answer may have wrong. */
interface Ways {
  readonly origin?: string;
  readonly rpId?: string;
  readonly verifies?: boolean;
  readonly counter?: number;
  readonly userHandle?: string;
  readonly type?: string;
  /** Signs with another key. */
  readonly forged?: boolean;
}

interface Options {
  readonly challenge: string;
}

/** A passkey of the test's own, as an authenticator and a browser would make and use it. */
export class SoftPasskey {
  readonly id = randomBytes(32).toString("base64url");
  readonly #keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  readonly #origin: string;
  counter = 0;

  constructor(prism: TestPrism) {
    this.#origin = originOf(prism);
  }

  /** The answer to the options of a new passkey. */
  made({ challenge }: Options, { origin, rpId = "localhost", verifies = true, type }: Ways = {}) {
    const { x = "", y = "" } = this.#keys.publicKey.export({ format: "jwk" });
    const key = Buffer.concat([
      // A map of key type EC2, algorithm ES256 and curve P-256 (RFC 9053), and both coordinates.
      Buffer.from("a5010203262001215820", "hex"),
      Buffer.from(x, "base64url"),
      Buffer.from("225820", "hex"),
      Buffer.from(y, "base64url"),
    ]);
    const id = Buffer.from(this.id, "base64url");
    const size = Buffer.alloc(2);
    size.writeUInt16BE(id.length);
    const credential = Buffer.concat([Buffer.alloc(16), size, id, key]);
    const flags = PRESENT | (verifies ? VERIFIED : 0) | MAY_BE_BACKED_UP | BACKED_UP | ATTESTED;
    const data = Buffer.concat([authenticatorData(rpId, flags, this.counter), credential]);
    const attestationObject = Buffer.concat([
      // {"fmt": "none", "attStmt": {}, "authData": …} (RFC 8949)
      Buffer.from("a363666d74646e6f6e656761747453746d74a068617574684461746158", "hex"),
      Buffer.from([data.length]),
      data,
    ]).toString("base64url");
    const clientDataJSON = clientData(type ?? "webauthn.create", challenge, origin ?? this.#origin);
    return {
      ...{ id: this.id, rawId: this.id, type: "public-key", clientExtensionResults: {} },
      response: { clientDataJSON, attestationObject, transports: ["internal"] },
    };
  }

  /** The answer to the options of a sign-in or a proof. */
  answer({ challenge }: Options, ways: Ways = {}) {
    const { origin = this.#origin, rpId = "localhost", verifies = true, counter = this.counter, userHandle } = ways;
    const flags = PRESENT | (verifies ? VERIFIED : 0) | MAY_BE_BACKED_UP | BACKED_UP;
    const data = authenticatorData(rpId, flags, counter);
    const clientDataJSON = clientData(ways.type ?? "webauthn.get", challenge, origin);
    const hash = createHash("sha256").update(Buffer.from(clientDataJSON, "base64url")).digest();
    const signature = sign("sha256", Buffer.concat([data, hash]), this.#signing(ways.forged === true));
    return {
      ...{ id: this.id, rawId: this.id, type: "public-key", clientExtensionResults: {} },
      response: {
        ...{ clientDataJSON, authenticatorData: data.toString("base64url") },
        ...{ signature: signature.toString("base64url"), ...(userHandle === undefined ? {} : { userHandle }) },
      },
    };
  }

  #signing(isForged: boolean): KeyObject {
    return isForged ? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey : this.#keys.privateKey;
  }
}

export function originOf(prism: TestPrism): string {
  return new URL(prism.parts.core.publicUrl()).origin;
}

function authenticatorData(rpId: string, flags: number, counter: number): Buffer {
  const data = Buffer.alloc(37);
  createHash("sha256").update(rpId).digest().copy(data);
  data.writeUInt8(flags, 32);
  data.writeUInt32BE(counter, 33);
  return data;
}

function clientData(type: string, challenge: string, origin: string): string {
  return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false })).toString("base64url");
}

interface Added {
  readonly passkey: SoftPasskey;
  readonly id: string;
  readonly recoveryCodes: readonly string[];
}

/** Adds a passkey to the account of a session. @param proof besides the password */
export async function addPasskey(
  prism: TestPrism,
  token: string,
  { proof = {}, ways = {}, name }: { readonly proof?: object; readonly ways?: Ways; readonly name?: string } = {},
): Promise<Added> {
  const begun = await prism.post<Options>(`${PASSKEYS}/begin`, { password: PASSWORD, ...proof }, { token });
  assert.equal(begun.status, 200, begun.text);
  const passkey = new SoftPasskey(prism);
  const given = name === undefined ? {} : { name };
  const body = { ...given, passkey: passkey.made(begun.body, ways) };
  const added = await prism.post<Omit<Added, "passkey">>(PASSKEYS, body, { token });
  assert.equal(added.status, 201, added.text);
  return { passkey, ...added.body };
}

/** The options of a question for a passkey. @param challenge of a first step */
export async function optionsOf(prism: TestPrism, challenge?: string): Promise<PasskeyOptions> {
  const reply = await call<PasskeyOptions>(prism, `${SIGN_IN}/begin`, challenge === undefined ? {} : { challenge });
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}

interface PasskeyOptions extends Options {
  readonly userVerification: string;
  readonly allowCredentials: readonly { readonly id: string }[];
}

/** The options of a question that proves the owner of an account. */
export async function proofOptions(prism: TestPrism, token: string): Promise<PasskeyOptions> {
  const reply = await prism.post<PasskeyOptions>(`${PASSKEYS}/proof`, {}, { token });
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}
