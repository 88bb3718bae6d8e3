import assert from "node:assert/strict";
import test from "node:test";
import { WebSocket } from "ws";
import type { Mount } from "../../src/http/router.ts";
import { overSocket } from "../helpers/control.ts";
import type { ClientReply } from "../helpers/http-client.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { ACCESS } from "./support/access/index.ts";
import { ANYBODY, type Caller, type Known, ROLES } from "./support/access/known.ts";
import { UPGRADES } from "./support/access/realtime.ts";
import { HOLDERS } from "./support/access/refusals.ts";
import type { Refusal, Request, Row } from "./support/access/row.ts";
import { type AccessWorld, makeAccessWorld } from "./support/access/world.ts";
import { errorCodeOf } from "./support/raw-connection.ts";

/** Requests at the same time: as many as the slots that a principal has at most, where a route has such. */
const AT_ONCE = 4;
/** Closes what development opens to this machine (D10): the matrix is about credentials. */
const FORWARDED = { Via: "1.1 test" };
const SETTINGS = {
  "rateLimit.enabled": "false",
  "auth.bcryptCost": "4",
  // A busy machine needs longer than a token lives.
  "auth.accessExpires": "1d",
  "limits.schedulesPerUser": "100000",
  "limits.onCallSchedulesPerProject": "100000",
};

test("S2-97, S2-20, S2-21, S2-22, S0-22: every route admits exactly those whom the contract names, by every path", async (t) => {
  keepsPromise(t, ["S2-107", "S2-20", "S2-21", "S2-97"]);
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
        wrong.push(
          ...(await differencesOf(world, mount, row, callersOf(world, mount, row, { isFirst: at === 0, route }))),
        );
      }
      assert.deepEqual(wrong, []);
    });
  }
});

test("the operator, by the control socket, may do what an Admin may, but for what is about the caller's own account", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const world = await makeAccessWorld(prism);
  const refused = new Set<string>();
  for (const { route, path, isAlias } of prism.parts.core.router.mounts) {
    if (isAlias) continue;
    const key = `${route.method} ${path}`;
    await t.test(key, async () => {
      for (const row of ACCESS[key] ?? []) {
        const expected = row.isPublic || row.isOperators ? null : row.refusal(OPERATOR);
        const request = await row.request(world, OPERATOR, expected === null && !ABOUT_ME.has(key));
        const reply = await overSocket(prism.dir, request.method ?? route.method, request.path, request.body);
        const { error, prism: own } = reply.body as {
          error?: string | null | { message?: string; code?: string };
          prism?: string;
        };
        // Foreign APIs have their own form of errors, with Prism's code in the member `prism`.
        const { message, code = "" } =
          typeof error === "object" && error !== null ? error : { code: reply.status < 400 ? "" : own };
        if (message?.startsWith("The operator has no account")) refused.add(key);
        else {
          const outcome = [reply.status, code];
          assert.deepEqual(outcome, expected ?? row.served ?? [reply.status, ""], reply.text);
        }
      }
    });
  }
  assert.deepEqual([...refused].sort(), [...ABOUT_ME].sort());
});

test("S2-97, S1-39: a WebSocket is opened for exactly those who may follow, and other callers get an HTTP status", async (t) => {
  keepsPromise(t, "S2-97");
  const prism = await startPrism(t, { settings: SETTINGS });
  const world = await makeAccessWorld(prism);
  for (const { path, refusal } of UPGRADES) {
    const target = path(world);
    await t.test(target.replace(world.shop, ":projectId"), async () => {
      const wrong: string[] = [];
      for (const caller of world.callers) {
        const expected = caller.kind === "refused" ? [caller.status, caller.code] : refusal(caller);
        const outcome = await upgradeOutcome(prism.wsUrl + target, caller.headers);
        if (outcome !== (expected?.join(" ") ?? "open")) wrong.push(`${caller.name}: ${outcome}`);
      }
      assert.deepEqual(wrong, []);
    });
  }
});

test("S2-97, S2-21: the built-in roles have the permissions of the contract's table, and no others", async (t) => {
  keepsPromise(t, ["S2-21", "S2-97"]);
  const prism = await startPrism(t);
  const { body } = await prism.get<{ data: { name: string; permissions: string[] }[] }>("/api/v1/roles");
  const holders = Object.entries<readonly string[]>(HOLDERS);
  for (const role of ROLES) {
    const expected = holders.filter(([, names]) => names.includes(role)).map(([permission]) => permission);
    const found = body.data.find(({ name }) => name === role)?.permissions ?? [];
    assert.deepEqual([...found].sort(), expected.sort(), role);
  }
});

/** Holds every permission, is a member of no project. */
const OPERATOR: Known = { kind: "user", role: "Admin", member: null, id: "", scopes: null };
/** Routes about the caller's own objects; of some only requests that name no user, or `me`. */
const ABOUT_ME = new Set([
  "POST /api/v1/ntfy/topics",
  "GET /api/v1/oncall/days-off",
  "POST /api/v1/drills",
  "GET /api/v1/drills/ways",
  "GET /api/v1/drills/preferences",
  "PUT /api/v1/drills/preferences",
  "GET /api/v1/oncall/preferences",
  "PUT /api/v1/oncall/preferences",
  "POST /api/v1/oncall/preferences/calendar-link",
  "DELETE /api/v1/oncall/preferences/calendar-link",
  "GET /api/v1/auth/sessions",
  "DELETE /api/v1/auth/sessions/:id",
  "POST /api/v1/messages",
  "GET /api/v1/messages",
  "GET /api/v1/notifications",
  "POST /api/v1/notifications",
  "GET /api/v1/notifications/user/:userId",
  "GET /api/v1/notifications/missed",
  "GET /api/v1/notifications/unread-count",
  "POST /api/v1/notifications/read-all",
  "POST /api/v1/realtime/ticket",
  "PATCH /api/v1/notifications/:id/read",
  "PUT /api/v1/notifications/:id/acknowledge",
  "POST /api/v1/notifications/:id/webview-action",
  "DELETE /api/v1/notifications/:id",
  "GET /api/v1/users/me/preferences",
  "PUT /api/v1/users/me/preferences",
  "PUT /api/v1/users/me/push-tokens",
  "GET /api/v1/users/me/contact-rules",
  "PUT /api/v1/users/me/contact-rules",
  "GET /api/v1/users/me/push-subscriptions",
  "POST /api/v1/users/me/push-subscriptions",
  "DELETE /api/v1/users/me/push-subscriptions/:id",
  "POST /api/v1/users/me/push-subscriptions/:id/test",
  "GET /api/v1/users/me/invitations",
  "POST /api/v1/users/me/invitations",
  "POST /api/v1/users/me/invitations/:invitationId/accept",
  "DELETE /api/v1/users/me/invitations/:invitationId",
  "POST /api/v1/projects/:id/members",
  "GET /api/v1/users/me/pusher-auth",
  "POST /api/v1/users/me/pusher-auth",
  "POST /api/v1/users/me/pusher-user-auth",
  "GET /api/v1/tasks",
  "POST /api/v1/tasks",
  "PUT /api/v1/tasks/:id",
  "PATCH /api/v1/tasks/:id",
  "DELETE /api/v1/tasks/:id",
  "GET /api/v1/time/convert",
  "POST /api/v1/time/trigger",
  "GET /api/v1/users/me",
  "PUT /api/v1/users/me",
  "PATCH /api/v1/profile",
  "PUT /api/v1/users/me/password",
  "POST /api/v1/users/me/second-factor",
  "POST /api/v1/users/me/second-factor/confirm",
  "POST /api/v1/users/me/second-factor/recovery-codes",
  "DELETE /api/v1/users/me/second-factor",
  "GET /api/v1/users/me/tokens",
  "POST /api/v1/users/me/tokens",
  "DELETE /api/v1/users/me/tokens/:tokenId",
  "GET /api/v1/channels",
  "POST /api/v1/channels",
  "GET /api/v1/webhooks",
  "POST /api/v1/webhooks",
]);

/** `open`, or the status and code of the refusal. */
function upgradeOutcome(url: string, headers: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers });
    socket.on("error", reject);
    socket.on("open", () => {
      socket.terminate();
      resolve("open");
    });
    socket.on("unexpected-response", (_request, response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => {
        const { error } = JSON.parse(text) as { error: { code: string } };
        resolve(`${response.statusCode} ${error.code}`);
      });
    });
  });
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
