import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { changesOf, configure, type FileObject, problemsOf } from "./configuration.ts";

const LOCAL = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
const NIGHTLY: FileObject = ["heartbeats", "duty", { name: "Nightly", timeout: "1d" }];
const MEMBERS = { olga: "owner", vic: "viewer", eddy: "editor" };

async function withRole(prism: TestPrism, name: string, permissions: readonly string[]) {
  await answered(201, prism.post("/api/v1/roles", { name, description: "", permissions }));
  return makeUser(prism, name.toLowerCase(), [name]);
}

/** The project `duty` of olga, with an editor and a viewer. */
async function withDuty(prism: TestPrism, files: readonly FileObject[], options = {}) {
  const [viewer, editor, owner] = [
    await makeUser(prism, "vic"),
    await makeUser(prism, "eddy"),
    await makeUser(prism, "olga"),
  ];
  const project: FileObject = ["projects", null, { slug: "duty", name: "Duty" }];
  await answered(200, configure(prism, "apply", [project, ["members", "duty", MEMBERS], ...files], options));
  return { viewer, editor, owner };
}

test("a plan names nothing left over of kinds that the caller may not read", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const weekly: FileObject = ["heartbeats", "duty", { name: "Weekly", timeout: "7d" }];
  const files: readonly FileObject[] = [
    ["webhooks", "duty", { url: "https://127.0.0.1:8443/hook/secret-path", eventTypes: ["*"] }],
    weekly,
    ["roles", null, { name: "Secret role", description: "", permissions: ["events:read"] }],
    ["buckets", null, { name: "Secret EUR", threshold: "1" }],
    ["rules", null, { name: "Secret rule", condition: "event.type == 'x'", targetRoles: ["Admin"] }],
  ];
  const { viewer } = await withDuty(prism, [NIGHTLY, ...files], { issued: true });
  const asked: readonly FileObject[] = [
    NIGHTLY,
    ["roles", null, { name: "x", description: "", permissions: [] }],
    ["buckets", null, { name: "x EUR", threshold: "1" }],
    ["rules", null, { name: "x", condition: "event.type == 'x'" }],
  ];
  const plan = await answered(200, configure(prism, "plan", asked, { token: viewer.token }));
  assert.deepEqual(
    plan.body.leftOver.map(({ name }) => name),
    ["Weekly"],
  );
  assert.doesNotMatch(plan.text, /secret/i);
  const all = await answered(200, configure(prism, "plan", asked));
  assert.equal(all.body.leftOver.length, files.length);
});

test("who creates projects needs no right to read those of others", async (t) => {
  const prism = await startPrism(t);
  const { token } = await withRole(prism, "Maker", ["projects:create"]);
  await answered(201, prism.post("/api/v1/projects", { name: "Hidden" }));
  const own = (name: string): FileObject => ["projects", null, { slug: "own", name }];
  const beat: FileObject = ["heartbeats", "own", { name: "Nightly", timeout: "1d" }];
  for (const name of ["Own", "Renamed"]) {
    const plan = await answered(200, configure(prism, "plan", [own(name), beat], { token }));
    assert.deepEqual(problemsOf(plan.body), []);
    await answered(200, configure(prism, "apply", [own(name), beat], { token, expect: plan.body.state }));
  }
  const again = await answered(200, configure(prism, "plan", [own("Renamed"), beat], { token }));
  assert.deepEqual([changesOf(again.body), again.body.unchanged], [[], 2]);
});

test("a plan tells those who create no projects the same of a hidden one as of none", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "vic");
  await answered(201, prism.post("/api/v1/projects", { name: "Hidden", slug: "secret" }));
  const answers = [];
  for (const slug of ["secret", "absent"]) {
    const files: readonly FileObject[] = [
      ["projects", null, { slug, name: "x" }],
      ["members", slug, { vic: "owner" }],
      ["heartbeats", slug, { name: "Nightly", timeout: "1d" }],
    ];
    const { text, body } = await answered(200, configure(prism, "plan", files, { token }));
    assert.deepEqual(problemsOf(body), ["members PROJECT_NOT_FOUND", "heartbeats PROJECT_NOT_FOUND"]);
    answers.push(text.replaceAll(slug, "SLUG"));
  }
  assert.equal(answers[0], answers[1]);
});

test("an editor neither ends a lock by an apply of the same source, nor sets one", async (t) => {
  const prism = await startPrism(t);
  const role: FileObject = ["roles", null, { name: "Duty lead", description: "", permissions: ["events:read"] }];
  const { editor, owner } = await withDuty(prism, [NIGHTLY, role], { lock: true });
  const { token: manager } = await withRole(prism, "Roles", ["roles:read", "roles:manage", "events:read"]);
  const changed: FileObject = ["heartbeats", "duty", { name: "Nightly", timeout: "9d" }];
  const other: FileObject = ["heartbeats", "duty", { name: "Other", timeout: "1d" }];
  const changedRole: FileObject = ["roles", null, { name: "Duty lead", description: "x", permissions: [] }];
  const lacked = async (files: readonly FileObject[], options: Readonly<Record<string, unknown>>) => {
    const plan = await answered(200, configure(prism, "plan", files, options));
    const { body } = await answered(409, configure(prism, "apply", files, options));
    assert.equal(body.error.code, "CONFIGURATION_REFUSED");
    return plan.body.mayNot.map(({ kind, right }) => `${kind} ${right}`);
  };
  const { token } = editor;
  const heartbeats = ["heartbeats project:manage"];
  assert.deepEqual(await lacked([changed], { token }), heartbeats);
  assert.deepEqual(await lacked([changed], { token, lock: true }), heartbeats);
  assert.deepEqual(await lacked([NIGHTLY], { token }), heartbeats);
  assert.deepEqual(await lacked([other], { token, source: "eddy", lock: true }), heartbeats);
  assert.deepEqual(await lacked([other], { token, prune: true, allowDeletes: 1 }), heartbeats);
  assert.deepEqual(await lacked([changedRole], { token: manager }), ["roles projects:all"]);
  // An unlock for a while is for changes by hand: it ends, an apply without a lock would not.
  const unlock = { kind: "heartbeats", project: "duty", name: "Nightly", forMs: 3_600_000, reason: "night" };
  await answered(204, prism.post("/api/v1/configuration/unlock", unlock, { token }));
  assert.deepEqual(await lacked([changed], { token }), heartbeats);
  await answered(200, configure(prism, "apply", [other], { token, source: "eddy" }));
  await answered(200, configure(prism, "apply", [changed], { token: owner.token, lock: true }));
});

test("nobody but the directory of the server applies its source", async (t) => {
  const dir = temporaryDir(t);
  const text = "version: 1\nprojects:\n  - { slug: duty, name: Duty, heartbeats: [{ name: Nightly, timeout: 1d }] }\n";
  writeFileSync(join(dir, "duty.yaml"), text);
  const prism = await startPrism(t, { settings: { "configuration.dir": dir } });
  const changed: FileObject = ["heartbeats", "duty", { name: "Nightly", timeout: "9d" }];
  const refused = await answered(409, configure(prism, "apply", [changed], { source: "dir" }));
  assert.match(refused.body.error.message, /the directory that the server reads/);
  const plan = await answered(200, configure(prism, "plan", [changed], { source: "dir" }));
  assert.deepEqual(changesOf(plan.body), ["update heartbeats Nightly"]);
  const { body } = await prism.get<{ data: { isLocked: boolean; isDrifted: boolean }[] }>(
    "/api/v1/configuration/managed?kind=heartbeats",
  );
  assert.deepEqual(
    body.data.map(({ isLocked, isDrifted }) => [isLocked, isDrifted]),
    [[true, false]],
  );
});

test("a member called constructor is stored, and labels that cannot be are a problem", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "constructor");
  await withDuty(prism, []);
  const members: FileObject = ["members", "duty", { ...MEMBERS, constructor: "editor" }];
  const { body } = await answered(200, configure(prism, "apply", [members]));
  assert.deepEqual(
    body.changes.map(({ members }) => members),
    [[{ path: "members.constructor", after: "editor" }]],
  );
  const stored = await prism.get("/api/v1/projects/duty/members");
  assert.match(stored.text, /"constructor"/);
  const again = await answered(200, configure(prism, "plan", [members]));
  assert.equal(again.body.unchanged, 1);
  const wrong = await answered(200, configure(prism, "plan", [["members", "duty", { vic: "boss" }]]));
  assert.deepEqual(problemsOf(wrong.body), ["members members vic VALUE"]);
  for (const labels of [{ constructor: "x" }, JSON.parse('{"__proto__":"x"}') as object]) {
    const beat: FileObject = ["heartbeats", "duty", { name: "Labels", timeout: "1d", labels }];
    const refused = await answered(200, configure(prism, "plan", [beat]));
    assert.deepEqual(problemsOf(refused.body), [`heartbeats Labels labels.${Object.keys(labels)[0]} VALUE`]);
  }
});

test("a secret given by reference has the form of its member, and no problem quotes it", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  await withDuty(prism, []);
  const value = { env: "PRISM_SECRET_A" };
  const files: readonly FileObject[] = [
    ["receivers", "duty", { name: "R", preset: "grafana", token: value }],
    ["receivers", "duty", { name: "S", preset: "grafana", secret: value, token: { env: "PRISM_SECRET_TOKEN" } }],
    ["integrations", "duty", { name: "I", kind: "pagerduty", key: value }],
    ["heartbeats", "duty", { name: "H", timeout: "1d", ping: value }],
  ];
  const secrets = { "env:PRISM_SECRET_A": "q~q", "env:PRISM_SECRET_TOKEN": "t".repeat(32) };
  const plan = await answered(200, configure(prism, "plan", files, { secrets }));
  assert.deepEqual(problemsOf(plan.body), [
    ...["receivers R token VALUE", "receivers S secret VALUE", "integrations I key VALUE"],
    "heartbeats H ping VALUE",
  ]);
  const refused = await answered(409, configure(prism, "apply", files, { secrets }));
  assert.doesNotMatch(plan.text + refused.text, /q~q/);
  const long = { "env:PRISM_SECRET_A": `https://127.0.0.1/${"z".repeat(3000)}` };
  const calendar: FileObject = ["oncall", "duty", { name: "Duty", calendarUrl: value }];
  const room: FileObject = [
    ...(["channels", "duty"] as const),
    { name: "Room", preset: "ntfy", fields: { url: "https://127.0.0.1:1", topic: value } },
  ];
  const other = await answered(200, configure(prism, "plan", [calendar], { secrets: long }));
  assert.deepEqual(problemsOf(other.body), ["oncall Duty calendarUrl VALUE"]);
  const field = { "env:PRISM_SECRET_A": "z".repeat(60_000) };
  const topic = await answered(200, configure(prism, "plan", [room], { secrets: field }));
  assert.deepEqual(problemsOf(topic.body), ["channels Room fields.topic VALUE"]);
  assert.doesNotMatch(other.text + topic.text, /zzz/);
});

test("who may not apply many shifts does not hold up others with a plan of them", async (t) => {
  const prism = await startPrism(t);
  await withDuty(prism, []);
  const vic = await makeUser(prism, "vera");
  const role = { userId: vic.id, role: "viewer" };
  await answered(201, prism.post("/api/v1/projects/duty/members", role));
  const duty = (count: number): FileObject => [
    "oncall",
    "duty",
    {
      ...{ name: "Duty", timezone: "UTC" },
      shifts: Array.from({ length: count }, (_, at) => ({
        ...{ name: `S${at}`, start: "2026-01-05T09:00:00", duration: "1d", turns: [["vera"]] },
        recurrence: { frequency: "weekly" },
      })),
    },
  ];
  await answered(200, configure(prism, "apply", [duty(1)]));
  const { token } = vic;
  const few = await answered(200, configure(prism, "plan", [duty(0)], { token }));
  assert.ok(few.body.onCall.length > 0);
  const many = await answered(200, configure(prism, "plan", [duty(51)], { token }));
  assert.deepEqual([many.body.onCall, many.body.history], [[], null]);
  const tooMany = await answered(200, configure(prism, "plan", [duty(201)]));
  assert.deepEqual(
    problemsOf(tooMany.body).map((each) => each.split(" ").at(-1)),
    ["LIMIT_REACHED"],
  );
});
