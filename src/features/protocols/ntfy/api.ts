import * as v from "valibot";
import { isHttps, urlOfHost } from "../../../config/public-url.ts";
import { runAs } from "../../../core/caller.ts";
import { VERSION } from "../../../core/runtime.ts";
import { ANSWERS_LATER, type Method, Reply, type Route, route, undescribed } from "../../../http/api/route.ts";
import { parseJson } from "../../../http/body/input.ts";
import { requestCaller } from "../../../http/server/credentials.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { addressGroup } from "../../../http/server/headers.ts";
import * as account from "./account.ts";
import { NtfyError } from "./errors.ts";
import { MAX_MESSAGE_BYTES } from "./message.ts";
import { DISALLOWED_TOPICS, isTrue, type Parameters, parametersOf, requireTopic, requireTopics } from "./parameters.ts";
import { callOf, publish, readJsonPublish } from "./publish-request.ts";
import { sequenceDraft } from "./publisher.ts";
import { countVisitor, type NtfyContext, PREFIX, requestOf, subscriberParts } from "./service.ts";
import { type StreamFormat, serveStream } from "./subscribe/http-stream.ts";
import type { Visitor } from "./topics.ts";

/** Those of ntfy's server, its app and its tools. */
const ACCOUNT_ROUTES: readonly (readonly [Method, string])[] = [
  ...(["GET", "POST", "PUT", "DELETE"] as const).map((method) => [method, "/v1/users"] as const),
  ...(["POST", "PUT", "DELETE"] as const).map((method) => [method, "/v1/users/access"] as const),
  ...(["POST", "DELETE"] as const).map((method) => [method, "/v1/account"] as const),
  ["POST", "/v1/account/password"],
  ["PATCH", "/v1/account/settings"],
  ...(["POST", "PATCH", "DELETE"] as const).map((method) => [method, "/v1/account/subscription"] as const),
  ["POST", "/v1/account/reservation"],
];

/** The version of ntfy that has this API. */
const VERSIONS = { version: "2.19.0", commit: `prism-${VERSION}`, date: "" };
/** Bodies of templates. */
const MAX_JSON_BYTES = 131_072;
const NO_BODY = Buffer.alloc(0);

type Work = (call: Call) => unknown;

/** A request whose caller is known. */
interface Call {
  readonly exchange: Exchange;
  readonly visitor: Visitor;
  readonly body: Buffer;
}

/** The routes of the protocol. */
export class NtfyApi {
  readonly #own: NtfyContext;
  readonly #account: account.NtfyAccountContext;

  constructor(own: NtfyContext, accounts: account.NtfyAccountContext) {
    this.#own = own;
    this.#account = accounts;
  }

  routes(): Route[] {
    const on = this.#route.bind(this);
    return [
      on("POST", "", "Publish a message as JSON", (call) => this.#publishJson(call), 2 * MAX_MESSAGE_BYTES),
      on("PUT", "", "Publish a message as JSON", (call) => this.#publishJson(call), 2 * MAX_MESSAGE_BYTES),
      on("GET", "", "What this is", () => this.#page()),
      on("GET", "/:topic", "What this is; discovery of UnifiedPush", (call) => this.#topicPage(call)),
      ...(["POST", "PUT"] as const).flatMap((method) => [
        on(
          method,
          "/:topic",
          "Publish a message or a file",
          (call) => this.#publish(call, ""),
          this.#maxFileBytes(),
          this.#atOnce,
        ),
        on(
          method,
          "/:topic/:action",
          "Publish into a sequence",
          (call) => this.#publishInto(call),
          this.#maxFileBytes(),
        ),
      ]),
      on("GET", "/:topic/:action", "Subscribe by json, sse or raw, publish by query, check access", (call) =>
        this.#action(call),
      ),
      on("GET", "/:topics/ws", "Subscribe by WebSocket", () => {
        throw new NtfyError(40016);
      }),
      on("DELETE", "/:topic/:action", "Delete the messages of a sequence on clients", (call) =>
        this.#sequence(call, "message_delete"),
      ),
      on("PUT", "/:topic/:action/clear", "Clear the notifications of a sequence", (call) =>
        this.#sequence(call, "message_clear"),
      ),
      on("PUT", "/:topic/:action/read", "Clear the notifications of a sequence", (call) =>
        this.#sequence(call, "message_clear"),
      ),
      on("GET", "/file/:name", "Get an attachment", (call) => this.#file(call)),
      on("GET", "/config.js", "Settings of the web app", ({ exchange }) => this.#configJs(exchange)),
      on("GET", "/_matrix/push/v1/notify", "Discovery of the Matrix push gateway", () => ({
        unifiedpush: { gateway: "matrix" },
      })),
      on("POST", "/_matrix/push/v1/notify", "Matrix push gateway", (call) => this.#matrix(call), MAX_JSON_BYTES),
      on("GET", "/v1/health", "Health", () => ({ healthy: true })),
      on("GET", "/v1/stats", "Messages since the start", () => this.#stats()),
      on("GET", "/v1/version", "Version", () => VERSIONS),
      on("GET", "/v1/config", "Settings of the web app", ({ exchange }) => this.#config(exchange)),
      on("GET", "/v1/account", "The caller's rights and limits", ({ visitor, exchange }) =>
        account.accountView(this.#account, visitor, addressGroup(exchange.clientAddress)),
      ),
      ...this.#tokenRoutes(),
      ...this.#accountRoutes(),
    ];
  }

  /** Routes of ntfy that manage accounts: their names would be taken for topics. */
  #accountRoutes(): Route[] {
    const refuse = (): never => {
      throw new NtfyError(40401, "accounts and rights are managed in Prism: by its console, commands and API");
    };
    return ACCOUNT_ROUTES.map(([method, path]) =>
      this.#route(method, path, "Not served: accounts", refuse, method === "GET" ? undefined : MAX_MESSAGE_BYTES),
    );
  }

  #tokenRoutes(): Route[] {
    const path = "/v1/account/token";
    const one = this.#account;
    return [
      this.#route(
        "POST",
        path,
        "Create an access token",
        ({ visitor, body, exchange }) => account.createToken(one, visitor, tokenInput(body), exchange.clientAddress),
        MAX_MESSAGE_BYTES,
      ),
      this.#route(
        "PATCH",
        path,
        "Extend or label an access token",
        ({ visitor, body }) => account.updateToken(one, visitor, tokenInput(body)),
        MAX_MESSAGE_BYTES,
      ),
      this.#route("DELETE", path, "Delete an access token", async ({ visitor, exchange }) => {
        const given = exchange.header("x-token");
        await account.deleteToken(one, visitor, given === "" ? undefined : given);
        return { success: true };
      }),
    ];
  }

  /** @param maxBodyBytes of methods with a body. */
  #route(
    method: Method,
    path: string,
    summary: string,
    work: Work,
    maxBodyBytes?: number,
    run: (call: Call, work: Work) => unknown = this.#forCaller,
  ): Route {
    return route({
      ...{ method, path: PREFIX + path, summary, tag: "ntfy", access: "public", quiet: true, undocumented: true },
      response: undescribed,
      ...(maxBodyBytes === undefined
        ? {}
        : { body: v.unknown(), raw: { types: ["*"], gzip: false, exact: true, encoded: true }, maxBodyBytes }),
      limit: (exchange) => this.#identify(exchange),
      handle: (exchange, { body }) => {
        const bytes = body instanceof Buffer ? body : NO_BODY;
        if (exchange.isOver) return ANSWERS_LATER;
        const visitor = exchange.found as Visitor | Promise<Visitor>;
        if (!(visitor instanceof Promise)) return run({ exchange, visitor, body: bytes }, work);
        // The body's bytes may be valid only now.
        const kept = Buffer.from(bytes);
        return visitor.then((found) => {
          if (exchange.isOver) return ANSWERS_LATER;
          exchange.identified(found.principal);
          return run({ exchange, visitor: found, body: kept }, work);
        });
      },
    });
  }

  /** Runs work that keeps what it needs of the body, and knows when it needs a caller. */
  readonly #atOnce = (call: Call, work: Work): unknown => work(call);

  readonly #forCaller = ({ exchange, visitor, body }: Call, work: Work): Promise<unknown> => {
    const kept = Buffer.from(body);
    const release = this.#own.bodies.hold(exchange, kept.length);
    const run = async (): Promise<unknown> => work({ exchange, visitor, body: kept });
    return runAs(requestCaller(exchange), run).finally(release);
  };

  /** Tokens are checked before the body is read, and count by their owner. @throws NtfyError 40101, 42909 */
  #identify(exchange: Exchange): void {
    const visitor = this.#own.ntfy.auth.visitor(exchange);
    exchange.found = visitor;
    if (visitor instanceof Promise) {
      visitor.catch(() => undefined);
      this.#own.kernel.limitAddress(exchange);
    } else {
      exchange.principal = visitor.principal;
      countVisitor(this.#own, exchange, visitor);
    }
  }

  #maxFileBytes(): number {
    return Math.max(MAX_JSON_BYTES, this.#own.config.ntfy.attachments.fileBytes);
  }

  #publishJson(call: Call): Promise<unknown> {
    const json = readJsonPublish(call.body, call.exchange);
    const others = parametersOf(call.exchange);
    return this.#store(call, json.topic, json.sequenceId, {
      parameters: (name) => json.parameters(name) || others(name),
      body: Buffer.from(json.message),
      actions: json.actions,
    });
  }

  #publish(call: Call, sequenceId: string): Promise<unknown> {
    const { exchange, body } = call;
    return this.#store(call, exchange.params["topic"] ?? "", sequenceId, { parameters: parametersOf(exchange), body });
  }

  #store(
    { exchange, visitor }: Call,
    name: string,
    sequenceId: string,
    given: { parameters: Parameters; body: Buffer; actions?: ReturnType<typeof readJsonPublish>["actions"] },
  ): Promise<unknown> {
    const { ntfy, clock } = this.#own;
    const topic = ntfy.topics.requireWritable(requireTopic(name), visitor.principal);
    const { publisher, attachments } = ntfy;
    const baseUrl = (from: Exchange): string => this.#baseUrl(from);
    const { bodies, config } = this.#own;
    const { timezone } = config;
    const context = { clock, publisher, attachments, bodies, baseUrl, timezone, templates: ntfy.templates };
    return publish(context, { exchange, visitor, topic, sequenceId, ...given });
  }

  /** PUT or POST of `/<topic>/<sequence id>`. */
  #publishInto(call: Call): Promise<unknown> {
    return this.#publish(call, call.exchange.params["action"] ?? "");
  }

  #action(call: Call): unknown {
    const { exchange, visitor } = call;
    const { topic = "", action = "" } = exchange.params;
    const isGet = exchange.method === "GET";
    switch (action) {
      case "json":
      case "sse":
      case "raw":
        return this.#subscribe(call, action);
      case "auth":
        this.#own.ntfy.topics.requireReadable(requireTopics(topic), visitor.principal);
        return { success: true };
      case "publish":
      case "send":
      case "trigger":
        if (isGet) return this.#publish(call, "");
        break;
    }
    throw new NtfyError(40401);
  }

  #subscribe({ exchange, visitor }: Call, format: StreamFormat): typeof ANSWERS_LATER {
    const request = requestOf(this.#own, exchange, visitor, exchange.clientAddress);
    serveStream(subscriberParts(this.#own), exchange, format, request);
    return ANSWERS_LATER;
  }

  async #sequence({ exchange, visitor }: Call, event: "message_clear" | "message_delete"): Promise<unknown> {
    const { topic: name = "", action: sequenceId = "" } = exchange.params;
    const topic = this.#own.ntfy.topics.requireWritable(requireTopic(name), visitor.principal);
    if (!/^[-_A-Za-z0-9]{1,64}$/.test(sequenceId)) throw new NtfyError(40049);
    return this.#own.ntfy.publisher.publish(topic, visitor, sequenceDraft(event, sequenceId), callOf(exchange));
  }

  #topicPage({ exchange }: Call): unknown {
    requireTopic(exchange.params["topic"] ?? "");
    if (isTrue(parametersOf(exchange)("unifiedPush"))) return { unifiedpush: { version: 1 } };
    return this.#page();
  }

  #page(): Reply<{ readonly prism: string }> {
    const { publicUrl } = this.#own.settings.current;
    const docs = publicUrl === undefined ? "" : ` See ${publicUrl}/docs/ntfy`;
    return new Reply(200, { prism: `This is the API of ntfy.${docs}` });
  }

  #file({ exchange }: Call): Promise<unknown> {
    return this.#own.ntfy.attachments.reply(exchange, exchange.params["name"] ?? "");
  }

  /** A push of a Matrix server for an app: its whole JSON is the message. @throws NtfyError */
  async #matrix(call: Call): Promise<unknown> {
    const { exchange, body } = call;
    if (body.length > MAX_MESSAGE_BYTES) throw new NtfyError(41302);
    const pushkey = pushkeyOf(body);
    const base = `${this.#baseUrl(exchange)}/`;
    const name = pushkey.startsWith(base) ? (pushkey.slice(base.length).split("?")[0] ?? "") : "";
    const rejected = { rejected: [pushkey] };
    if (!/^[-_A-Za-z0-9]{1,64}$/.test(name)) return rejected;
    const parameters: Parameters = (parameter) => (parameter === "unifiedPush" ? "1" : "");
    try {
      await this.#store(call, name, "", { parameters, body });
    } catch (error) {
      // The gateway answers no refusal of a topic otherwise: the server would try for days.
      if (error instanceof NtfyError && error.status < 429) return rejected;
      throw error;
    }
    return { rejected: [] };
  }

  #stats() {
    const { ntfy } = this.#own;
    return { messages: ntfy.publisher.count, messages_rate: ntfy.publisher.rate };
  }

  #configJs(exchange: Exchange): typeof ANSWERS_LATER {
    const text = `// Generated server configuration\nvar config = ${JSON.stringify(this.#config(exchange), null, 2)};\n`;
    exchange.send(200, text, { "Content-Type": "text/javascript", "Cache-Control": "no-cache" });
    return ANSWERS_LATER;
  }

  #config(exchange: Exchange) {
    return {
      ...{ base_url: this.#baseUrl(exchange), app_root: "/", enable_login: true, require_login: false },
      ...{ enable_signup: false, enable_payments: false, enable_calls: false, enable_emails: false },
      ...{ enable_reservations: false, enable_web_push: false, billing_contact: "", web_push_public_key: "" },
      ...{ disallowed_topics: DISALLOWED_TOPICS, config_hash: "prism" },
    };
  }

  #baseUrl(exchange: Exchange): string {
    const { current } = this.#own.settings;
    if (current.ntfy.baseUrl !== undefined) return current.ntfy.baseUrl.replace(/\/+$/, "");
    const host = exchange.header("host");
    const isFace = this.#own.settings.faces.ofHost(host) === PREFIX;
    if (isFace) return `${isHttps(current) ? "https" : "http"}://${host}`;
    const { port } = current.ntfy;
    if (port !== undefined && host.endsWith(`:${port}`))
      return urlOfHost({ ...current, port, publicUrl: undefined }, host);
    return `${current.publicUrl ?? urlOfHost(current, host)}${PREFIX}`;
  }
}

/** @throws NtfyError 40019 */
function pushkeyOf(body: Buffer): string {
  try {
    const given = parseJson(body) as { notification?: { devices?: { pushkey?: unknown }[] } };
    const pushkey = given.notification?.devices?.[0]?.pushkey;
    if (typeof pushkey === "string" && pushkey !== "") return pushkey;
  } catch {
    // Answered below.
  }
  throw new NtfyError(40019);
}

/** @throws NtfyError 40024 */
function tokenInput(body: Buffer): account.TokenInput {
  if (body.length === 0) return {};
  const shape = v.object({
    token: v.optional(v.string()),
    label: v.optional(v.string()),
    expires: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(8_640_000_000_000))),
  });
  try {
    return v.parse(shape, parseJson(body));
  } catch {
    throw new NtfyError(40024);
  }
}
