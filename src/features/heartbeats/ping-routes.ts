import { ANSWERS_LATER, type Method, type Route, route } from "../../http/api/route.ts";
import { parseQuery } from "../../http/body/input.ts";
import { RateLimiter, requireAllowed } from "../../http/limits/rate-limiter.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { HttpKernel } from "../../http/server/kernel.ts";
import type { Uses } from "../../module/feature.ts";
import type { Heartbeats, PingResult } from "./heartbeats.ts";
import { pingIdOf } from "./ping-ids.ts";
import {
  actionOf,
  openToPages,
  PING_BODY_BYTES,
  type PingAction,
  type PingTarget,
  readStart,
  userAgentOf,
  utf8Start,
} from "./pings.ts";

export interface PingContext extends Uses<"reader" | "settings"> {
  readonly heartbeats: Heartbeats;
  readonly kernel: Pick<HttpKernel, "limitAddress" | "fail">;
}

/** Pings of one heartbeat per minute, and of all new slugs of a project. A burst of this many is accepted at once. */
const PINGS_PER_MINUTE = 300;
const METHODS: readonly Method[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ANY_UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** A ping is answered the same way each time, so nothing may cache it. */
const UNCACHED = {
  "Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private",
  Expires: "Thu, 01 Jan 1970 00:00:00 GMT",
};

/** An answer to a ping. */
interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A ping as its URL names it; `action` is null for an exit status above 255. */
interface PingUrl {
  readonly target: PingTarget;
  readonly action: PingAction | null;
  readonly rid?: string | undefined;
  /** Text in place of the request's body. */
  readonly message?: string | undefined;
  /** Duration of the run, if the sender reports it. */
  readonly durationMs?: number | null;
}

/** How one system's pings are read and answered. */
interface Protocol {
  read(exchange: Exchange): PingUrl | Answer;
  answer(result: PingResult, exchange: Exchange): Answer;
}

const NOT_FOUND: Answer = { status: 404, text: "not found" };
const INVALID_URL: Answer = { status: 400, text: "invalid url format" };
/** As in the native API. */
const MAX_SLUG_LENGTH = 100;
const LONG_SLUG: Answer = { status: 400, text: `a slug has at most ${MAX_SLUG_LENGTH} characters` };
const ANSWERS: Readonly<Record<PingResult["outcome"], Answer>> = {
  ok: { status: 200, text: "OK" },
  created: { status: 201, text: "Created" },
  "not-found": NOT_FOUND,
  ambiguous: { status: 409, text: "ambiguous slug" },
  "too-many": {
    status: 409,
    text: "the project or its owner has as many heartbeats as limits.heartbeatsPerProject allows",
  },
};

/** The ping URLs of Healthchecks, and the heartbeat URLs of other systems. */
export function pingRoutes(context: PingContext): Route[] {
  const pings = new Pings(context);
  return [
    ...routesOf(pings, healthchecks(pings), METHODS, [
      "/ping/:target",
      "/ping/:target/",
      "/ping/:target/:slug",
      "/ping/:target/:slug/:action",
    ]),
    ...routesOf(pings, uptimeKuma(pings), METHODS, ["/api/push/:token"]),
    ...routesOf(pings, onCall, ["GET", "POST"], ["/integrations/v1/:type/:token/heartbeat"]),
    ...routesOf(pings, goAlert, ["POST"], ["/api/v2/heartbeat/:uuid"]),
    ...routesOf(pings, opsgenie, ["GET", "POST", "PUT"], ["/v2/heartbeats/:name/ping"]),
  ];
}

function routesOf(pings: Pings, protocol: Protocol, methods: readonly Method[], paths: readonly string[]): Route[] {
  const summary = "Report that a job runs, has ended or failed";
  const limit = (exchange: Exchange): void => pings.limit(exchange, protocol);
  const common = { tag: "Heartbeats", access: "public", quiet: true, undocumented: true, summary, limit } as const;
  const handle = (exchange: Exchange): typeof ANSWERS_LATER => pings.accept(exchange, protocol);
  return paths.flatMap((path) => methods.map((method) => route({ ...common, method, path, handle })));
}

interface Found {
  readonly id: string;
  readonly projectId: string;
  readonly status?: string;
}

/** Receives pings: reads the start of the body, stores, answers. */
class Pings {
  readonly #context: PingContext;
  readonly #limiter: RateLimiter;
  readonly #byUuid;
  readonly #byKey;
  readonly #bySlug;

  constructor(context: PingContext) {
    this.#context = context;
    this.#limiter = new RateLimiter(context.heartbeats.clock);
    const { reader } = context;
    this.#byUuid = reader.prepare<[string], Found>("select id, projectId, status from heartbeats where pingHash = ?");
    this.#byKey = reader.prepare<[string], Found>(
      "select projectId as id, projectId from heartbeat_keys where pingKeyHash = ?",
    );
    this.#bySlug = reader.prepare<[string, string], { id: string }>(
      "select id from heartbeats where projectId = ? and slug = ? limit 1",
    );
  }

  /**
   * Counts pings of a heartbeat that exists by that heartbeat, so that many jobs may share an address;
   * those with a slug that the project does not have by the project; others by their address.
   * @throws RATE_LIMITED
   */
  limit(exchange: Exchange, protocol: Protocol): void {
    const { kernel, settings } = this.#context;
    const url = protocol.read(exchange);
    const found = "target" in url ? this.find(url.target) : undefined;
    if (!found || !("target" in url)) kernel.limitAddress(exchange);
    exchange.projectId = found?.projectId ?? null;
    if (found && "target" in url && settings.rateLimit.enabled) {
      const named = "uuid" in url.target ? found : this.#bySlug.get(found.id, url.target.slug);
      const what = named ? "of this heartbeat" : "with slugs that the project does not have";
      requireAllowed(this.#limiter.take(named?.id ?? found.id, PINGS_PER_MINUTE), `Too many pings ${what}`);
    }
  }

  /** The heartbeat of a UUID, or the project of a ping key. */
  find(target: PingTarget): Found | undefined {
    const { ids } = this.#context.heartbeats;
    return "uuid" in target ? this.#byUuid.get(ids.hashOf(target.uuid)) : this.#byKey.get(ids.hashOf(target.pingKey));
  }

  accept(exchange: Exchange, protocol: Protocol): typeof ANSWERS_LATER {
    const url = protocol.read(exchange);
    // Read before the exchange can end.
    const origin = originOf(exchange);
    const reading = hasBody(exchange) ? readStart(exchange, PING_BODY_BYTES) : Promise.resolve(NO_BODY);
    reading
      .then(async (body) => {
        if (body === null) return;
        if ("target" in url) sendText(exchange, await this.#store(url, body, origin, protocol, exchange));
        else sendText(exchange, url);
      })
      .catch((error: unknown) => this.#context.kernel.fail(exchange, error));
    return ANSWERS_LATER;
  }

  async #store(url: PingUrl, bytes: Uint8Array, origin: Origin, protocol: Protocol, exchange: Exchange) {
    const { target, action, rid, message } = url;
    const isMalformed = rid !== undefined && !ANY_UUID.test(rid);
    // As at Healthchecks, an unknown heartbeat wins over a wrong request.
    if ((action === null || isMalformed) && !this.find(target)) return NOT_FOUND;
    if (action === null) return INVALID_URL;
    if (isMalformed) return { status: 400, text: "invalid uuid format" };
    const given =
      message === undefined ? utf8Start(bytes, exchange) : Buffer.from(message).subarray(0, PING_BODY_BYTES);
    const body = given.length === 0 ? null : given;
    const { heartbeats } = this.#context;
    const duration = url.durationMs == null ? {} : { durationMs: url.durationMs };
    const result = await heartbeats.ping(target, {
      ...action,
      ...duration,
      ...origin,
      rid: rid?.toLowerCase() ?? null,
      body,
    });
    const answer = protocol.answer(result, exchange);
    return result.isIgnored ? { ...answer, headers: { ...answer.headers, "Prism-Ping": "ignored" } } : answer;
  }
}

const NO_BODY = new Uint8Array(0);

type Origin = ReturnType<typeof originOf>;

/** Stored facts about the sender. */
function originOf(exchange: Exchange) {
  const { method, clientAddress } = exchange;
  const scheme = exchange.header("x-forwarded-proto").split(",")[0]?.trim() === "https" ? "https" : "http";
  return { method, scheme, userAgent: userAgentOf(exchange), address: clientAddress === "" ? null : clientAddress };
}

function hasBody(exchange: Exchange): boolean {
  return Number(exchange.header("content-length")) > 0 || exchange.isChunked;
}

/** `/ping/<uuid>[/<action>]` and `/ping/<ping key>/<slug>[/<action>]`. */
function healthchecks(pings: Pick<Pings, "find">): Protocol {
  return {
    read({ params, queryText }) {
      const { target = "", slug, action } = params;
      const { rid, create } = parseQuery(queryText);
      const uuid = pingIdOf(target);
      // A token of another system has the form of a ping key.
      if (uuid !== null && (slug === undefined || UUID.test(target) || pings.find({ uuid })))
        return action === undefined ? withAction({ uuid }, slug, rid) : NOT_FOUND;
      if (slug === undefined || !/^[A-Za-z0-9_-]+$/.test(slug)) return NOT_FOUND;
      if (slug !== slug.toLowerCase()) return INVALID_URL;
      if (create === "1" && slug.length > MAX_SLUG_LENGTH) return LONG_SLUG;
      return withAction({ pingKey: target, slug, creates: create === "1" }, action, rid);
    },
    answer: ({ outcome }) => ANSWERS[outcome],
  };
}

function withAction(target: PingTarget, suffix: string | undefined, rid: string | undefined): PingUrl | Answer {
  const action = actionOf(suffix);
  if (action === null) return NOT_FOUND;
  return { target, action: action === "out-of-range" ? null : action, rid };
}

const SUCCESS: PingAction = { kind: "success", exitStatus: null };
const FAIL: PingAction = { kind: "fail", exitStatus: null };
const MAX_PING_MS = 100_000_000_000;

/** Push monitors of Uptime Kuma; the token is that of Kuma, or the ping UUID without its dashes. */
function uptimeKuma(pings: Pick<Pings, "find">): Protocol {
  const json = (status: number, body: object): Answer => ({
    status,
    text: JSON.stringify(body),
    headers: JSON_HEADERS,
  });
  const refused = (msg: string): Answer => json(404, { ok: false, msg });
  const missing = refused("Monitor not found or not active.");
  return {
    read({ params, queryText }) {
      const { status = "up", msg = "OK", ping } = parseQuery(queryText);
      const uuid = pingIdOf(params["token"] ?? "");
      const target = uuid === null ? null : { uuid };
      const found = target && pings.find(target);
      if (!target || !found || found.status === "paused") return missing;
      const value = Number.parseFloat(ping ?? "");
      if (value < 0 || value > MAX_PING_MS)
        return refused(`Invalid ping value. Must be between 0 and ${MAX_PING_MS} ms.`);
      const durationMs = Number.isFinite(value) && value !== 0 ? Math.round(value) : null;
      return { target, action: status === "up" ? SUCCESS : FAIL, message: msg, durationMs };
    },
    answer: ({ outcome }) => (outcome === "ok" ? json(200, { ok: true }) : missing),
  };
}

const JSON_HEADERS = { "Content-Type": "application/json; charset=utf-8" };

/** The heartbeat URL of an integration of Grafana OnCall. */
const onCall: Protocol = {
  read: ({ params }) => byToken(params["token"]),
  answer: ({ outcome }) =>
    outcome === "ok" ? { status: 200, text: JSON.stringify(":)"), headers: JSON_HEADERS } : NOT_FOUND,
};

const goAlert: Protocol = {
  read: ({ params }) => byToken(params["uuid"]),
  answer: ({ outcome }) => (outcome === "ok" ? { status: 200, text: "" } : NOT_FOUND),
};

/** The ping of an Opsgenie heartbeat: the name is the slug, the key the project's ping key. */
const opsgenie: Protocol = {
  read(exchange) {
    const pingKey = /^GenieKey (\S{1,64})$/.exec(exchange.header("authorization"))?.[1];
    const slug = (exchange.params["name"] ?? "").toLowerCase();
    if (pingKey === undefined) return { ...opsgenieText(exchange, "Could not authenticate"), status: 401 };
    return { target: { pingKey, slug, creates: false }, action: SUCCESS };
  },
  answer({ outcome }, exchange) {
    if (outcome === "ok") return { ...opsgenieText(exchange, undefined), status: 202 };
    return { ...opsgenieText(exchange, "No heartbeat exists with this name"), status: 404 };
  },
};

function opsgenieText({ requestId }: Exchange, message: string | undefined) {
  const result = message === undefined ? { result: "PONG - Heartbeat received" } : { message };
  return { text: JSON.stringify({ ...result, took: 0, requestId }), headers: JSON_HEADERS };
}

function byToken(token = ""): PingUrl | Answer {
  const uuid = pingIdOf(token);
  return uuid === null ? NOT_FOUND : { target: { uuid }, action: SUCCESS };
}

function sendText(exchange: Exchange, { status, text, headers }: Answer): void {
  openToPages(exchange);
  const type = { "Content-Type": "text/plain; charset=utf-8", "Ping-Body-Limit": String(PING_BODY_BYTES) };
  exchange.send(status, text, { ...type, ...UNCACHED, ...headers });
}
