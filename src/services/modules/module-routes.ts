import * as v from "valibot";
import type { Clock } from "../../base/clock.ts";
import { ERROR_CODES, type ErrorCode } from "../../base/error-codes.ts";
import { PrismError } from "../../base/errors.ts";
import { KEY_SCOPES, PERMISSIONS } from "../../base/permissions.ts";
import type { Exchange } from "../../http/exchange.ts";
import { RateLimiter } from "../../http/rate-limiter.ts";
import type { Access, Method, Route } from "../../http/route.ts";
import type { ModuleServer, RouteHandler, RouteOptions } from "../module-api.ts";
import { isSchema } from "./check-input.ts";
import { moduleAnswer, readModuleRequest } from "./module-request.ts";

/** A path of letters, digits and `-._~`, with whole segments as parameters. */
const PATH = /^(\/([A-Za-z0-9._~-]+|:[A-Za-z_]\w*))+$/;
const MAX_PATH = 512;
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
]);

/** Callers of one route whose requests are counted at a time. */
const MAX_CALLERS = 10_000;

export interface RouteParts {
  readonly module: string;
  readonly clock: Clock;
  /** Adds a route of the module. @throws what stands against it */
  add(route: Route): void;
  /** Runs what a request of the module's is answered by. */
  enter(work: () => Promise<unknown>): Promise<unknown>;
  /** Runs the module's code. */
  call<T>(code: () => T): T;
}

/** What a module is given to put its routes on: each becomes a route of the program, which checks, limits and documents it like its own. */
export function moduleServer(parts: RouteParts): ModuleServer {
  const on =
    (method: Method) =>
    (path: string, ...rest: readonly unknown[]): void => {
      const [options, handler] = rest.length === 1 ? [{}, rest[0]] : rest;
      parts.add(moduleRoute(parts, method, path, checkOptions(options), checkHandler(handler)));
    };
  return { get: on("GET"), post: on("POST"), put: on("PUT"), patch: on("PATCH"), delete: on("DELETE") };
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
  const takeRate = rateTaker(parts.clock, options.rateLimit);
  return {
    method,
    path,
    aliases,
    summary: summary ?? `${method} ${path} of the module ${parts.module}`,
    tag: `Module ${parts.module}`,
    access: accessOf(options),
    // Taken as it comes: the module's own schema checks it.
    ...(method === "GET" ? {} : { body: v.unknown() }),
    described: { query, body: method === "GET" ? undefined : (body ?? {}), response },
    errors: [...errors, ...(params ? (["VALIDATION_FAILED"] as const) : []), "MODULE_UNAVAILABLE"],
    handle: (exchange, input) => {
      takeRate(exchange);
      return parts.enter(async () => {
        const request = await readModuleRequest(exchange, input.body, { params, query, body });
        return moduleAnswer(exchange, await called(() => parts.call(() => handler(request)), errors));
      });
    },
  };
}

/** @throws what the handler throws; PrismError for one of the codes that the route says it answers with. */
async function called(handler: () => unknown, errors: readonly ErrorCode[]): Promise<unknown> {
  try {
    return await handler();
  } catch (error) {
    if (error instanceof PrismError || !(error instanceof Error)) throw error;
    const code = errors.find((each) => each === (error as { code?: unknown }).code);
    throw code === undefined ? error : new PrismError(code, error.message, { cause: error });
  }
}

/** An API key may call where its scopes say so: a permission that is no scope, or none at all, is for people. */
function accessOf({ public: isPublic, permission }: RouteOptions): Access {
  if (isPublic === true) return "public";
  const held = PERMISSIONS.find((each) => each === permission);
  const keyScope = KEY_SCOPES.find((each) => each === permission);
  return { ...(held ? { permission: held } : {}), ...(keyScope ? { keyScope } : {}) };
}

function rateTaker(clock: Clock, limit: RouteOptions["rateLimit"]): (exchange: Exchange) => void {
  if (!limit) return () => undefined;
  const limiter = new RateLimiter(clock, MAX_CALLERS, limit.windowMs);
  return (exchange) => {
    const state = limiter.take(exchange.principal?.key ?? `ip:${exchange.clientAddress}`, limit.max);
    exchange.rate = state;
    if (!state.isAllowed) throw new PrismError("RATE_LIMITED", "Too many requests", { retryAfterMs: state.waitMs(1) });
  };
}

/** @throws TypeError */
function checkPath(path: unknown): void {
  if (typeof path === "string" && path.length <= MAX_PATH && PATH.test(path)) return;
  throw new TypeError(`${JSON.stringify(path)} is no path; write it like /hooks/:name`);
}

/** @throws TypeError */
function checkHandler(handler: unknown): RouteHandler<unknown> {
  if (typeof handler !== "function") throw new TypeError("a route needs a handler");
  return handler as RouteHandler<unknown>;
}

/** A slip of the pen in the options must not open a route. @throws TypeError */
function checkOptions(given: unknown): RouteOptions {
  if (typeof given !== "object" || given === null) throw new TypeError("the options of a route must be an object");
  const options = given as RouteOptions;
  const wrong = (name: string, must: string): TypeError =>
    new TypeError(`the option ${name} of a route must be ${must}`);
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
  if (summary !== undefined && typeof summary !== "string") throw wrong("summary", "a text");
  for (const name of ["params", "query", "body", "response"] as const)
    if (options[name] !== undefined && !isSchema(options[name])) throw wrong(name, "a Standard Schema");
  return options;
}

function isWhole(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}
