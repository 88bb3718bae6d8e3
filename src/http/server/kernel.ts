import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import type { Config } from "../../config/load.ts";
import { OPERATOR, type Principal, runAs } from "../../core/caller.ts";
import { PrismError, STATUS_OF } from "../../core/errors.ts";
import { endsConnection, errorBody, errorHeaders, toPrismError } from "../api/error-reply.ts";
import { answerOf, type Idempotency } from "../api/idempotency.ts";
import { LARGE_REPLY_LENGTH, largeReply } from "../api/replies.ts";
import { ANSWERS_LATER, type Dialect, type Input, RawJson, Reply, type Route } from "../api/route.ts";
import { type BodyReader, type BodySink, bodyLimitOf, hasBody, isRestDropped, requireLength } from "../body/body.ts";
import { bodyValue, checkShape, mayRepeat, queryOf, withoutRepeated } from "../body/input.ts";
import { isAmongTags } from "../body/negotiation.ts";
import { type RateLimiter, requireAllowed } from "../limits/rate-limiter.ts";
import { CHECK_ROWS, RequestWork, type Sender } from "../limits/request-work.ts";
import type { WorkBudget } from "../limits/work-budget.ts";
import { CorsPolicy, requireAccess } from "./access.ts";
import type { AccessLog } from "./access-log.ts";
import {
  type Authenticator,
  type Credential,
  credentialIfAny,
  handlerCaller,
  readCredential,
  requestCaller,
  ticketOf,
} from "./credentials.ts";
import { Exchange } from "./exchange.ts";
import { type AddressReader, addressGroup, BadHead, coarseAddressGroup } from "./headers.ts";
import { ActiveRequests } from "./listener.ts";
import { type Entrance, type Faces, PORT } from "./live-settings.ts";
import type { Router } from "./router.ts";

/** Requests per minute; read at each request, so that a reload takes effect at once. */
export type RequestLimits = Pick<Config["rateLimit"], "enabled" | "global" | "ip" | "user" | "key">;

export interface KernelParts {
  readonly router: Router;
  /** Opened later than the kernel. */
  authenticator(): Authenticator;
  readonly bodies: BodyReader;
  readonly limiter: RateLimiter;
  readonly accessLog: AccessLog;
  /** Budget for bodies of requests. */
  readonly work: WorkBudget;
  readonly readAddress: AddressReader;
  /** Whether bodies may be chunked; default: yes. */
  readonly acceptsChunked?: boolean;
  /** Whether requests may come from the spool of a node; default: no. */
  readonly takesSpooled?: boolean;
  /** Header lines of every answer that depend on the transport. */
  readonly transportHeaders?: string;
  cors(): CorsPolicy;
  limits(): RequestLimits;
  faces(): Faces;
  readonly idempotency: Pick<Idempotency, "runOnce">;
}

/**
 * The steps of a request, in this order (docs/http.md): head, route (404, 405), credentials (401),
 * permission (403), rate (429), size and type, JSON, schema, handler, answer. Each step throws a
 * PrismError or calls the next; only {@link HttpKernel.fail} writes errors.
 */
export class HttpKernel implements BodySink {
  readonly #parts: KernelParts;
  readonly #work: RequestWork;
  readonly #onEnd = (exchange: Exchange, status: number, error?: unknown): void => this.#ended(exchange, status, error);
  readonly requests = new ActiveRequests();
  readonly #dialects: { readonly dialect: Dialect; readonly bare: string }[] = [];

  constructor(parts: KernelParts) {
    this.#parts = parts;
    this.#work = new RequestWork(parts.work);
  }

  /** Requests below its prefix are answered as its clients expect; a last slash is ignored there. */
  addDialect(dialect: Dialect): void {
    this.#dialects.push({ dialect, bare: dialect.prefix.replace(/\/$/, "") });
  }

  #dialectOf(exchange: Exchange): Dialect | undefined {
    const { path } = exchange;
    for (const { dialect, bare } of this.#dialects) {
      const isByKey = path === dialect.withKey && isReadByKey(exchange);
      if (isByKey || path.startsWith(dialect.prefix) || path === bare) return dialect;
    }
    return undefined;
  }

  /** The prefix of the face of the request's entrance, or of the host that it names; '' for Prism's own. */
  faceOf(req: HttpRequest, { face }: Entrance): string {
    return face ?? this.#parts.faces().of(req);
  }

  /** The path for the router. */
  #pathOf(exchange: Exchange, dialect: Dialect | undefined): string {
    if (dialect === undefined) return exchange.path;
    return exchange.path === dialect.withKey ? dialect.prefix : exchange.path.replace(/\/$/, "");
  }

  handle(res: HttpResponse, req: HttpRequest, entrance = PORT): void {
    const exchange = this.open(res, req, entrance);
    try {
      this.#route(exchange);
    } catch (error) {
      this.fail(exchange, error);
    }
    this.leave(exchange);
  }

  /** Reads a request of another protocol (WebSocket upgrades); the caller answers or upgrades. */
  open(res: HttpResponse, req: HttpRequest, entrance = PORT): Exchange {
    this.requests.began();
    const { isControl } = entrance;
    const face = this.faceOf(req, entrance);
    const exchange = Exchange.read(res, req, this.#parts.readAddress, this.#onEnd, isControl, face);
    exchange.work = this.#work;
    if (!isControl && this.#parts.transportHeaders !== undefined) exchange.extraHeaders = this.#parts.transportHeaders;
    return exchange;
  }

  /** The callback of the request is about to return. */
  leave(exchange: Exchange): void {
    if (!exchange.isOver) exchange.watchAbort();
    exchange.leaveCallback();
  }

  #ended(exchange: Exchange, status: number, error: unknown): void {
    if (error !== undefined) this.#parts.accessLog.recordFailure(exchange, toPrismError(error));
    this.#parts.accessLog.record(exchange, status);
    this.requests.ended(status);
  }

  #route(exchange: Exchange): void {
    exchange.refuseBadHead();
    if (exchange.isControl && exchange.header("origin") !== "")
      throw new PrismError("ORIGIN_REFUSED", "No web page may use the control socket");
    const dialect = this.#dialectOf(exchange);
    if (dialect) CorsPolicy.applyAny(exchange);
    else this.#parts.cors().apply(exchange);
    if (exchange.isChunked) requireLength(exchange, this.#parts.acceptsChunked !== false);
    const isOptions = exchange.method === "OPTIONS";
    const match = isOptions ? undefined : this.#parts.router.find(exchange.method, this.#pathOf(exchange, dialect));
    if (!match || "allowed" in match) {
      const answer = (): void => {
        this.#countUnrouted(exchange);
        if (isOptions) this.#answerOptions(exchange, dialect);
        else this.#refuseUnrouted(exchange, match?.allowed);
      };
      const check = this.check(exchange, isOptions);
      if (check) check.then(answer).catch((error: unknown) => this.fail(exchange, error));
      else answer();
      return;
    }
    exchange.mount = match.mount;
    exchange.params = match.params;
    const { route } = match.mount;
    if (this.requests.isDraining && route.unlimited !== true)
      throw new PrismError("SHUTTING_DOWN", "The server is stopping");
    const { access } = route;
    if (access === "public") {
      if (route.limit) this.#limitAll(exchange);
      else if (route.unlimited !== true) this.limitAddress(exchange);
      route.limit?.(exchange);
      this.#receive(exchange, route);
      return;
    }
    if (access.admits?.(exchange) === true) {
      this.#receive(exchange, route);
      return;
    }
    if (access.signer) {
      this.#limitSigner(exchange, access.signer);
      this.#receive(exchange, route);
      return;
    }
    const needsNone = exchange.header("x-api-key") !== "";
    const credential = needsNone ? null : credentialIfAny(exchange, access.queryToken, access.basic);
    const check = credential && this.checkOf(exchange, credential);
    // The body is read meanwhile, at the expense of the address.
    if (check) exchange.admission = check;
    else this.#admit(exchange, route, credential);
    this.#receive(exchange, route);
  }

  #admit(exchange: Exchange, route: Route, known: Credential | null = null): void {
    const { access } = route;
    if (access === "public") return;
    const principal = this.#authenticateCounted(exchange, access.queryToken, access.basic, known);
    exchange.identified(principal, this.#parts.authenticator().rights);
    requireAccess(access, principal);
    this.limitPrincipal(exchange, principal);
    route.limit?.(exchange);
  }

  #refuseUnrouted(exchange: Exchange, allowed: readonly string[] | undefined): never {
    if (!allowed) throw new PrismError("NOT_FOUND", "No such route");
    exchange.extraHeaders += `Allow: ${allowed.join(", ")}\r\n`;
    throw new PrismError("METHOD_NOT_ALLOWED", `This path accepts ${allowed.join(", ")}`);
  }

  #answerOptions(exchange: Exchange, dialect: Dialect | undefined): void {
    const answered = this.#ownOptions(exchange, dialect);
    if (answered !== null) {
      exchange.send(200, "", answered);
      return;
    }
    const { allowsHeaders } = dialect ?? {};
    const allowed = this.#parts.router.allowed(this.#pathOf(exchange, dialect));
    if (allowsHeaders !== undefined) CorsPolicy.preflightAny(exchange, allowed ?? [], allowsHeaders);
    else if (!allowed) throw new PrismError("NOT_FOUND", "No such route");
    else this.#parts.cors().preflight(exchange, allowed);
  }

  /** Headers of the answer to OPTIONS, if a route of this path has its own. */
  #ownOptions(exchange: Exchange, dialect: Dialect | undefined): Readonly<Record<string, string>> | null {
    const match = this.#parts.router.find("POST", this.#pathOf(exchange, dialect));
    if (match && "mount" in match) exchange.params = match.params;
    return match && "mount" in match ? (match.mount.route.options?.(exchange) ?? null) : null;
  }

  /**
   * The caller, from the headers; without a credential on the control socket the operator.
   * @param known the credential, if it was read before; null: reading says why there is none
   * @throws UNAUTHENTICATED and errors of the authenticator.
   */
  authenticate(exchange: Exchange, allowQuery = false, allowBasic = false, known: Credential | null = null): Principal {
    const credential = known ?? readCredential(exchange, allowQuery, allowBasic);
    if (credential) return this.#parts.authenticator().authenticate(credential);
    if (exchange.isControl) return OPERATOR;
    throw new PrismError("UNAUTHENTICATED", "Send an access token, a service token or an API key");
  }

  /**
   * Starts to verify an access token, if that must be done before {@link authenticate}; that of
   * another issuer is charged to the address. @throws WORK_LIMITED
   */
  check(exchange: Exchange, allowQuery = false, allowBasic = false): Promise<void> | null {
    const credential = credentialIfAny(exchange, allowQuery, allowBasic);
    return credential && this.checkOf(exchange, credential);
  }

  /** {@link check} of a credential that a request or message has elsewhere. @throws WORK_LIMITED */
  checkOf(sender: Sender, credential: Credential): Promise<void> | null {
    const check = this.#parts.authenticator().prepare?.(credential);
    if (!check) return null;
    if (check.isCharged) this.#work.beforeCheck(sender, { bytes: credential.secret.length, rows: CHECK_ROWS });
    return check.run();
  }

  /** Uses up the ticket of a failed upgrade: a second attempt needs another one. */
  spendTicket(exchange: Exchange): void {
    try {
      const ticket = ticketOf(exchange);
      if (ticket !== undefined) void this.#parts.authenticator().authenticate({ kind: "ticket", secret: ticket });
    } catch {
      // The ticket is invalid or used.
    }
  }

  /**
   * Counts a signed request by its signer, and one with an invalid signature by its address.
   * @throws RATE_LIMITED and errors of the signer's check
   */
  #limitSigner(exchange: Exchange, signer: (exchange: Exchange) => string | null): void {
    try {
      exchange.signerKey = signer(exchange);
    } catch (error) {
      this.limitAddress(exchange);
      throw error;
    }
    if (exchange.signerKey === null) this.limitAddress(exchange);
    else this.#limitKey(exchange, exchange.signerKey, this.#parts.limits().key);
  }

  /** Counts callers without valid credentials by address. @throws RATE_LIMITED, and as {@link authenticate} */
  #authenticateCounted(...given: Parameters<HttpKernel["authenticate"]>): Principal {
    try {
      return this.authenticate(...given);
    } catch (error) {
      this.limitAddress(given[0]);
      throw error;
    }
  }

  /**
   * Counts a request without a route, by caller or, without valid credentials, by address. Paths of
   * health checks are not counted. @throws RATE_LIMITED
   */
  #countUnrouted(exchange: Exchange): void {
    if (this.#isUnlimited(exchange.path)) return;
    let principal: Principal;
    try {
      principal = this.authenticate(exchange);
    } catch {
      return this.limitAddress(exchange);
    }
    this.limitPrincipal(exchange, principal);
  }

  #isUnlimited(path: string): boolean {
    const match = this.#parts.router.find("GET", path);
    return match !== undefined && "mount" in match && match.mount.route.unlimited === true;
  }

  /** Counts a request without valid credentials. @throws RATE_LIMITED above the address's limit */
  limitAddress(exchange: Exchange): void {
    const limits = this.#parts.limits();
    if (!limits.enabled) return;
    this.#limitAll(exchange);
    const address = exchange.clientAddress;
    this.#takeRate(exchange, `ip:${addressGroup(address)}`, limits.ip, `ip:${coarseAddressGroup(address)}`);
  }

  /** Counts a request of any caller. @throws RATE_LIMITED */
  #limitAll(exchange: Exchange): void {
    const { enabled, global } = this.#parts.limits();
    if (enabled && global !== undefined) this.#takeRate(exchange, "all", global, "all");
  }

  /** Counts a request by its caller, also one that its route found. @throws RATE_LIMITED */
  limitPrincipal(exchange: Exchange, principal: Principal): void {
    const { key, user } = this.#parts.limits();
    // Project owners set the limits of keys; the operator's limit is the upper bound.
    const limit = principal.kind === "apiKey" ? Math.min(principal.rateLimit ?? key, key) : user;
    this.#limitKey(exchange, principal.key, limit);
  }

  #limitKey(exchange: Exchange, key: string, limit: number): void {
    const limits = this.#parts.limits();
    if (!limits.enabled) return;
    this.#limitAll(exchange);
    this.#takeRate(exchange, key, limit, "principals");
  }

  #takeRate(exchange: Exchange, key: string, limit: number, coarseKey: string): void {
    if (exchange.isControl) return;
    const state = this.#parts.limiter.take(key, limit, 1, coarseKey);
    exchange.rate = state;
    requireAllowed(state, "Too many requests");
  }

  #receive(exchange: Exchange, route: Route): void {
    if (!route.body || !hasBody(exchange)) {
      this.#run(exchange, route, EMPTY_BODY);
      return;
    }
    this.#work.beforeBody(exchange, route);
    this.#parts.bodies.read(exchange, route, this);
  }

  bodyRead(exchange: Exchange, route: Route, body: Buffer): void {
    try {
      const isEncoded = exchange.header("content-encoding") !== "" && route.raw?.encoded !== true;
      if (isEncoded) this.#inflate(exchange, route, body);
      else {
        if (exchange.isChunked) this.#work.bodyRead(exchange, route, body.length);
        this.#run(exchange, route, body);
      }
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  #inflate(exchange: Exchange, route: Route, body: Buffer): void {
    // The bytes are only valid until this returns.
    this.#parts.bodies.inflate(exchange, Buffer.from(body), bodyLimitOf(route, exchange)).then(
      (inflated) =>
        this.#guard(exchange, () => {
          this.#work.bodyRead(exchange, route, inflated.length);
          this.#run(exchange, route, inflated);
        }),
      (error: unknown) => this.fail(exchange, error),
    );
  }

  bodyFailed(exchange: Exchange, error: PrismError): void {
    this.fail(exchange, error);
  }

  #run(exchange: Exchange, route: Route, body: Buffer): void {
    if (exchange.isOver) return;
    // The body was short enough; a handler may have other limits. Encoded ones it decodes itself.
    if (route.raw?.encoded !== true) exchange.debt = null;
    const { admission } = exchange;
    if (admission) {
      exchange.admission = null;
      // The bytes are only valid until this returns.
      const kept = Buffer.from(body);
      const run = (): void => {
        this.#admit(exchange, route);
        this.#run(exchange, route, kept);
      };
      admission.then(run).catch((error: unknown) => this.fail(exchange, error));
      return;
    }
    this.#work.beforeRead(exchange, route);
    const given = bodyValue(route, body, exchange, (members) => this.#work.charge(exchange, { members }));
    this.#work.beforeRaw(exchange, route, body);
    const params = route.params ? checkShape(route.params, exchange.params, "path") : undefined;
    const query = queryOf(route, exchange.queryText);
    if (mayRepeat(route, given)) {
      withoutRepeated(this.#parts.router, exchange, route, given, requestCaller(exchange, route.access)).then(
        (settled) => this.#guard(exchange, () => this.#handle(exchange, route, { params, query, body: settled })),
        (error: unknown) => this.fail(exchange, error),
      );
      return;
    }
    const checked = route.body && !route.raw ? checkShape(route.body, given, "body") : given;
    this.#handle(exchange, route, { params, query, body: checked });
  }

  #handle(exchange: Exchange, route: Route, input: Input<unknown, unknown, unknown>): void {
    if (exchange.isOver) return;
    // Not on the hot path: an asynchronous context slows every promise and callback after it.
    const isPlain = (route.quiet || route.withoutContext) && !this.#parts.takesSpooled;
    const caller = isPlain ? null : handlerCaller(exchange, route);
    const result =
      caller === null
        ? route.handle(exchange, input)
        : runAs(caller, () => this.#parts.idempotency.runOnce(exchange, route, input));
    if (result === ANSWERS_LATER) return;
    if (result instanceof Promise) {
      result.then(
        (value) => this.#guard(exchange, () => this.#answer(exchange, route, value)),
        (error: unknown) => this.fail(exchange, error),
      );
    } else this.#answer(exchange, route, result);
  }

  #answer(exchange: Exchange, route: Route, value: unknown): void {
    if (value === ANSWERS_LATER) return;
    const reply = value instanceof Reply ? value : answerOf(route, value);
    const tag = reply.headers["ETag"];
    const isRead = exchange.method === "GET" || exchange.method === "HEAD";
    if (tag !== undefined && isRead && isAmongTags(tag, exchange.header("if-none-match"))) {
      exchange.send(304, null, reply.headers);
    } else if (reply.body === undefined) exchange.send(reply.status, null, reply.headers);
    else {
      const json = reply.body instanceof RawJson ? reply.body.text : JSON.stringify(reply.body);
      this.#work.answered(exchange, json.length);
      this.#sendJson(exchange, { status: reply.status, json, headers: reply.headers });
    }
  }

  #sendJson(exchange: Exchange, reply: Parameters<typeof largeReply>[1]): void {
    const { status, json, headers } = reply;
    if (json.length < LARGE_REPLY_LENGTH || exchange.isOver || exchange.isChunked || exchange.method === "HEAD")
      exchange.sendJson(status, json, headers);
    else largeReply(exchange, reply, this.#parts.bodies).catch((error: unknown) => this.fail(exchange, error));
  }

  /** Answers with an error and logs server errors. */
  fail(exchange: Exchange, thrown: unknown): void {
    const found = toPrismError(thrown);
    const error = this.#orDebt(exchange, found);
    const status = STATUS_OF[error.code];
    if (exchange.isStreaming) {
      exchange.breakOff(error);
      return;
    }
    if (status >= 500) this.#parts.accessLog.recordFailure(exchange, error);
    if (exchange.isOver) return;
    // The rest of the body is not needed.
    exchange.onAbort?.();
    const close = (endsConnection(found) && !isRestDropped(exchange, status)) || error instanceof BadHead;
    const headers = errorHeaders(error);
    if (error.code === "UNSUPPORTED_MEDIA_TYPE" && exchange.header("content-encoding") !== "")
      headers["Accept-Encoding"] = "gzip";
    const dialect = this.#dialectOf(exchange);
    const allowed = status === 405 ? (this.#parts.router.allowed(this.#pathOf(exchange, dialect)) ?? []) : [];
    if (dialect?.challenges === false) delete headers["WWW-Authenticate"];
    const added = dialect?.errorBody(error, exchange, allowed);
    const body = { ...errorBody(error, exchange.requestId), ...added };
    exchange.send(
      status,
      JSON.stringify(body),
      { "Content-Type": "application/json; charset=utf-8", ...headers },
      { close },
    );
  }

  /** The error of a body that is longer than one that passes in debt. */
  #orDebt({ debt }: Exchange, error: PrismError): PrismError {
    return debt !== null && error.code === "PAYLOAD_TOO_LARGE" ? this.#work.refusal(debt) : error;
  }

  #guard(exchange: Exchange, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.fail(exchange, error);
    }
  }
}

const EMPTY_BODY = Buffer.alloc(0);

function isReadByKey(exchange: Exchange): boolean {
  return exchange.method === "GET" && exchange.queryText === "" && exchange.header("x-api-key") !== "";
}
