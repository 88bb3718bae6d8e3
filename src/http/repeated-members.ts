import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import { type Caller, runAs } from "../core/caller.ts";
import { PrismError } from "../core/errors.ts";
import { requireAccess } from "./access.ts";
import type { Exchange } from "./exchange.ts";
import { checkShape, refusalOf } from "./input.ts";
import { defaultText } from "./issue-text.ts";
import { RawJson, Reply, type Route, type Shape } from "./route.ts";
import type { Match, Router } from "./router.ts";

type Members = Readonly<Record<string, unknown>>;

type Change = Route & { readonly body: Shape<unknown> };

/** Whether a change is refused as it came, so that {@link withoutRepeated} has to look at it. */
export function mayRepeat(route: Route, given: unknown): route is Change {
  const isChange = route.method === "PUT" || route.method === "PATCH";
  return isChange && route.body !== undefined && route.raw === undefined && !v.is(route.body, given);
}

/**
 * A body of PUT or PATCH that its own shape refuses. Clients send back what GET gave them, with members that only the server sets: those that
 * equal the current value are left out, and so are members that GET's shape marks `readOnly`, which change by themselves. What else is wrong
 * is refused. Asking for the resource costs a read, so it is done for refused bodies only.
 */
export async function withoutRepeated(
  router: Router,
  exchange: Exchange,
  route: Change,
  given: unknown,
  caller: Caller,
): Promise<unknown> {
  const issues = v.safeParse(route.body, given).issues ?? [];
  const reading = isMembers(given) ? readingOf(router, exchange, route) : null;
  const current = reading && (await runAs(caller, () => read(exchange, reading)));
  if (!current || !reading || !isMembers(given)) return checkShape(route.body, given, "body");
  const refused = new Set(issues.map(({ path }) => String(path?.[0].key)));
  const ignored = readOnlyMembers(reading.mount.route);
  const kept = Object.entries(given).filter(
    ([name, value]) => !refused.has(name) || !(ignored.has(name) || isDeepStrictEqual(value, current[name])),
  );
  const result = v.safeParse(route.body, Object.fromEntries(kept), { message: defaultText });
  if (result.success) return result.output;
  throw refusalOf(result.issues, "body", current);
}

/** The GET route of the resource that a route changes. @returns null where there is none, or the caller may not use it. */
function readingOf(router: Router, exchange: Exchange, route: Route): Match | null {
  const path = route.resource === undefined ? exchange.path : filledIn(route.resource, exchange.params);
  const match = router.find("GET", path);
  if (!match || !("mount" in match) || !exchange.principal) return null;
  try {
    requireAccess(match.mount.route.access, exchange.principal);
    return match;
  } catch {
    return null;
  }
}

async function read(exchange: Exchange, { mount: { route }, params }: Match): Promise<Members | null> {
  try {
    const query = route.query ? checkShape(route.query, {}, "query") : undefined;
    const path = route.params ? checkShape(route.params, params, "path") : undefined;
    const answer: unknown = await route.handle(exchange, { params: path, query, body: undefined });
    const body = answer instanceof Reply ? answer.body : answer;
    const value: unknown = JSON.parse(body instanceof RawJson ? body.text : JSON.stringify(body));
    return isMembers(value) ? value : null;
  } catch (error) {
    // A resource that is not there: the body is wrong all the same.
    if (error instanceof PrismError) return null;
    throw error;
  }
}

function readOnlyMembers({ response }: Route): ReadonlySet<string> {
  const entries =
    response && "entries" in response ? (response.entries as Readonly<Record<string, v.GenericSchema>>) : {};
  const names = Object.entries(entries).filter(([, schema]) => v.getMetadata(unwrapped(schema))["readOnly"] === true);
  return new Set(names.map(([name]) => name));
}

/** The schema within `optional` and `nullable`. */
function unwrapped(schema: v.GenericSchema): v.GenericSchema {
  return "wrapped" in schema ? unwrapped(schema.wrapped as v.GenericSchema) : schema;
}

function filledIn(path: string, params: Members): string {
  return path.replace(/:(\w+)/g, (_whole, name: string) => encodeURIComponent(String(params[name])));
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
