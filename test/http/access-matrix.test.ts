import assert from "node:assert/strict";
import test from "node:test";
import { WebSocket } from "ws";
import { overSocket } from "../helpers/control.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { ACCESS } from "./support/access/index.ts";
import { type Known, ROLES } from "./support/access/known.ts";
import { routesAdmitWhomTheyShould, SETTINGS } from "./support/access/matrix.ts";
import { UPGRADES } from "./support/access/realtime.ts";
import { HOLDERS } from "./support/access/refusals.ts";
import { makeAccessWorld } from "./support/access/world.ts";

/* A fifth of the callers asks each route, others at the next; access-matrix-others.test.ts has the rest. */

test("S2-97, S2-20, S2-21, S2-22, S0-22: every route admits exactly those whom the contract names, by every path", async (t) => {
  keepsPromise(t, ["S2-107", "S2-20", "S2-21", "S2-97"]);
  await routesAdmitWhomTheyShould(t, (caller, route) => (Math.floor(caller / 3) + route) % 5 === 0);
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
  "GET /api/v1/users/me/passkeys",
  "POST /api/v1/users/me/passkeys",
  "POST /api/v1/users/me/passkeys/begin",
  "POST /api/v1/users/me/passkeys/proof",
  "GET /api/v1/users/me/identities",
  "POST /api/v1/users/me/identities",
  "DELETE /api/v1/users/me/identities/:identityId",
  "GET /api/v1/incidents/counts",
  "PATCH /api/v1/users/me/passkeys/:passkeyId",
  "DELETE /api/v1/users/me/passkeys/:passkeyId",
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
