import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import type { Principal } from "../../../core/caller.ts";
import { PrismError, STATUS_OF } from "../../../core/errors.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { ANSWERS_LATER, type Method, Reply, type Route, route, undescribed } from "../../../http/api/route.ts";
import { parseJson, parseQuery } from "../../../http/body/input.ts";
import type { Authenticator } from "../../../http/server/credentials.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { HttpKernel } from "../../../http/server/kernel.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { creatorOf } from "../../access/index.ts";
import { badgeUrlOf } from "../../heartbeats/badges.ts";
import type { HeartbeatsContext } from "../../heartbeats/changes.ts";
import * as changes from "../../heartbeats/changes.ts";
import { Heartbeat, type HeartbeatRow } from "../../heartbeats/heartbeat.ts";
import { keysOf } from "../../heartbeats/heartbeats.ts";
import { pingIdOf } from "../../heartbeats/ping-ids.ts";
import * as table from "../../heartbeats/table.ts";
import { checkView, definitionOf, type KnownChannel, refused, timeOf, type UniqueMember, uniqueOf } from "./check.ts";

/** A caller of the API: a project and whether it may write. */
interface Caller {
  readonly projectId: string;
  readonly isWriter: boolean;
  readonly userId: string | null;
  readonly version: number;
}

type Handle = (caller: Caller, exchange: Exchange, body: Readonly<Record<string, unknown>>) => Promise<unknown>;

const MAX_BODY_BYTES = 65_536;
/** Opening the sealed ids of this many takes a few milliseconds. */
const VIEWS_AT_ONCE = 100;
const PREFIXES = [
  "/healthchecks/api/",
  ...["/api/v1/checks", "/api/v2/checks", "/api/v3/checks", "/api/v1/badges", "/api/v2/badges", "/api/v3/badges"],
  ...["/api/v2/channels", "/api/v3/channels", "/api/v2/status", "/api/v3/status"],
];
const TEXT = { "Content-Type": "text/plain; charset=utf-8" };

/** The management API of Healthchecks, versions 1 to 3. A protocol of its own: not in OpenAPI. */
export function healthchecksRoutes(context: HeartbeatsContext): Route[] {
  for (const prefix of PREFIXES) context.kernel.addDialect({ prefix, errorBody: errorBodyOf });
  // Its Python client asks without the last slash.
  const channels = { prefix: "/healthchecks/api/v1/channels", withKey: "/api/v1/channels" };
  context.kernel.addDialect({ ...channels, errorBody: errorBodyOf });
  const { db } = context;
  const api = (method: Method, path: string, handle: Handle, isWrite = method !== "GET"): Route =>
    route({
      method,
      ...mountsOf(path),
      summary: "Management API of Healthchecks",
      tag: "Heartbeats",
      undocumented: true,
      response: undescribed,
      access: {
        permission: isWrite ? "heartbeats:write" : "events:read",
        within: "project",
        anyKey: true,
        admits: (exchange) => exchange.method === "POST" && !hasCredential(exchange),
      },
      raw: { types: ["*"], gzip: false },
      ...(method === "POST" ? { body: v.unknown() } : {}),
      maxBodyBytes: MAX_BODY_BYTES,
      handle: async (exchange, input) => {
        const body = method === "POST" ? bodyOf(input.body, exchange) : {};
        return handle(callerOf(context, exchange, body, isWrite), exchange, body);
      },
    });
  return [
    api("GET", "checks", (caller, exchange) => listChecks(context, caller, exchange)),
    api("POST", "checks", (caller, _exchange, body) => postCheck(context, caller, body)),
    api("GET", "checks/:code", async (caller, { params }) => {
      return checkView(
        context,
        await checkOf(context, db.read, caller, params["code"]),
        caller,
        await channelsOf(db.read, caller),
      );
    }),
    api("POST", "checks/:code", (caller, { params }, body) => updateCheck(context, caller, params["code"], body)),
    api("DELETE", "checks/:code", (caller, { params }) =>
      changed(context, caller, params["code"], async (trx, row) => {
        await changes.deleteHeartbeat(context, trx, row);
        return row;
      }),
    ),
    api("POST", "checks/:code/pause", (caller, { params }) =>
      changed(context, caller, params["code"], (trx, row) => changes.pauseHeartbeat(context, trx, row)),
    ),
    api("POST", "checks/:code/resume", (caller, { params }) =>
      changed(context, caller, params["code"], (trx, row) => changes.resumeHeartbeat(context, trx, row)),
    ),
    api("GET", "checks/:code/pings", (caller, exchange) => listPings(context, caller, exchange)),
    api("GET", "checks/:code/pings/:n/body", (caller, exchange) => sendBody(context, caller, exchange)),
    api("GET", "checks/:code/flips", (caller, exchange) => listFlips(context, caller, exchange)),
    api("GET", "channels", async (caller) => ({
      channels: (await channelsOf(db.read, caller)).map((channel) => ({ ...channel, kind: "policy" })),
    })),
    api("GET", "badges", (caller) => listBadges(context, caller)),
    statusRoute(context),
  ];
}

function statusRoute({ kernel }: HeartbeatsContext): Route {
  const [path, ...aliases] = [
    "/healthchecks/api/v3",
    "/healthchecks/api/v2",
    "/healthchecks/api/v1",
    "/api/v3",
    "/api/v2",
  ];
  return route({
    method: "GET",
    path: `${path}/status`,
    aliases: aliases.map((each) => `${each}/status`),
    summary: "Whether the server answers",
    tag: "Heartbeats",
    undocumented: true,
    access: "public",
    limit: (exchange) => kernel.limitAddress(exchange),
    handle(exchange) {
      exchange.send(200, "OK", TEXT);
      return ANSWERS_LATER;
    },
  });
}

/** Prism's own API is at `/api/v1`: its `channels` takes no API keys, so that a GET with one is this one. */
function mountsOf(path: string) {
  const own = path === "channels" ? "/api/v1/channels/" : `/api/v1/${path}`;
  const aliases = [1, 2].map((version) => `/healthchecks/api/v${version}/${path}`);
  return { path: `/healthchecks/api/v3/${path}`, aliases: [...aliases, own, `/api/v2/${path}`, `/api/v3/${path}`] };
}

/** Clients of Healthchecks read `error`; `code` is Prism's. */
function errorBodyOf(error: PrismError): object {
  return { error: errorText(error), code: error.code };
}

function errorText({ code, message }: PrismError): string {
  if (code === "UNAUTHENTICATED") return "missing api key";
  if (STATUS_OF[code] === 401 || code === "SCOPE_MISSING") return "wrong api key";
  if (code === "MALFORMED_JSON") return "could not parse request body";
  if (code === "INVALID_STATE") return "check is not paused";
  return STATUS_OF[code] === 404 ? "not found" : message;
}

function hasCredential(exchange: Exchange): boolean {
  return exchange.header("x-api-key") !== "" || exchange.header("authorization") !== "";
}

/** @throws MALFORMED_JSON */
function bodyOf(bytes: unknown, exchange: Exchange): Readonly<Record<string, unknown>> {
  const body = Buffer.isBuffer(bytes) && bytes.length > 0 ? parseJson(bytes, { exchange }) : {};
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  throw refused("json validation error: value is not an object");
}

/** @throws UNAUTHENTICATED, INVALID_API_KEY, SCOPE_MISSING, UNAUTHORIZED_ROLE */
function callerOf(
  { kernel, principals, projects }: HeartbeatsContext,
  exchange: Exchange,
  body: Readonly<Record<string, unknown>>,
  isWrite: boolean,
): Caller {
  const principal = exchange.principal ?? principalOf(kernel, principals, exchange, body["api_key"]);
  const projectId = projects.refOf(principal, undefined);
  const version = Number(/\/v([123])\//.exec(exchange.path)?.[1] ?? 3);
  const isWriter = mayWrite(principal, projectId, projects);
  const mayRead = isWriter || projects.has(principal, projectId, "events:read");
  if (isWrite ? !isWriter : !mayRead) throw new PrismError("SCOPE_MISSING", "The API key lacks the scope events:write");
  return { projectId, isWriter, userId: creatorOf(principal), version };
}

/** A key that sends events may write, as a read-write key of Healthchecks. */
function mayWrite(principal: Principal, projectId: string, projects: HeartbeatsContext["projects"]): boolean {
  return projects.has(principal, projectId, principal.kind === "apiKey" ? "events:write" : "heartbeats:write");
}

/** The key in a body, counted by the sender's address. */
function principalOf(kernel: HttpKernel, principals: Authenticator, exchange: Exchange, secret: unknown): Principal {
  kernel.limitAddress(exchange);
  if (typeof secret !== "string" || secret === "") throw new PrismError("UNAUTHENTICATED", "Send an API key");
  const principal = principals.authenticate({ kind: "apiKey", secret });
  exchange.identified(principal);
  return principal;
}

/** A check by its UUID, or by its unique key. @throws HEARTBEAT_NOT_FOUND; FORBIDDEN for another project's */
async function checkOf(
  { heartbeats }: Pick<HeartbeatsContext, "heartbeats">,
  db: ReadDb | Trx,
  { projectId }: Caller,
  code = "",
): Promise<HeartbeatRow> {
  if (/^[0-9a-f]{40}$/.test(code)) {
    const found = await table.findByUniqueKey(db, projectId, code);
    if (found) return found;
  }
  const id = pingIdOf(code);
  const row = id === null ? undefined : await table.findHeartbeat(db, "pingHash", heartbeats.ids.hashOf(id));
  if (!row) throw new PrismError("HEARTBEAT_NOT_FOUND", "No such check");
  if (row.projectId !== projectId) throw new PrismError("FORBIDDEN", "The check is in another project");
  return row;
}

async function channelsOf(db: ReadDb | Trx, { projectId }: Pick<Caller, "projectId">): Promise<KnownChannel[]> {
  const named = await table.policyNames(db, projectId);
  // The policy `default` exists in each project, also before it is edited.
  return named.some(({ name }) => name === "default") ? named : [{ id: projectId, name: "default" }, ...named];
}

async function listChecks(context: HeartbeatsContext, caller: Caller, exchange: Exchange) {
  const query = new URLSearchParams(exchange.queryText);
  const slug = query.get("slug");
  const tags = query.getAll("tag");
  const channels = await channelsOf(context.db.read, caller);
  const rows = await table.heartbeatsOf(context.db.scan, caller.projectId);
  const wanted = rows.filter((row) => {
    const own = row.tags.split(" ");
    return (slug === null || row.slug === slug) && tags.every((tag) => own.includes(tag));
  });
  const checks: ReturnType<typeof checkView>[] = [];
  for (const row of wanted) {
    checks.push(checkView(context, row, caller, channels));
    if (checks.length % VIEWS_AT_ONCE === 0) await setImmediate();
  }
  return { checks };
}

async function postCheck(context: HeartbeatsContext, caller: Caller, body: Readonly<Record<string, unknown>>) {
  const unique = uniqueOf(body);
  return context.db.write(async (trx) => {
    const channels = await channelsOf(trx, caller);
    const before = unique.length === 0 ? undefined : await equalCheck(trx, caller, body, unique);
    const filters = before ? Heartbeat.value(before, "filters") : {};
    const definition = definitionOf(body, caller.version, filters, channels);
    if (before) {
      const updated = await changes.updateHeartbeat(context, trx, before, definition);
      return new Reply(200, checkView(context, updated, caller, channels));
    }
    const slug = caller.version === 3 ? { slug: "" } : {};
    const named = { ...slug, ...definition };
    const made = await changes.createHeartbeat(context, trx, caller.projectId, named, { createdBy: caller.userId });
    return new Reply(201, checkView(context, made, caller, channels));
  });
}

/** The first check that is equal in all of these members. */
async function equalCheck(
  trx: Trx,
  { projectId }: Caller,
  body: Readonly<Record<string, unknown>>,
  unique: readonly UniqueMember[],
): Promise<HeartbeatRow | undefined> {
  const rows = await table.heartbeatsOf(trx, projectId);
  const columnOf = { name: "name", slug: "slug", tags: "tags" } as const;
  return rows.find((row) =>
    unique.every((member) => {
      // What the request does not have is equal to nothing.
      if (body[member] === undefined) return false;
      if (member === "timeout") return row.timeoutMs / 1000 === body["timeout"];
      if (member === "grace") return row.graceMs / 1000 === body["grace"];
      return row[columnOf[member]] === (body[member] ?? "");
    }),
  );
}

function updateCheck(
  context: HeartbeatsContext,
  caller: Caller,
  code: string | undefined,
  body: Readonly<Record<string, unknown>>,
) {
  return changed(context, caller, code, async (trx, row) => {
    const filters = Heartbeat.value(row, "filters");
    const definition = definitionOf(body, caller.version, filters, await channelsOf(trx, caller));
    return changes.updateHeartbeat(context, trx, row, definition);
  });
}

async function changed(
  context: HeartbeatsContext,
  caller: Caller,
  code: string | undefined,
  change: (trx: Trx, row: HeartbeatRow) => Promise<HeartbeatRow>,
) {
  return context.db.write(async (trx) => {
    const row = await change(trx, await checkOf(context, trx, caller, code));
    return checkView(context, row, caller, await channelsOf(trx, caller));
  });
}

async function listPings(context: HeartbeatsContext, caller: Caller, { params }: Exchange) {
  const { db, publicUrl } = context;
  const row = await checkOf(context, db.read, caller, params["code"]);
  const { uuid } = changes.urlsOf(context, row, caller.isWriter);
  const base = uuid && `${publicUrl()}/healthchecks/api/v${caller.version}/checks/${uuid}/pings`;
  const pings = (await table.pingsOf(db.read, row)).map((ping) => ({
    type: ping.kind === "ignored" ? "ign" : ping.kind,
    date: `${toRfc3339(ping.at).slice(0, -1)}000+00:00`,
    n: ping.n,
    scheme: ping.scheme,
    remote_addr: ping.address,
    method: ping.method,
    ua: ping.userAgent,
    rid: ping.rid,
    ...(ping.durationMs === null ? {} : { duration: ping.durationMs / 1000 }),
    body_url: ping.hasBody === 1 && base !== null ? `${base}/${ping.n}/body` : null,
  }));
  return { pings };
}

async function sendBody(context: HeartbeatsContext, caller: Caller, exchange: Exchange) {
  const { db } = context;
  const { code, n = "" } = exchange.params;
  const row = await checkOf(context, db.read, caller, code);
  const body = /^\d{1,15}$/.test(n) ? await table.pingBody(db.read, row, Number(n)) : null;
  if (!body) throw new PrismError("NOT_FOUND", "The ping has no body");
  exchange.send(200, body, TEXT);
  return ANSWERS_LATER;
}

const MAX_SPAN_SECONDS = 31_536_000;

async function listFlips(context: HeartbeatsContext, caller: Caller, exchange: Exchange) {
  const { db, heartbeats } = context;
  const row = await checkOf(context, db.read, caller, exchange.params["code"]);
  const { seconds, start, end } = parseQuery(exchange.queryText);
  const from = secondsOf("start", start);
  const to = secondsOf("end", end);
  const span = secondsOf("seconds", seconds, MAX_SPAN_SECONDS);
  const since = span === undefined ? from && from * 1000 : heartbeats.clock.now() - span * 1000;
  const rows = await table.flipsOf(db.read, row.id, {
    ...(since === undefined ? {} : { from: since }),
    ...(to === undefined ? {} : { to: to * 1000 }),
  });
  const shown = rows.filter(({ status }) => status === "up" || status === "down");
  return { flips: shown.map(({ at, status }) => ({ timestamp: timeOf(at), up: status === "up" ? 1 : 0 })) };
}

/** @throws VALIDATION_FAILED */
function secondsOf(name: string, text: string | undefined, max = 10_000_000_000): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,11}$/.test(text) && Number(text) <= max) return Number(text);
  throw refused(`invalid ${name}`);
}

async function listBadges(context: HeartbeatsContext, { projectId }: Caller) {
  const { db, heartbeats, publicUrl } = context;
  const known = await table.findKeys(db.read, "projectId", projectId);
  const keys = known ?? (await db.write((trx) => keysOf(trx, projectId, heartbeats.clock.now())));
  const rows = await table.heartbeatsOf(db.scan, projectId);
  const tags = [...new Set(rows.flatMap((row) => row.tags.split(" ").filter(Boolean)))].sort();
  const urls = (tag: string | null) => {
    const url = (format: "svg" | "json" | "shields", isShort: boolean) =>
      badgeUrlOf(publicUrl(), keys, tag, { format, isShort });
    return {
      svg: url("svg", true),
      svg3: url("svg", false),
      json: url("json", true),
      json3: url("json", false),
      shields: url("shields", true),
      shields3: url("shields", false),
    };
  };
  return { badges: Object.fromEntries([...tags.map((tag) => [tag, urls(tag)]), ["*", urls(null)]]) };
}
