import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import {
  constants,
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { join } from "node:path";
import { decodeJwt, jwtVerify } from "jose";
import type { ApnsOptions } from "../../../../src/features/channels/push/apns-client.ts";
import { makeCertificate } from "../../../helpers/certificate.ts";
import type { Scope } from "../../../helpers/scope.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import type { Fault } from "./push-faults.ts";

const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

export interface ApnsPush {
  readonly token: string;
  readonly headers: IncomingHttpHeaders;
  readonly bearer: string;
  readonly payload: {
    readonly aps: { readonly alert: { readonly title: string; readonly body: string }; readonly sound?: string };
    readonly [name: string]: unknown;
  };
  readonly bytes: number;
  /** Which connection it came by, from 1. */
  readonly connection: number;
}

/**
 * Besides what happens to any connection: the stream is given back unread, or the connection ends
 * with the answer.
 */
export type ApnsFault = Fault | "refused" | "goaway";

/** A refusal in Apple's words. */
export function apnsError(status: number, reason: string, timestamp?: number): ApnsFault {
  return { status, json: { reason, ...(timestamp === undefined ? {} : { timestamp }) } };
}

/**
 * A server that speaks as Apple's push service does: HTTP/2 over TLS, provider tokens that are
 * checked as Apple does.
 */
export class ApnsServer {
  readonly pushes: ApnsPush[] = [];
  readonly sessions: ServerHttp2Session[] = [];
  readonly options: ApnsOptions;
  readonly ca: string;
  /** Provider tokens that are too old now. */
  readonly expired = new Set<string>();
  /** What is said of each push, where no fault was asked for. */
  answer: (push: ApnsPush) => ApnsFault | Promise<ApnsFault> = () => ({ status: 200 });
  readonly #faults: ApnsFault[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(options: ApnsOptions) {
    this.options = options;
    this.ca = options.ca ?? "";
  }

  /** @param isPlain HTTP/2 without TLS, for clients without a setting for trusted certificates. */
  static async start(t: Scope, { isPlain = false } = {}): Promise<ApnsServer> {
    const certificate = makeCertificate();
    const server = isPlain ? createServer() : createSecureServer(certificate);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const apns = new ApnsServer({
      keyFile: keyFile(t),
      keyId: "KEY4567890",
      teamId: "TEAM567890",
      bundleId: "org.example.prism",
      endpoint: `${isPlain ? "http" : "https"}://127.0.0.1:${address.port}`,
      timeoutMs: 20_000,
      ca: certificate.cert,
    });
    apns.#serve(server);
    t.after(async () => {
      for (const session of apns.sessions) session.destroy();
      for (const socket of apns.#sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    });
    return apns;
  }

  /** The next pushes meet these, in their order. */
  next(...faults: readonly ApnsFault[]): void {
    this.#faults.push(...faults);
  }

  #serve(server: Http2Server): void {
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket.on("error", () => undefined));
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("session", (session) => {
      this.sessions.push(session);
      session.on("error", () => undefined);
    });
    server.on("stream", (stream, headers) => {
      stream.on("error", () => undefined);
      void this.#handle(stream, headers).catch(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
    });
  }

  async #handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const bearer = (headers.authorization ?? "").replace(/^bearer /, "");
    const push: ApnsPush = {
      token: (headers[":path"] ?? "").replace(/^\/3\/device\//, ""),
      headers,
      bearer,
      payload: JSON.parse(body.toString()) as ApnsPush["payload"],
      bytes: body.length,
      connection: this.sessions.indexOf(stream.session as ServerHttp2Session) + 1,
    };
    this.pushes.push(push);
    const fault = await this.#answerTo(push, bearer);
    if (fault === "reset") for (const socket of this.#sockets) socket.resetAndDestroy();
    else respond(stream, fault);
  }

  async #answerTo(push: ApnsPush, bearer: string): Promise<ApnsFault> {
    const { teamId } = this.options;
    const options = { algorithms: ["ES256"], issuer: teamId, currentDate: new Date(0) };
    const verified = await jwtVerify(bearer, publicKey, options).catch(() => undefined);
    if (!verified) return apnsError(403, "InvalidProviderToken");
    assert.equal(verified.protectedHeader.kid, this.options.keyId);
    assert.equal(typeof decodeJwt(bearer).iat, "number");
    if (this.expired.has(bearer)) return apnsError(403, "ExpiredProviderToken");
    const fault = this.#faults.shift();
    if (fault !== undefined) return fault;
    return push.token === "0".repeat(64) ? apnsError(400, "BadDeviceToken") : this.answer(push);
  }
}

/** A key as Apple's site gives it. */
export function keyFile(t: Scope, pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString()): string {
  const path = join(temporaryDir(t), "AuthKey.p8");
  writeFileSync(path, pem, { mode: 0o600 });
  return path;
}

function respond(stream: ServerHttp2Stream, fault: Exclude<ApnsFault, "reset">): void {
  if (fault === "silence" || stream.destroyed) return;
  if (fault === "refused") stream.close(constants.NGHTTP2_REFUSED_STREAM);
  else if (fault === "slow-body") {
    stream.respond({ ":status": 400 });
    stream.write('{"reason":');
  } else if (fault === "goaway") {
    // Says GOAWAY, and ends with the last stream.
    stream.session?.close();
    stream.respond({ ":status": 200 });
    stream.end();
  } else {
    stream.respond({ ":status": fault.status, ...fault.headers });
    stream.end(fault.json === undefined ? undefined : JSON.stringify(fault.json));
  }
}
