import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Mount } from "../../../../src/http/server/router.ts";
import type { ClientReply } from "../../../helpers/http-client.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { errorCodeOf } from "../raw-connection.ts";
import { ACCESS } from "./index.ts";
import { ANYBODY, type Caller } from "./known.ts";
import type { Refusal, Request, Row } from "./row.ts";
import { type AccessWorld, makeAccessWorld } from "./world.ts";

/** Requests at the same time: as many as the slots that a principal has at most, where a route has such. */
const AT_ONCE = 4;
/** Closes what development opens to this machine (D10): the matrix is about credentials. */
const FORWARDED = { Via: "1.1 test" };
export const SETTINGS = {
  "rateLimit.enabled": "false",
  "auth.bcryptCost": "4",
  // A busy machine needs longer than a token lives.
  "auth.accessExpires": "1d",
  "limits.schedulesPerUser": "100000",
  "limits.onCallSchedulesPerProject": "100000",
};

/**
 * Asks every route as the callers that `isAsking` chooses by their place and that of the route.
 * Every route of the router has a row, and each row a route.
 */
export async function routesAdmitWhomTheyShould(
  t: TestContext,
  isAsking: (caller: number, route: number) => boolean,
): Promise<void> {
  const prism = await startPrism(t, { settings: SETTINGS });
  const world = await makeAccessWorld(prism);
  const { mounts } = prism.parts.core.router;
  const found = Object.keys(ACCESS).filter((key) => !mounts.some((mount) => keyOf(mount) === key));
  assert.deepEqual(found, [], "rows of routes that do not exist");
  for (const [route, mount] of mounts.entries()) {
    await t.test(`${mount.route.method} ${mount.path}`, async () => {
      const rows = ACCESS[keyOf(mount)];
      assert.ok(rows, "the table says nothing of this route");
      const wrong: string[] = [];
      for (const [at, row] of rows.entries()) {
        const all = callersOf(world, mount, row, { isFirst: at === 0, route });
        const asking = all.filter((caller) => isAsking(world.callers.indexOf(caller), route));
        wrong.push(...(await differencesOf(world, mount, row, asking)));
      }
      assert.deepEqual(wrong, []);
    });
  }
}

function keyOf({ route }: Mount): string {
  return `${route.method} ${route.path}`;
}

/** What a caller must not get, or null when the caller is served. */
function refusalOf(row: Row, caller: Caller): Refusal | null {
  if (row.isPublic) return row.refusesInvalid && isInvalid(caller) ? [401, "UNAUTHENTICATED"] : null;
  return caller.kind === "refused" ? [caller.status, caller.code] : row.refusal(caller);
}

/**
 * - Credentials are checked before the rest of a route: callers without valid ones ask its first row.
 * - Of users with a role and a membership, every third is served where that changes something or the
 *   route is public: other ones at the next route. Those with only one of both ask each route.
 * - An alias shares the whole route: one caller per expected answer asks by that path.
 */
function callersOf(
  { callers }: AccessWorld,
  { route, isAlias }: Mount,
  row: Row,
  place: { readonly isFirst: boolean; readonly route: number },
): readonly Caller[] {
  const asking = callers.filter((caller, at) => {
    if (caller.kind === "refused") return row.isPublic || place.isFirst;
    if (caller.kind === "key" || caller.role === null || caller.member === null) return true;
    const changesNothing = refusalOf(row, caller) !== null || (route.method === "GET" && !row.isPublic);
    return changesNothing || at % 3 === place.route % 3;
  });
  if (!isAlias) return asking;
  const answers = new Map(asking.map((caller) => [`${caller.kind} ${refusalOf(row, caller)?.join(" ")}`, caller]));
  return [...answers.values()];
}

/**
 * Requests that change nothing are sent at the same time, about the same object, unless the row builds
 * one for each caller. The others are sent one after the other.
 */
async function differencesOf(world: AccessWorld, mount: Mount, row: Row, asking: readonly Caller[]): Promise<string[]> {
  const callers = asking.map((caller) => ({ caller, refusal: refusalOf(row, caller) }));
  const isReading = mount.route.method === "GET";
  const changesNothing = ({ refusal }: (typeof callers)[number]): boolean => refusal !== null || isReading;
  const still = callers.filter(changesNothing);
  let common: Promise<Request> | undefined;
  const requestOf = (caller: Caller, isServed: boolean): Request | Promise<Request> => {
    const known = caller.kind === "refused" ? ANYBODY : caller;
    if (row.request.length > 1 || (isServed && !isReading)) return row.request(world, known, isServed);
    common ??= Promise.resolve(row.request(world, known, isServed));
    return common;
  };
  const differences: (string | null)[] = [];
  for (let at = 0; at < still.length; at += AT_ONCE) {
    const some = still.slice(at, at + AT_ONCE);
    const ask = async ({ caller, refusal }: (typeof callers)[number]): Promise<string | null> =>
      differenceOf(world, mount, row, caller, refusal, await requestOf(caller, refusal === null));
    differences.push(...(await Promise.all(some.map(ask))));
  }
  for (const { caller, refusal } of callers.filter((one) => !changesNothing(one)))
    differences.push(await differenceOf(world, mount, row, caller, refusal, await requestOf(caller, true)));
  return differences.filter((difference) => difference !== null);
}

async function differenceOf(
  world: AccessWorld,
  mount: Mount,
  row: Row,
  caller: Caller,
  expected: Refusal | null,
  request: Request,
): Promise<string | null> {
  const path = mount.isAlias ? aliasOf(mount, request.path) : request.path;
  const method = request.method ?? mount.route.method;
  const response = await world.prism.client.send(world.prism.url + path, {
    method,
    headers: { ...FORWARDED, ...caller.headers, ...(request.body ? { "Content-Type": "application/json" } : {}) },
    ...(request.body ? { body: JSON.stringify(request.body) } : {}),
  });
  const outcome = expected ?? row.served ?? null;
  if (isAsExpected(response, outcome, method)) return null;
  return `${caller.name}: ${response.status} ${response.text.slice(0, 200)} in place of ${outcome?.join(" ") ?? "success"}`;
}

/** Of two credentials the one in `Authorization` counts, and it is valid. */
function isInvalid(caller: Caller): boolean {
  if (caller.kind !== "refused" || caller.status === 400) return false;
  return /^Bearer/.test(caller.headers["Authorization"] ?? "") || "X-API-Key" in caller.headers;
}

function isAsExpected({ status: got, text }: ClientReply, expected: Refusal | null, method: string): boolean {
  if (expected === null) return got < 400;
  const [status, code] = expected;
  if (got !== status) return false;
  if (method === "HEAD") return true;
  return (errorCodeOf({ body: text || "{}" }) ?? "") === code;
}

/** The request's path as the alias has it: same parameters, in the same order. */
function aliasOf({ route, path }: Mount, target: string): string {
  const [given = "", query] = target.split("?");
  const segments = given.split("/");
  const values = route.path.split("/").flatMap((part, at) => (part.startsWith(":") ? [segments[at] ?? ""] : []));
  const aliased = path.replace(/:\w+/g, () => values.shift() ?? "");
  return query === undefined ? aliased : `${aliased}?${query}`;
}
