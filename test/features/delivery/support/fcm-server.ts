import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { jwtVerify } from "jose";
import type { FcmOptions } from "../../../../src/features/channels/push/fcm-client.ts";
import { listening } from "../../../helpers/listening.ts";
import type { Scope } from "../../../helpers/scope.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import type { Fault } from "./push-faults.ts";

const TOKEN_URI = "https://oauth2.googleapis.com/token";
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

export interface FcmMessage {
  readonly token: string;
  readonly notification: { readonly title: string; readonly body: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly android?: {
    readonly priority: string;
    readonly ttl?: string;
    readonly notification: Readonly<Record<string, string>>;
  };
  readonly apns?: unknown;
}

export interface FcmRequest {
  readonly path: string;
  readonly accessToken: string;
  readonly isTrial: boolean;
  readonly message: FcmMessage;
  readonly bytes: number;
}

/** What FCM says of a token. */
export const FCM_REFUSALS = {
  unregistered: fcmError(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED"),
  otherSender: fcmError(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH"),
  badToken: fcmError(
    400,
    "INVALID_ARGUMENT",
    "Request contains an invalid argument.",
    "INVALID_ARGUMENT",
    "message.token",
  ),
} as const;

/**
 * A server that speaks as Google's token server and FCM do. Grants are checked as Google does:
 * signature, issuer, audience, scope.
 */
export class FcmServer {
  readonly requests: FcmRequest[] = [];
  readonly grants: unknown[] = [];
  readonly options: FcmOptions;
  /** Access tokens that are taken; each grant adds one. */
  readonly valid = new Set<string>();
  tokenLifeS = 3600;
  /** How often a grant was asked for. */
  asked = 0;
  readonly #faults: Fault[] = [];
  readonly #grantFaults: Fault[] = [];
  /** What is said of each message, where no fault was asked for. */
  answer: (message: FcmMessage) => Fault | Promise<Fault> = () => ({
    status: 200,
    json: { name: "projects/prism-test/messages/7" },
  });

  private constructor(origin: string, credentials: string) {
    this.options = { credentials, endpoint: origin, tokenEndpoint: `${origin}/token`, timeoutMs: 20_000 };
  }

  static async start(t: Scope): Promise<FcmServer> {
    const server = createServer();
    const origin = `http://127.0.0.1:${await listening(t, server)}`;
    const fcm = new FcmServer(origin, credentialsFile(t));
    server.on("request", (request, response) => void fcm.#handle(request, response));
    return fcm;
  }

  /** The next messages meet these, in their order. */
  next(...faults: readonly Fault[]): void {
    this.#faults.push(...faults);
  }

  nextGrants(...faults: readonly Fault[]): void {
    this.#grantFaults.push(...faults);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    respond(
      response,
      request.url === "/token" ? await this.#grant(body.toString()) : await this.#message(request, body),
    );
  }

  async #grant(form: string): Promise<Fault> {
    this.asked++;
    const fault = this.#grantFaults.shift();
    if (fault) return fault;
    const fields = new URLSearchParams(form);
    assert.equal(fields.get("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    const { payload, protectedHeader } = await jwtVerify(fields.get("assertion") ?? "", publicKey, {
      algorithms: ["RS256"],
      issuer: "prism@prism-test.iam.gserviceaccount.com",
      audience: TOKEN_URI,
      // Tests set the clock.
      currentDate: new Date(0),
    });
    assert.equal(payload["scope"], "https://www.googleapis.com/auth/firebase.messaging");
    this.grants.push({ ...payload, kid: protectedHeader.kid });
    const token = `access-${this.grants.length}`;
    this.valid.add(token);
    return { status: 200, json: { access_token: token, expires_in: this.tokenLifeS, token_type: "Bearer" } };
  }

  async #message({ url = "", headers }: IncomingMessage, body: Buffer): Promise<Fault> {
    const { message, validate_only = false } = JSON.parse(body.toString()) as {
      message: FcmMessage;
      validate_only?: boolean;
    };
    const accessToken = (headers.authorization ?? "").replace(/^Bearer /, "");
    this.requests.push({ path: url, accessToken, isTrial: validate_only, message, bytes: body.length });
    if (!this.valid.has(accessToken)) return fcmError(401, "UNAUTHENTICATED", "Request had invalid credentials.");
    return this.#faults.shift() ?? (validate_only ? FCM_REFUSALS.badToken : this.answer(message));
  }
}

/** The body of an error of Google's. */
export function fcmError(
  status: number,
  canonical: string,
  message: string,
  errorCode?: string,
  field?: string,
): Fault {
  const details = [
    ...(errorCode === undefined ? [] : [{ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", errorCode }]),
    ...(field === undefined
      ? []
      : [
          {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            fieldViolations: [{ field, description: "Invalid" }],
          },
        ]),
  ];
  return { status, json: { error: { code: status, message, status: canonical, details } } };
}

/** A service account's file as Google's console gives it. */
export function credentialsFile(t: Scope, changed: Readonly<Record<string, unknown>> = {}): string {
  const path = join(temporaryDir(t), "service-account.json");
  const account = {
    type: "service_account",
    project_id: "prism-test",
    private_key_id: "k1",
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    client_email: "prism@prism-test.iam.gserviceaccount.com",
    token_uri: TOKEN_URI,
    ...changed,
  };
  writeFileSync(path, JSON.stringify(account), { mode: 0o600 });
  return path;
}

function respond(response: ServerResponse, fault: Fault): void {
  if (fault === "silence") return;
  if (fault === "reset") {
    response.socket?.resetAndDestroy();
    return;
  }
  if (fault === "slow-body") {
    response.writeHead(200, { "content-type": "application/json" });
    response.write('{"name":');
    return;
  }
  response.writeHead(fault.status, { "content-type": "application/json", ...fault.headers });
  response.end(fault.json === undefined ? "" : JSON.stringify(fault.json));
}
