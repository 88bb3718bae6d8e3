import * as v from "valibot";
import { startOf } from "../../core/clean-text.ts";
import { type ErrorCode, PrismError, STATUS_OF } from "../../core/errors.ts";
import type { Exchange } from "../../http/exchange.ts";
import { parseQuery } from "../../http/input.ts";
import type { HttpKernel } from "../../http/kernel.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import { requireAllowed } from "../../http/rate-limiter.ts";
import { type Method, Reply, type Route, route } from "../../http/route.ts";
import { cloudEventsConsent } from "../events/index.ts";
import { type AcceptContext, mappingInput, planRequest, replayIdsOf, type Stored, storeRequest } from "./accept.ts";
import { handshakeOf, sendAnswer } from "./answers.ts";
import { type RawRequest, readContent } from "./read-request.ts";
import type { Receiver, ReceiverRow, Receivers } from "./receivers.ts";
import { Redaction } from "./redaction.ts";
import { logEntryOf, writeLogEntry } from "./request-log.ts";
import { confirmSubscription, type FetchText } from "./sns.ts";
import { verifyRequest } from "./verify.ts";

export interface DoorContext extends AcceptContext {
  readonly receivers: Receivers;
  readonly kernel: Pick<HttpKernel, "limitAddress" | "addDialect">;
  readonly settings: LiveSettings;
  readonly fetchText: FetchText;
  /** The URL of this server for clients. */
  publicUrl(): string;
}

/** The largest limit of a receiver: GitHub sends up to 25 MB. */
export const MAX_BODY_BYTES = 26_214_400;
const PREFIX = "/in/";
const METHODS: readonly Method[] = ["POST", "PUT", "GET"];
/** Forms of other senders at a Discord URL. */
const SHAPES: readonly string[] = ["slack", "github"];

/** The URLs of receivers: `/in/<token>`. */
export function receiverRoutes(context: DoorContext): Route[] {
  const { kernel } = context;
  const door = new Door(context);
  kernel.addDialect({ prefix: PREFIX, errorBody: (error, exchange) => door.errorBody(error, exchange) });
  const serve = (method: Method, path: string): Route =>
    route({
      method,
      path,
      summary: "Deliver a request to a receiver",
      tag: "Receivers",
      // The path has the credential.
      access: "public",
      ...(method === "GET" ? {} : { body: v.unknown(), raw: { types: ["*"], gzip: true, exact: true } }),
      maxBodyBytes: MAX_BODY_BYTES,
      quiet: true,
      undocumented: true,
      limit: (exchange) => door.admit(exchange),
      options: (exchange) => door.options(exchange),
      handle: (exchange, { body }) => door.accept(exchange, body as unknown as Buffer | undefined),
    });
  return [
    ...METHODS.map((method) => serve(method, "/in/:token")),
    serve("POST", "/in/:token/:shape"),
    serve("PATCH", "/in/:token/messages/:message"),
  ];
}

const NO_BYTES = Buffer.alloc(0);

/** Takes requests at the URLs of receivers. */
class Door {
  readonly #context: DoorContext;

  constructor(context: DoorContext) {
    this.#context = context;
  }

  /**
   * Finds the receiver and counts the request before its body is read: by the receiver, and by
   * address for an unknown token. @throws NOT_FOUND, FORBIDDEN, RATE_LIMITED, PAYLOAD_TOO_LARGE
   */
  admit(exchange: Exchange): void {
    const { kernel, receivers, settings } = this.#context;
    const row = this.#find(exchange);
    if (!row) {
      kernel.limitAddress(exchange);
      throw new PrismError("NOT_FOUND", "There is no receiver at this URL");
    }
    if (row.isActive === 0) throw new PrismError("FORBIDDEN", "The receiver is paused");
    if (settings.rateLimit.enabled) {
      const bucket = receivers.takeRate(row);
      if (!bucket.isAllowed) receivers.count(row.preset, "limited");
      requireAllowed(bucket, "Too many requests of this receiver");
    }
    exchange.signerKey = `receiver:${row.id}`;
    const { maxBodyBytes } = receivers.limitsOf(row);
    exchange.maxBodyBytes = maxBodyBytes;
    if (Number(exchange.header("content-length")) > maxBodyBytes)
      throw new PrismError("PAYLOAD_TOO_LARGE", `The body is larger than ${maxBodyBytes} bytes`);
  }

  /** The consent of CloudEvents' abuse protection. */
  options(exchange: Exchange): Readonly<Record<string, string>> | null {
    const row = this.#find(exchange);
    return row ? cloudEventsConsent(exchange, this.#context.receivers.limitsOf(row).perSecond * 60) : null;
  }

  async accept(exchange: Exchange, given: Buffer | undefined): Promise<unknown> {
    const row = this.#find(exchange);
    // A body in one chunk is only valid until the handler has returned.
    const bytes = given === undefined ? NO_BYTES : Buffer.from(given);
    const request = rawRequest(exchange, bytes, this.#context.publicUrl());
    const receiver = row && (await this.#context.receivers.ready(row.id));
    if (!receiver) throw new PrismError("NOT_FOUND", "There is no receiver at this URL");
    if (exchange.method === "HEAD") return new Reply(200, "");
    if (exchange.params["message"] !== undefined) return new Reply(200, { id: exchange.params["message"] });
    const chosen = await this.#shaped(receiver, exchange.params["shape"]);
    const handshake = handshakeOf(chosen, request);
    if (handshake) {
      this.#context.receivers.count(row.preset, "handshake");
      return sendAnswer(exchange, handshake);
    }
    requireMethod(exchange, chosen);
    return this.#deliver(exchange, chosen, request);
  }

  /** Members of errors for the senders that read them. */
  errorBody(error: PrismError, exchange: Exchange): object {
    const row = this.#find(exchange);
    if (row?.preset === "discord") {
      const wait =
        error.code === "RATE_LIMITED" ? { retry_after: (error.retryAfterMs ?? 1000) / 1000, global: false } : {};
      return { message: error.message, code: 0, ...wait };
    }
    return row?.preset === "slack" ? { ok: false, error: SLACK_ERRORS[error.code] ?? "server_error" } : {};
  }

  async #deliver(exchange: Exchange, receiver: Receiver, request: RawRequest): Promise<unknown> {
    const { receivers, clock, fetchText } = this.#context;
    const { preset, secrets } = receiver;
    const now = clock.now();
    const redaction = new Redaction([...secrets, exchange.params["token"] ?? ""], preset.redact);
    const entryOf = (status: number) => logEntryOf(receiver.row.id, request, { redaction, at: now, status });
    try {
      const signed = await verifyRequest(request, { rows: receiver.verify, secrets, now, fetchText });
      const isConfirmed =
        preset.hook === "sns" && secrets.length > 0 && (await confirmSubscription(request, fetchText));
      const input = mappingInput(receiver, request, readContent(request, { needsJson: isSigned(receiver) }), redaction);
      const plan = isConfirmed
        ? ({ result: "ignored", events: [], alerts: [], ignored: 1, problem: null } as const)
        : planRequest(receiver, receiver.mapping, input, now);
      const answer = answerOf(receiver, request, input.body);
      const replayIds = replayIdsOf(receiver, input, signed, now);
      const stored = await storeRequest(this.#context, receiver, plan, { replayIds, entry: entryOf(answer.status) });
      receivers.count(preset.name, stored.result);
      return sendAnswer(exchange, answerWith(answer, stored));
    } catch (error) {
      if (error instanceof PrismError && STATUS_OF[error.code] < 500) {
        await this.#refuse(receiver, entryOf(STATUS_OF[error.code]), error);
        // Slack's clients read the text.
        if (preset.errors === "slack") return sendAnswer(exchange, slackRefusal(error));
      }
      throw error;
    }
  }

  /** Logs a refused request, so that its receiver's owner sees why nothing arrives. */
  async #refuse({ preset }: Receiver, entry: ReturnType<typeof logEntryOf>, error: PrismError): Promise<void> {
    const { db, receivers } = this.#context;
    receivers.count(preset.name, "refused");
    const outcome = { code: error.code, message: error.message };
    await db.write((trx) => writeLogEntry(trx, { ...entry, result: "refused", outcome }), { sharesCommit: true });
  }

  #find({ params }: Exchange): ReceiverRow | null {
    return this.#context.receivers.find(params["token"] ?? "");
  }

  /** The receiver as if it had the preset of the URL's last part. @throws NOT_FOUND */
  async #shaped(receiver: Receiver, shape: string | undefined): Promise<Receiver> {
    if (shape === undefined) return receiver;
    if (receiver.preset.name !== "discord" || !SHAPES.includes(shape))
      throw new PrismError("NOT_FOUND", "There is no receiver at this URL");
    const built = await this.#context.receivers.build({ ...receiver.row, preset: shape, mapping: null });
    // The form of the body changes, the proof of the sender does not.
    return { ...built, verify: receiver.verify, secrets: receiver.secrets };
  }
}

/** Whether the proof of the sender is over a JSON body: a broken one is refused, so that the sender shows it. */
function isSigned({ verify, secrets }: Receiver): boolean {
  return (
    secrets.length > 0 && verify.some(({ scheme }) => scheme === "hmac" || scheme === "ed25519" || scheme === "sns")
  );
}

const SLACK_ERRORS: Readonly<Partial<Record<ErrorCode, string>>> = {
  MALFORMED_JSON: "invalid_payload",
  VALIDATION_FAILED: "invalid_payload",
  PAYLOAD_TOO_LARGE: "invalid_payload",
  SIGNATURE_INVALID: "invalid_token",
  FORBIDDEN: "action_prohibited",
  NOT_FOUND: "no_service",
  RATE_LIMITED: "rate_limited",
};

function slackRefusal({ code }: PrismError) {
  return { status: STATUS_OF[code], type: "text/plain; charset=utf-8", body: SLACK_ERRORS[code] ?? "server_error" };
}

interface Answer {
  readonly status: number;
  readonly type?: string | undefined;
  readonly body?: string | undefined;
}

/** Most senders want any 2xx; those of Slack's form take JSON only with `ok`. */
const DEFAULT_ANSWER: Answer = { status: 200, type: "application/json; charset=utf-8", body: '{"ok":true}' };

/** Discord's own limit of a message. */
const MAX_SHOWN_CONTENT = 4000;

function answerOf({ preset }: Receiver, { query }: RawRequest, body: unknown): Answer {
  if (preset.name === "discord" && query["wait"] === "true") {
    const { content } = Object(body) as { readonly content?: unknown };
    const shown = JSON.stringify(typeof content === "string" ? startOf(content, MAX_SHOWN_CONTENT) : "");
    return {
      status: 200,
      type: "application/json; charset=utf-8",
      body: `{"id":"{id}","type":0,"content":${shown}}`,
    };
  }
  return preset.answer ?? DEFAULT_ANSWER;
}

/** The id of a Discord message is a number; clients store it. */
function answerWith(answer: Answer, { eventIds }: Stored): Answer {
  if (!answer.body?.includes("{id}")) return answer;
  const id = BigInt(`0x${(eventIds[0] ?? "0").replaceAll("-", "").slice(0, 15)}`);
  return { ...answer, body: answer.body.replace("{id}", String(id)) };
}

function requireMethod(exchange: Exchange, { preset }: Receiver): void {
  const methods: readonly string[] = preset.methods;
  if (methods.includes(exchange.method)) return;
  exchange.extraHeaders += `Allow: ${methods.join(", ")}\r\n`;
  throw new PrismError("METHOD_NOT_ALLOWED", `This receiver takes ${methods.join(", ")}`);
}

function rawRequest(exchange: Exchange, bytes: Buffer, publicUrl: string): RawRequest {
  const headers = Object.fromEntries(exchange.headerNames().map((name) => [name, exchange.header(name)]));
  const search = exchange.queryText === "" ? "" : `?${exchange.queryText}`;
  return {
    method: exchange.method,
    url: `${publicUrl}${exchange.path}${search}`,
    query: { ...parseQuery(exchange.queryText) },
    headers,
    bytes,
  };
}
