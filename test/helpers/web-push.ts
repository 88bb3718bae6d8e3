import assert from "node:assert/strict";
import { createDecipheriv, createECDH, createPublicKey, type ECDH, hkdfSync, randomBytes } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type JWTPayload, jwtVerify } from "jose";
import type { Scope } from "./scope.ts";

const SALT_BYTES = 16;
const KEY_BYTES = 65;
/** Salt, record size, length of the key id, key id (RFC 8188 section 2.1). */
const HEADER_BYTES = SALT_BYTES + 4 + 1 + KEY_BYTES;
const TAG_BYTES = 16;
const LAST_RECORD = 2;

/** A browser: its keys, and what it makes of an encrypted message (RFC 8291). */
export class TestBrowser {
  readonly #pair: ECDH;
  readonly #auth: Buffer;

  /** Random keys by default. */
  constructor(privateKey?: string, auth = randomBytes(16).toString("base64url")) {
    this.#pair = createECDH("prime256v1");
    if (privateKey === undefined) this.#pair.generateKeys();
    else this.#pair.setPrivateKey(Buffer.from(privateKey, "base64url"));
    this.#auth = Buffer.from(auth, "base64url");
  }

  get keys(): { readonly p256dh: string; readonly auth: string } {
    return { p256dh: this.#pair.getPublicKey("base64url"), auth: this.#auth.toString("base64url") };
  }

  decrypt(body: Buffer): string {
    assert.ok(body.length <= 4096, "a push service takes at most 4096 bytes (RFC 8030 section 7.2)");
    assert.equal(body[SALT_BYTES + 4], KEY_BYTES);
    const salt = body.subarray(0, SALT_BYTES);
    const sender = body.subarray(HEADER_BYTES - KEY_BYTES, HEADER_BYTES);
    const info = Buffer.concat([Buffer.from("WebPush: info\0"), this.#pair.getPublicKey(), sender]);
    const input = hkdfSync("sha256", this.#pair.computeSecret(sender), this.#auth, info, 32);
    const key = hkdfSync("sha256", Buffer.from(input), salt, "Content-Encoding: aes128gcm\0", 16);
    const nonce = hkdfSync("sha256", Buffer.from(input), salt, "Content-Encoding: nonce\0", 12);
    const cipher = createDecipheriv("aes-128-gcm", Buffer.from(key), Buffer.from(nonce));
    cipher.setAuthTag(body.subarray(-TAG_BYTES));
    const padded = Buffer.concat([cipher.update(body.subarray(HEADER_BYTES, -TAG_BYTES)), cipher.final()]);
    const end = padded.lastIndexOf(LAST_RECORD);
    assert.ok(end >= 0 && padded.subarray(end + 1).every((byte) => byte === 0), "one last record");
    return padded.subarray(0, end).toString();
  }
}

/** The claims of a request's Authorization, verified (RFC 8292). */
export async function verifiedVapid(
  headers: IncomingHttpHeaders,
  publicKey: string,
  audience: string,
): Promise<JWTPayload> {
  const [, token = "", key = ""] = /^vapid t=([^,]+), k=([\w-]+)$/.exec(headers.authorization ?? "") ?? [];
  assert.equal(key, publicKey);
  const point = Buffer.from(key, "base64url");
  const [x, y] = [point.subarray(1, 33).toString("base64url"), point.subarray(33).toString("base64url")];
  const verifying = createPublicKey({ format: "jwk", key: { kty: "EC", crv: "P-256", x, y } });
  const { payload } = await jwtVerify(token, verifying, { algorithms: ["ES256"], audience });
  const leftS = (payload.exp ?? 0) - Date.now() / 1000;
  assert.ok(leftS > 0 && leftS <= 86_400, "at most a day (RFC 8292 section 2)");
  return payload;
}

export interface PushedMessage {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export type PushAnswering = (response: ServerResponse, request: IncomingMessage, message: PushedMessage) => void;

export const accepted: PushAnswering = (response) => void response.writeHead(201).end();

/** A push service: a real HTTP server that records messages and answers as configured. */
export class PushService {
  readonly received: PushedMessage[] = [];
  answer: PushAnswering = accepted;
  #origin = "";

  static async start(t: Scope): Promise<PushService> {
    const service = new PushService();
    const open = new Set<Socket>();
    const server = createServer((request, response) => void service.#take(request, response));
    server.on("connection", (socket: Socket) => {
      open.add(socket.on("error", () => undefined).on("close", () => open.delete(socket)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    service.#origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    t.after(async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return service;
  }

  get origin(): string {
    return this.#origin;
  }

  /** Settings of a Prism that may send here. */
  get settings(): Readonly<Record<string, string>> {
    return { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
  }

  /** What a browser sends to its application server. */
  subscription(browser: TestBrowser, name = "send/1") {
    return { endpoint: `${this.#origin}/${name}`, expirationTime: null, keys: browser.keys };
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const message = { path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks) };
    this.received.push(message);
    this.answer(response, request, message);
  }
}
