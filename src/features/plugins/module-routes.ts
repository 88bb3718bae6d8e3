import * as v from "valibot";
import { ERROR_CODES, type ErrorCode, PrismError } from "../../core/errors.ts";
import { KEY_SCOPES, PERMISSIONS } from "../../core/permissions.ts";
import { type Clock, MINUTE_MS } from "../../core/time/clock.ts";
import type { BodyType, Method, Route, RouteAccess } from "../../http/api/route.ts";
import { RateLimiter, requireAllowed } from "../../http/limits/rate-limiter.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import { addressGroup, coarseAddressGroup } from "../../http/server/headers.ts";
import type { ModuleChannel, ModuleServer, RouteHandler, RouteOptions } from "../../module/module-api.ts";
import { isSchema, JSON_TYPES, ModuleBody, moduleAnswer, readModuleRequest } from "./module-request.ts";

/** A path of letters, digits and `-._~`, with whole segments as parameters. */
const PATH = /^(\/([A-Za-z0-9._~-]+|:[A-Za-z_]\w*))+$/;
const MAX_PATH = 512;
/** `type/subtype` as RFC 6838 allows them, in lower case. */
const BODY_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/;
const OPTION_NAMES = new Set([
  "public",
  "permission",
  "aliases",
  "params",
  "query",
  "body",
  "response",
  "errors",
  "rateLimit",
  "summary",
  "bodyTypes",
  "rawBody",
  "maxBytes",
]);

/** Callers of one route whose requests are counted at a time. */
const MAX_CALLERS = 10_000;

/** The settings that bound what a module's route may take. */
export interface RouteCaps {
  readonly maxBodyBytes: number;
  readonly maxRequestsPerMinute: number;
}

export interface RouteParts {
  readonly module: string;
  readonly clock: Clock;
  /** Limits for the options of a route; absent: none. */
  readonly caps?: RouteCaps | undefined;
  /** Counts the bytes of a body that a handler keeps. @returns their release. @throws OVERLOADED */
  hold(exchange: Exchange, bytes: number): () => void;
  /** Adds a route of the module. @throws for a path that is reserved, taken or malformed */
  add(route: Route): void;
  /** Adds a service of channels. @throws TypeError for a name that is taken */
  addChannel(channel: ModuleChannel): void;
  /** Runs what a request of the module's is answered by. */
  enter(work: () => Promise<unknown>): Promise<unknown>;
  call<T>(code: () => T): T;
}

/**
 * The server on which a module registers its routes: each becomes a route of the program, which checks,
 * limits and documents it like its own.
 */
export function moduleServer(parts: RouteParts): ModuleServer {
  const on =
    (method: Method) =>
    (path: string, ...rest: readonly unknown[]): void => {
      const [options, handler] = rest.length === 1 ? [{}, rest[0]] : rest;
      parts.add(moduleRoute(parts, method, path, checkOptions(options, method, parts.caps), checkHandler(handler)));
    };
  return {
    ...{ get: on("GET"), post: on("POST"), put: on("PUT"), patch: on("PATCH"), delete: on("DELETE") },
    channel: (channel) => parts.addChannel(channel),
  };
}

function moduleRoute(
  parts: RouteParts,
  method: Method,
  path: string,
  options: RouteOptions,
  handler: RouteHandler<unknown>,
): Route {
  const { aliases = [], summary, errors = [], params, query, body, response } = options;
  for (const each of [path, ...aliases]) checkPath(each);
  const limit = rateTaker(parts.clock, options.rateLimit);
  const raw = rawOf(options);
  return {
    method,
    path,
    aliases,
    summary: summary ?? `${method} ${path} of the module ${parts.module}`,
    tag: `Module ${parts.module}`,
    access: accessOf(options),
    // Taken as it comes: the module's own schema checks it.
    ...(method === "GET" ? {} : { body: v.unknown() }),
    ...(raw ? { raw } : {}),
    ...(limit ? { limit } : {}),
    ...(options.maxBytes === undefined ? {} : { maxBodyBytes: options.maxBytes }),
    described: { query, body: method === "GET" ? undefined : (body ?? {}), response },
    errors: [...errors, ...(params ? (["VALIDATION_FAILED"] as const) : []), "MODULE_UNAVAILABLE"],
    handle: (exchange, input) => {
      const given = raw && input.body instanceof Buffer ? new ModuleBody(exchange, input.body) : input.body;
      const release = given instanceof ModuleBody ? parts.hold(exchange, given.bytes.length) : () => undefined;
      const answering = parts.enter(async () => {
        const request = await readModuleRequest(exchange, given, { params, query, body }, options.rawBody);
        return moduleAnswer(exchange, await called(() => parts.call(() => handler(request)), errors));
      });
      return answering.finally(release);
    },
  };
}

/** How the body is taken, where that is not as JSON. */
function rawOf({ rawBody, bodyTypes }: RouteOptions): Route["raw"] {
  if (rawBody !== true && bodyTypes === undefined) return undefined;
  return { types: (bodyTypes ?? JSON_TYPES) as readonly BodyType[], gzip: false, exact: true };
}

/**
 * @throws what the handler throws; PrismError for one of the codes that the route says it answers
 * with. What a service does not accept is the handler's mistake and not the client's: it is no
 * PrismError then, and so answered as INTERNAL.
 */
async function called(handler: () => unknown, errors: readonly ErrorCode[]): Promise<unknown> {
  try {
    return await handler();
  } catch (error) {
    if (error instanceof PrismError && error.code === "VALIDATION_FAILED" && !errors.includes(error.code))
      throw new TypeError("a service refused what the handler of a route gave it", { cause: error });
    if (error instanceof PrismError || !(error instanceof Error)) throw error;
    const code = errors.find((each) => each === (error as { code?: unknown }).code);
    throw code === undefined ? error : new PrismError(code, error.message, { cause: error });
  }
}

/** An API key may call if it has the scope; another or no permission is for people only. */
function accessOf({ public: isPublic, permission }: RouteOptions): RouteAccess {
  if (isPublic === true) return "public";
  const held = PERMISSIONS.find((each) => each === permission);
  const keyScope = KEY_SCOPES.find((each) => each === permission);
  return { ...(held ? { permission: held } : {}), ...(keyScope ? { keyScope } : {}) };
}

function rateTaker(clock: Clock, rate: RouteOptions["rateLimit"]): Route["limit"] {
  if (!rate) return undefined;
  const limiter = new RateLimiter(clock, MAX_CALLERS, rate.windowMs);
  return (exchange) => {
    const { principal, clientAddress } = exchange;
    const [key, group] = principal
      ? [principal.key, "principals"]
      : [`ip:${addressGroup(clientAddress)}`, `ip:${coarseAddressGroup(clientAddress)}`];
    const state = limiter.take(key, rate.max, 1, group);
    exchange.rate = state;
    requireAllowed(state, "Too many requests");
  };
}

/** @throws TypeError */
function checkPath(path: unknown): void {
  if (typeof path === "string" && path.length <= MAX_PATH && PATH.test(path)) return;
  throw new TypeError(`${JSON.stringify(path)} is not a path; write it like /hooks/:name`);
}

/** @throws TypeError */
function checkHandler(handler: unknown): RouteHandler<unknown> {
  if (typeof handler !== "function") throw new TypeError("a route needs a handler");
  return handler as RouteHandler<unknown>;
}

/** A slip of the pen in the options must not open a route. @throws TypeError */
function checkOptions(given: unknown, method: Method, caps: RouteCaps | undefined): RouteOptions {
  if (typeof given !== "object" || given === null) throw new TypeError("the options of a route must be an object");
  const options = given as RouteOptions;
  const unknown = Object.keys(options).find((name) => !OPTION_NAMES.has(name));
  if (unknown !== undefined) throw new TypeError(`a route has no option ${unknown}`);
  const { permission, aliases, errors, rateLimit, summary } = options;
  if (options.public !== undefined && typeof options.public !== "boolean") throw wrong("public", "true or false");
  if (permission !== undefined && !PERMISSIONS.some((each) => each === permission))
    throw wrong("permission", `one that Prism knows, not ${JSON.stringify(permission)}`);
  if (options.public === true && permission !== undefined) throw wrong("permission", "absent on a public route");
  if (aliases !== undefined && !Array.isArray(aliases)) throw wrong("aliases", "a list of paths");
  if (errors !== undefined && !(Array.isArray(errors) && errors.every((code) => ERROR_CODES.includes(code))))
    throw wrong("errors", "a list of Prism's error codes");
  if (rateLimit !== undefined && !(isWhole(rateLimit.max) && isWhole(rateLimit.windowMs)))
    throw wrong("rateLimit", "{ max, windowMs }, both whole numbers from 1 on");
  if (rateLimit && caps && (rateLimit.max * MINUTE_MS) / rateLimit.windowMs > caps.maxRequestsPerMinute)
    throw wrong("rateLimit", `at most ${caps.maxRequestsPerMinute} a minute (modules.maxRequestsPerMinute)`);
  if (summary !== undefined && typeof summary !== "string") throw wrong("summary", "a text");
  checkBodyOptions(options, method, caps);
  for (const name of ["params", "query", "body", "response"] as const)
    if (options[name] !== undefined && !isSchema(options[name])) throw wrong(name, "a Standard Schema");
  return options;
}

/** @throws TypeError */
function checkBodyOptions({ bodyTypes, rawBody, maxBytes }: RouteOptions, method: Method, caps?: RouteCaps): void {
  const first = Object.entries({ bodyTypes, rawBody, maxBytes }).find(([, value]) => value !== undefined)?.[0];
  if (first !== undefined && method === "GET") throw wrong(first, "absent on a GET route, which takes no body");
  if (bodyTypes !== undefined && !(Array.isArray(bodyTypes) && bodyTypes.length > 0 && bodyTypes.every(isBodyType)))
    throw wrong("bodyTypes", 'a list of content types in lower case, without parameters, or ["*"]');
  if (rawBody !== undefined && typeof rawBody !== "boolean") throw wrong("rawBody", "true or false");
  if (maxBytes !== undefined && !isWhole(maxBytes)) throw wrong("maxBytes", "a whole number from 1 on");
  if (maxBytes !== undefined && caps && maxBytes > caps.maxBodyBytes)
    throw wrong("maxBytes", `at most ${caps.maxBodyBytes} (modules.maxBodyBytes)`);
}

function wrong(name: string, must: string): TypeError {
  return new TypeError(`the option ${name} of a route must be ${must}`);
}

function isBodyType(type: unknown): boolean {
  return typeof type === "string" && (type === "*" || BODY_TYPE.test(type));
}

function isWhole(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}
