import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { dumpOf } from "./support/dump.ts";
import { HOSTS, send } from "./support/files.ts";

const [DUTY, HOOK] = ["duty", "https://127.0.0.1:8443/hooks/abcdefghijklmnopqrstuvwxyz"];
const RULE = { name: "Big", condition: "event.type == 'a'", targetRoles: ["Admin"] };
const TIMER = { queue: "timers", kind: "timer", payload: { action: { type: "event", event: "a.b" } } };

type Role = "viewer" | "editor" | "owner";
const EDITORS: readonly Role[] = ["editor", "owner"];
const OWNERS: readonly Role[] = ["owner"];
const NO_ONE: readonly Role[] = [];

/** An object of each kind, and who may store it besides an administrator: roles in the project, for users without rights of the server. */
const ROWS: Readonly<Record<string, readonly [mayStore: readonly Role[], spec: object]>> = {
  "server roles": [NO_ONE, { name: "Duty lead", permissions: ["incidents:act"] }],
  "server people": [NO_ONE, { username: "cy", email: "cy@example.com", invite: true }],
  "server rules": [NO_ONE, RULE],
  "server buckets": [NO_ONE, { name: "Refunds EUR", threshold: "5" }],
  "server jobs": [NO_ONE, { ...TIMER, name: "Morning", cron: "0 9 * * *" }],
  "server projects": [OWNERS, { slug: DUTY, name: "Renamed" }],
  "project members": [OWNERS, { dev: "owner", owner: "owner", editor: "viewer", viewer: "viewer" }],
  "project channels": [EDITORS, { name: "Room", preset: "mattermost", fields: { url: { env: "PRISM_SECRET_ROOM" } } }],
  "project oncall": [OWNERS, { name: "Duty" }],
  "project policies": [OWNERS, { name: "Night" }],
  "project routes": [OWNERS, { route: { policy: "default", groupWait: "10s" } }],
  "project rules": [OWNERS, RULE],
  "project heartbeats": [EDITORS, { name: "Nightly" }],
  "project receivers": [EDITORS, { name: "Grafana", preset: "generic" }],
  "project integrations": [OWNERS, { name: "Old", kind: "pagerduty" }],
  // It needs webhooks:manage of the server, too.
  "project webhooks": [NO_ONE, { url: HOOK, eventTypes: ["*"] }],
  "project statusPage": [OWNERS, { enabled: false, title: "Shop" }],
  "project ntfyTopics": [EDITORS, { name: "backups", kind: "events", patterns: ["backup.*"] }],
  "project ntfyAccess": [OWNERS, { users: { viewer: { alerts: "read" } } }],
};

test("each kind is stored only by those who have its right, and all that is missing is named", async (t) => {
  const prism = await startPrism(t, HOSTS);
  const kinds = await prism.parts.features.context.configKinds({});
  assert.deepEqual(
    kinds.map(({ scope, kind }) => `${scope} ${kind}`).sort(),
    Object.keys(ROWS).sort(),
    "a row of each",
  );
  const project = { kind: "projects", spec: { slug: DUTY, name: "Duty" }, at: "a.yaml:1:1" };
  assert.equal((await send(prism, "apply", { objects: [project] })).status, 200);
  const tokens: Record<string, string> = { admin: prism.adminToken };
  for (const role of ["viewer", "editor", "owner"]) {
    const { id, token } = await makeUser(prism, role, ["User"]);
    await answered(201, prism.post(`/api/v1/projects/${DUTY}/members`, { userId: id, role }));
    tokens[role] = token;
  }
  tokens["stranger"] = (await makeUser(prism, "stranger", ["User"])).token;
  const reading = { name: "reads", scopes: ["events:read", "rules:read"] };
  tokens["token that reads"] = (await prism.post<{ token: string }>("/api/v1/users/me/tokens", reading)).body.token;
  const all = kinds.map((kind, index) => {
    const [mayStore, spec] = ROWS[`${kind.scope} ${kind.kind}`] ?? [NO_ONE, {}];
    const object = { kind: kind.kind, spec, at: `a.yaml:${index + 1}:1` };
    return { mayStore, object: kind.scope === "project" ? { ...object, project: DUTY } : object };
  });
  const secrets = { "env:PRISM_SECRET_ROOM": HOOK };
  const before = dumpOf(prism);
  for (const [role, token] of Object.entries(tokens)) {
    const refused: object[] = [];
    for (const { mayStore, object } of all) {
      const what = `${role}: ${object.kind} ${JSON.stringify(object.spec)}`;
      const { body } = await send(prism, "plan", { objects: [object] }, { secrets, token });
      if (role === "admin" || mayStore.some((each) => each === role)) {
        assert.deepEqual([body.problems, body.mayNot, body.changes.length], [[], [], 1], what);
        continue;
      }
      assert.ok(body.problems.length + body.mayNot.length > 0, what);
      const applied = await send(prism, "apply", { objects: [object] }, { secrets, token });
      assert.deepEqual([applied.status, applied.body.error.code], [409, "CONFIGURATION_REFUSED"], what);
      const codes = applied.body.error.details.map(({ code }) => code);
      // Whoever makes projects learns only that the slug is taken.
      if (role === "stranger" && object.kind === "projects") assert.deepEqual(codes, ["NAME_TAKEN"], what);
      else refused.push(object);
    }
    if (refused.length > 0) {
      const { body } = await send(prism, "apply", { objects: all.map(({ object }) => object) }, { secrets, token });
      const named = new Set(body.error.details.map((detail) => `${detail.kind} ${detail.project}`));
      for (const { kind, project = null } of refused as { kind: string; project?: string }[])
        assert.ok(named.has(`${kind} ${project}`), `${role}: ${kind} is not among ${[...named].join(", ")}`);
    }
    assert.deepEqual(dumpOf(prism), before, role);
  }
  const { body: key } = await prism.post<{ key: string }>(`/api/v1/projects/${DUTY}/keys`, { name: "sends" });
  const ofKey = await prism.post("/api/v1/configuration", { mode: "plan", objects: [] }, { apiKey: key.key });
  assert.ok([401, 403].includes(ofKey.status), ofKey.text);
});
