import * as v from "valibot";
import { secretsEqual } from "../../../core/crypto/tokens.ts";
import { type ErrorCode, PrismError, STATUS_OF } from "../../../core/errors.ts";
import { membersAtMost } from "../../../core/text/json-text.ts";
import { ANSWERS_LATER, type Method, Reply, type Route, route, undescribed } from "../../../http/api/route.ts";
import { parseQuery } from "../../../http/body/input.ts";
import { requireAllowed } from "../../../http/limits/rate-limiter.ts";
import { SURE_BYTES, type WorkAccount } from "../../../http/limits/work-budget.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { HttpKernel } from "../../../http/server/kernel.ts";
import type { Uses } from "../../../module/feature.ts";
import type { StorageSender } from "../../access/index.ts";
import { cloudEventsConsent } from "../../events/index.ts";
import { type AcceptContext, type Stored, storeRequest } from "./accept.ts";
import { isAtOnCallUrl, ONCALL_ANSWER, ONCALL_PAGE, ONCALL_PREFIX, tokenIn } from "./oncall-urls.ts";
import type { Preparation, Prepared } from "./prepare.ts";
import { ON_LOOP } from "./preparing.ts";
import type { RawRequest } from "./read-request.ts";
import { MAX_BODY_BYTES, type ReceiverRow } from "./receiver.ts";
import type { Receiver } from "./receivers.ts";
import { Redaction } from "./redaction.ts";
import { logEntryOf, loggedRequests, writeLogEntry } from "./request-log.ts";
import { confirmSubscription, type FetchText } from "./sns.ts";
import { forwardOf, verifyRequest } from "./verify.ts";

export interface IngestRouteContext extends AcceptContext, Uses<"receivers" | "settings"> {
  readonly kernel: Pick<HttpKernel, "limitAddress" | "addDialect">;
  readonly fetchText: FetchText;
  /** The URL of this server for clients. */
  publicUrl(): string;
}

/** The largest limit of a receiver: GitHub sends up to 25 MB. */
const PREFIX = "/in/";
const METHODS: readonly Method[] = ["POST", "PUT", "GET"];
/** Forms of other senders at a Discord URL. */
const SHAPES: readonly string[] = ["slack", "github"];

/** The URLs of receivers: `/in/<token>`, and those of Grafana OnCall. */
export function deliveryRoutes(context: IngestRouteContext): Route[] {
  const { kernel } = context;
  const requests = new ReceiverRequests(context);
  kernel.addDialect({ prefix: PREFIX, errorBody: (error, exchange) => requests.errorBody(error, exchange) });
  kernel.addDialect({ prefix: ONCALL_PREFIX, errorBody: ({ message }) => ({ detail: message }) });
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
      response: undescribed,
      chargesItself: true,
      limit: (exchange) => requests.admit(exchange),
      options: (exchange) => requests.options(exchange),
      handle: (exchange, { body }) => requests.accept(exchange, body as unknown as Buffer | undefined),
    });
  return [
    ...METHODS.map((method) => serve(method, "/in/:token")),
    serve("POST", "/in/:token/:shape"),
    serve("PATCH", "/in/:token/messages/:message"),
    serve("GET", `${ONCALL_PREFIX}:type/:token`),
    serve("POST", `${ONCALL_PREFIX}:type/:token`),
  ];
}

const NO_BYTES = Buffer.alloc(0);

/** Takes requests at the URLs of receivers. */
class ReceiverRequests {
  readonly #context: IngestRouteContext;

  constructor(context: IngestRouteContext) {
    this.#context = context;
  }

  /**
   * Finds the receiver and counts the request before its body is read: by the receiver, and by
   * address for an unknown token. @throws NOT_FOUND, FORBIDDEN, RATE_LIMITED, PAYLOAD_TOO_LARGE
   */
  admit(exchange: Exchange): void {
    const { kernel, receivers } = this.#context;
    const row = this.#find(exchange);
    if (!row) {
      kernel.limitAddress(exchange);
      throw new PrismError("NOT_FOUND", "There is no receiver at this URL");
    }
    if (row.isActive === 0) throw new PrismError("FORBIDDEN", "The receiver is paused");
    // Who knows the URL only must not use up what the sender with the secret may send.
    if (row.secret === null) this.#takeRate(row);
    exchange.signerKey = `receiver:${row.id}`;
    exchange.projectId = row.projectId;
    const { maxBodyBytes } = receivers.limitsOf(row);
    exchange.maxBodyBytes = maxBodyBytes;
    const length = Number(exchange.header("content-length"));
    if (length > maxBodyBytes)
      throw new PrismError("PAYLOAD_TOO_LARGE", `The body is larger than ${maxBodyBytes} bytes`);
    this.#requireWork(exchange, row, length);
  }

  /**
   * Refuses a request of a sender in debt before its body is read; a small one is read if a proof of
   * its sender may be in it. @throws WORK_LIMITED
   */
  #requireWork(exchange: Exchange, row: ReceiverRow, length: number): void {
    const { work, receivers } = this.#context;
    const payer = this.#unverified(exchange, row);
    const debt = work.debtOf(payer);
    if (debt !== null) {
      // A small one's proof may be in it, or others made the debt.
      if (length > SURE_BYTES || (row.secret === null && work.debtOf(payer, true) !== null)) {
        receivers.count(row.preset, "limited");
        throw work.refusal(debt);
      }
      exchange.maxBodyBytes = Math.min(exchange.maxBodyBytes ?? SURE_BYTES, SURE_BYTES);
      return;
    }
    if (length > SURE_BYTES) work.charge(payer, { read: length });
  }

  /** Who pays until the sender is verified; without a secret the URL is the proof. */
  #unverified(exchange: Exchange, row: ReceiverRow): WorkAccount {
    const { work } = this.#context;
    const from = { address: exchange.clientAddress, url: `receiver:${row.id}` };
    return row.secret === null ? work.ofProject(row.projectId, from) : work.ofAddress(from.address, from.url);
  }

  /** @throws RATE_LIMITED */
  #takeRate(row: ReceiverRow): void {
    const { receivers, settings } = this.#context;
    if (!settings.rateLimit.enabled) return;
    const bucket = receivers.takeRate(row);
    if (!bucket.isAllowed) receivers.count(row.preset, "limited");
    requireAllowed(bucket, "Too many requests of this receiver");
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
    if (isAtOnCallUrl(exchange) && exchange.method !== "POST") return sendAnswer(exchange, ONCALL_PAGE);
    if (exchange.method === "HEAD") return new Reply(200, "");
    if (exchange.params["message"] !== undefined) return new Reply(200, { id: exchange.params["message"] });
    const chosen = await this.#shaped(receiver, exchange.params["shape"]);
    const handshake = handshakeOf(chosen, request);
    if (handshake) {
      this.#context.receivers.count(row.preset, "handshake");
      return sendAnswer(exchange, handshake);
    }
    if (isPreview(request)) return sendAnswer(exchange, { status: 200 });
    requireMethod(exchange, chosen);
    return this.#deliver(exchange, chosen, request);
  }

  /** Members of errors for the senders that read them. */
  errorBody(error: PrismError, exchange: Exchange): object {
    const row = this.#find(exchange);
    if (row?.preset === "discord") {
      const wait = LIMITED.has(error.code) ? { retry_after: (error.retryAfterMs ?? 1000) / 1000, global: false } : {};
      return { message: error.message, code: 0, ...wait };
    }
    return row?.preset === "slack" ? { ok: false, error: SLACK_ERRORS[error.code] ?? "server_error" } : {};
  }

  async #deliver(exchange: Exchange, receiver: Receiver, request: RawRequest): Promise<unknown> {
    const { receivers } = this.#context;
    const { preset } = receiver;
    const now = this.#context.clock.now();
    const hidden = [...receiver.secrets, exchange.params["token"] ?? ""];
    try {
      const { prepared, answer, payer } = await this.#prepared(exchange, receiver, request, { now, hidden });
      const stored = await storeRequest(this.#context, receiver, prepared.plan, {
        ...prepared,
        payer,
        sender: senderOf(receiver),
        forward: this.#context.forwarding.takes(receiver.row) ? forwardOf(exchange, receiver.verify, request) : null,
      });
      receivers.count(preset.name, stored.result);
      return sendAnswer(exchange, answerWith(answer, stored));
    } catch (error) {
      if (error instanceof PrismError && (STATUS_OF[error.code] < 500 || error.code === "STORAGE_LIMIT_REACHED")) {
        await this.#refuse(receiver, request, error, { now, hidden });
        // Slack's clients read the text.
        if (preset.errors === "slack") return sendAnswer(exchange, slackRefusal(error));
      }
      throw error;
    }
  }

  /** Verifies the sender, then reads and maps the request at the receiver's cost. */
  async #prepared(
    exchange: Exchange,
    receiver: Receiver,
    request: RawRequest,
    { now, hidden }: Masking,
  ): Promise<{ readonly prepared: Prepared; readonly answer: Answer; readonly payer: WorkAccount }> {
    const { work, preparing, fetchText } = this.#context;
    const { row, preset, secrets } = receiver;
    const { status } = preset.answer ?? DEFAULT_ANSWER;
    const { signed, proof } = await this.#verified(exchange, receiver, request, now);
    const given = { row, preset, request, hidden, needsJson: isSigned(receiver), signed, status, now };
    const payer = secrets.length === 0 ? this.#unverified(exchange, row) : work.ofProject(row.projectId);
    const answerFor = (prepared: Prepared) => ({
      ...{ prepared, payer },
      answer: isAtOnCallUrl(exchange) ? ONCALL_ANSWER : answerOf(receiver, request, prepared.content),
    });
    if (preset.hook === "sns" && secrets.length > 0 && (await confirmSubscription(request, fetchText)))
      return answerFor(confirmed(given));
    // A verified request of usual size always passes: a lost one may be a lost page.
    if (secrets.length > 0 && request.bytes.length > SURE_BYTES) work.require(payer);
    const prepared = await preparing.prepare(receiver, given, { payer, proof }).catch((error: unknown) => {
      if (proof !== null && isUnsigned(error)) this.#chargeUnsigned(exchange, row, request);
      throw error;
    });
    return answerFor(prepared);
  }

  /**
   * Checks the sender before anything of the body is parsed. @returns the proof that is left for the
   * thread, where the body is large. @throws SIGNATURE_INVALID, RATE_LIMITED
   */
  async #verified(exchange: Exchange, receiver: Receiver, request: RawRequest, now: number) {
    const { verify: rows, secrets, row } = receiver;
    if (secrets.length === 0) return { signed: null, proof: null };
    const isInBody = rows.every(({ scheme }) => scheme === "hmac" || scheme === "ed25519");
    const isLarge = request.bytes.length > CHECKED_BYTES;
    try {
      const signed =
        isInBody && isLarge
          ? null
          : await verifyRequest(request, { rows, secrets, now, fetchText: this.#context.fetchText });
      this.#takeRate(row);
      return { signed, proof: isInBody && isLarge ? { rows, secrets } : null };
    } catch (error) {
      if (isUnsigned(error)) this.#chargeUnsigned(exchange, row, request);
      throw error;
    }
  }

  /** The sender of a refused request pays for its check, and for the log. */
  #chargeUnsigned(exchange: Exchange, row: ReceiverRow, { bytes }: RawRequest): void {
    const members = membersAtMost(bytes.subarray(0, ON_LOOP.bytes), ON_LOOP.members);
    this.#context.work.charge(this.#unverified(exchange, row), { bytes: bytes.length, members, rows: 2 });
  }

  /**
   * Counts a refused request; once a second one is logged, so that its receiver's owner sees why
   * nothing arrives.
   */
  async #refuse(receiver: Receiver, request: RawRequest, error: PrismError, { now, hidden }: Masking) {
    const { db, receivers, storage } = this.#context;
    const { row, preset } = receiver;
    if (error.code !== "RATE_LIMITED") receivers.count(preset.name, LIMITED.has(error.code) ? "limited" : "refused");
    if (!receivers.mayLogRefusal(row.id)) return;
    const redaction = new Redaction(hidden, preset.redact);
    const entry = logEntryOf(row.id, request, { redaction, at: now, status: STATUS_OF[error.code] });
    const outcome = { code: error.code, message: error.message };
    const { projectId } = row;
    const isShort = storage.roomForAlert(projectId, isUnsigned(error) ? "unproven" : senderOf(receiver)) !== "whole";
    await db.write(
      async (trx) => {
        writeLogEntry(trx, { ...entry, result: "refused", outcome }, isShort);
        loggedRequests(trx, [row]);
      },
      {
        sharesCommit: true,
      },
    );
  }

  #find(exchange: Exchange): ReceiverRow | null {
    const token = tokenIn(exchange);
    return token === null ? null : this.#context.receivers.find(token);
  }

  /** The receiver as if it had the preset of the URL's last part. @throws NOT_FOUND */
  async #shaped(receiver: Receiver, shape: string | undefined): Promise<Receiver> {
    if (shape === undefined) return receiver;
    if (receiver.preset.name !== "discord" || !SHAPES.includes(shape))
      throw new PrismError("NOT_FOUND", "There is no receiver at this URL");
    return this.#context.receivers.shaped(receiver, shape);
  }
}

/** Masked members of the log, and the time of the request. */
interface Masking {
  readonly now: number;
  readonly hidden: readonly string[];
}

/** Signatures of longer bodies are checked in the thread: hashing takes 2 ms for each MiB. */
const CHECKED_BYTES = 1_048_576;
const LIMITED: ReadonlySet<ErrorCode> = new Set(["RATE_LIMITED", "WORK_LIMITED"]);

function senderOf({ secrets }: Receiver): StorageSender {
  return secrets.length > 0 ? "known" : "unproven";
}

function isUnsigned(error: unknown): boolean {
  return error instanceof PrismError && (error.code === "SIGNATURE_INVALID" || error.code === "PAYLOAD_TOO_LARGE");
}

/** A confirmed subscription stores nothing but its entry of the log. */
function confirmed({ row, preset, request, hidden, now, status }: Preparation): Prepared {
  const redaction = new Redaction(hidden, preset.redact);
  return {
    plan: { result: "ignored", events: [], alerts: [], ignored: 1, problem: null },
    replayIds: [],
    entry: logEntryOf(row.id, request, { redaction, at: now, status }),
    content: null,
    steps: 0,
  };
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
  WORK_LIMITED: "rate_limited",
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

function answerOf({ preset }: Receiver, { query }: RawRequest, content: string | null): Answer {
  if (preset.name === "discord" && query["wait"] === "true") {
    const shown = JSON.stringify(content ?? "");
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
  throw new PrismError("METHOD_NOT_ALLOWED", `This receiver accepts ${methods.join(", ")}`);
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

const TEXT = "text/plain; charset=utf-8";
const MAX_CHALLENGE = 1000;

/** Sends an answer that is not JSON of this server. */
function sendAnswer(exchange: Exchange, { status, type, body }: Answer): typeof ANSWERS_LATER {
  exchange.send(status, body ?? "", { "Content-Type": type ?? TEXT });
  return ANSWERS_LATER;
}

/**
 * The answer to a sender that checks the URL before it delivers; null for a delivery. It stores
 * nothing.
 */
function handshakeOf(receiver: Receiver, request: RawRequest): Answer | null {
  const { preset } = receiver;
  if (request.method === "GET" && preset.name === "discord") return discordWebhook(receiver);
  switch (preset.handshake) {
    case "slack":
      return slackChallenge(request);
    case "meta":
      return metaChallenge(receiver, request);
    case "graph":
      return textAnswer(request.query["validationToken"]);
    default:
      return null;
  }
}

/** Programs that open each link of a chat, for its preview. */
const PREVIEWERS =
  /slackbot|slack-imgproxy|discordbot|telegrambot|whatsapp|skypeuripreview|facebookexternalhit|twitterbot|linkedinbot|zulipurlpreview|synapse \(bot/i;

/** Whether a chat or a browser opens the URL ahead of people: it is no message. */
function isPreview({ method, headers }: RawRequest): boolean {
  if (method !== "GET") return false;
  const purposes = [headers["sec-purpose"], headers["purpose"], headers["x-purpose"], headers["x-moz"]];
  return (
    purposes.some((each) => /^\s*(prefetch|preview)\b/i.test(each ?? "")) ||
    PREVIEWERS.test(headers["user-agent"] ?? "")
  );
}

/** Some programs read the webhook before they use it. */
function discordWebhook({ row }: Receiver): Answer {
  const body = { id: "1", token: "hidden", name: row.name, channel_id: "1", type: 1 };
  return { status: 200, type: "application/json; charset=utf-8", body: JSON.stringify(body) };
}

function slackChallenge({ bytes }: RawRequest): Answer | null {
  if (bytes.length > 4096 || !bytes.includes("url_verification")) return null;
  try {
    const { type, challenge } = JSON.parse(bytes.toString("utf8")) as { type?: unknown; challenge?: unknown };
    return type === "url_verification" && typeof challenge === "string" ? textAnswer(challenge) : null;
  } catch {
    return null;
  }
}

function metaChallenge({ secrets }: Receiver, { method, query }: RawRequest): Answer | null {
  if (method !== "GET" || query["hub.mode"] !== "subscribe") return null;
  const given = query["hub.verify_token"] ?? "";
  const isKnown = secrets.some((secret) => secretsEqual(given, secret));
  return isKnown ? textAnswer(query["hub.challenge"]) : { status: 403, body: "wrong verify token" };
}

function textAnswer(text: string | undefined): Answer | null {
  return text === undefined ? null : { status: 200, type: TEXT, body: text.slice(0, MAX_CHALLENGE) };
}
