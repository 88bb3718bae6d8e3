import assert from "node:assert/strict";
import test from "node:test";
import { createUser } from "../../../../src/features/access/users/create-user.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { changesOf, configure, type FileObject, problemsOf } from "./configuration.ts";

const HOSTS = { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } };
const FIELDS = {
  ...{ url: "https://127.0.0.1:8443/", topic: { env: "PRISM_SECRET_TOPIC" } },
  token: { env: "PRISM_SECRET_ROOM" },
};
const ROOM = { name: "Room", preset: "ntfy", fields: FIELDS };
const SECRETS = { "env:PRISM_SECRET_ROOM": "tk_secretofduty", "env:PRISM_SECRET_TOPIC": "duty" };

const TEAM: readonly FileObject[] = [
  ["roles", null, { name: "Duty lead", permissions: ["incidents:act"] }],
  ["people", null, { username: "ben", email: "ben@example.com", invite: true }],
  ["projects", null, { slug: "duty", name: "Duty" }],
  ["members", "duty", { ada: "owner", ben: "editor" }],
  ["channels", "duty", ROOM],
  [
    "oncall",
    "duty",
    {
      ...{ name: "Duty", timezone: "Europe/Berlin", handoverLead: "1h" },
      shifts: [
        {
          ...{ name: "Weeks", start: "2026-11-23T09:00:00", duration: "7d", recurrence: { frequency: "weekly" } },
          ...{ turns: [["ada"], ["ben"]], anchor: { on: "2026-12-07", turn: ["ben"] } },
        },
      ],
    },
  ],
  [
    "policies",
    "duty",
    {
      ...{ name: "Night", repeat: 2 },
      steps: [
        { type: "onlyIn", interval: "office" },
        { type: "notify", schedules: [{ name: "Duty" }] },
        { type: "wait", for: "5m" },
        { type: "notify", schedules: [{ name: "Duty", who: "next" }], users: ["ada"] },
        { type: "channel", name: "Room" },
      ],
    },
  ],
  [
    "routes",
    "duty",
    {
      route: {
        ...{ policy: "Night", groupBy: ["alertname"], groupWait: "0s" },
        routes: [{ matchers: ['severity="info"'], policy: "default", activeIntervals: ["office"], repeat: "1d" }],
      },
      timeIntervals: [{ name: "office", intervals: [{ weekdays: ["monday:friday"], location: "Europe/Berlin" }] }],
    },
  ],
  ["rules", "duty", { name: "Big", condition: "event.type == 'payment.failed'", targetUsers: ["ada"] }],
];

test("a plan stores nothing, an apply all, and a second apply changes nothing", async (t) => {
  const prism = await startPrism(t, HOSTS);
  await makeUser(prism, "ada");
  const planned = await configure(prism, "plan", TEAM, { secrets: SECRETS });
  assert.equal(planned.status, 200, JSON.stringify(planned.body));
  assert.deepEqual(problemsOf(planned.body), [], JSON.stringify(planned.body.problems));
  assert.deepEqual(changesOf(planned.body), [
    "create roles Duty lead",
    "create people ben",
    "create projects duty",
    "create members members",
    "create channels Room",
    "create oncall Duty",
    "create policies Night",
    "create routes routes",
    "create rules Big",
  ]);
  assert.equal((await prism.get("/api/v1/projects/duty")).status, 404);
  const applied = await configure(prism, "apply", TEAM, { secrets: SECRETS, expect: planned.body.state });
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  assert.equal((await prism.get("/api/v1/projects/duty")).status, 200);
  const again = await configure(prism, "apply", TEAM, { secrets: SECRETS });
  assert.equal(again.status, 200, JSON.stringify(again.body));
  assert.deepEqual([changesOf(again.body), again.body.unchanged, again.body.drift], [[], 9, []]);
});

test("on an empty server invited people own a new project, and nobody else is left in it", async (t) => {
  const prism = await startPrism(t);
  const files: readonly FileObject[] = [
    ["people", null, { username: "ada", email: "ada@example.com", invite: true }],
    ["people", null, { username: "ben", email: "ben@example.com", invite: true }],
    ["projects", null, { slug: "payments", name: "Payments" }],
    ["members", "payments", { ada: "owner", ben: "editor" }],
    ["policies", "payments", { name: "Night", steps: [{ type: "notify", users: ["ada"] }] }],
  ];
  const applied = await configure(prism, "apply", files);
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  const again = await configure(prism, "plan", files);
  assert.deepEqual([problemsOf(again.body), changesOf(again.body)], [[], []]);
  const { data } = (await prism.get<{ data: { userId: string }[] }>("/api/v1/projects/payments/members")).body;
  assert.equal(data.length, 2);
});

test("an export of what one source owns names it and its lock", async (t) => {
  const prism = await startPrism(t);
  const files: readonly FileObject[] = [["projects", null, { slug: "duty", name: "Duty" }]];
  assert.equal((await configure(prism, "apply", files, { source: "oncall", lock: true })).status, 200);
  const path = "/api/v1/configuration/export?project=duty";
  const { document } = (await prism.get<{ document: Record<string, unknown> }>(path)).body;
  assert.deepEqual([document["source"], document["lock"]], ["oncall", true]);
});

const DUTY: FileObject = ["projects", null, { slug: "duty", name: "Duty" }];
const beat = (name: string, more: object = {}): FileObject => ["heartbeats", "duty", { name, timeout: "1d", ...more }];

interface Listed {
  readonly data: readonly {
    readonly id: string;
    readonly name: string;
    readonly timeoutMs: number;
    readonly pingUrl: string;
  }[];
}
const beats = async (prism: TestPrism) => (await prism.get<Listed>("/api/v1/heartbeats?projectId=duty")).body.data;

test("one problem stores nothing, and each has its place", async (t) => {
  const prism = await startPrism(t);
  const wrong: readonly FileObject[] = [
    DUTY,
    beat("Nightly"),
    beat("Twice", { timeout: "soon" }),
    ["policies", "duty", { name: "Night", steps: [{ type: "notify", schedules: [{ name: "Nobody" }] }] }],
    ["boxes", "duty", { name: "x" }],
  ];
  const { status, body } = await configure(prism, "apply", wrong);
  const found = body.error.details.map(({ path, code }) => `${path} ${code}`);
  assert.deepEqual(
    [status, body.error.code, found],
    [409, "CONFIGURATION_REFUSED", [" UNKNOWN_KIND", "timeout VALUE", "steps.0.schedules.0.name NOT_FOUND"]],
  );
  assert.equal((await prism.get("/api/v1/projects/duty")).status, 404);
  const bodyProblem = await configure(prism, "apply", [DUTY, beat("Nightly"), beat("Cron", { schedule: "x x x" })]);
  assert.equal(bodyProblem.status, 409, JSON.stringify(bodyProblem.body));
  assert.equal((await prism.get("/api/v1/projects/duty")).status, 404);
});

test("a heartbeat that is renamed keeps its id and its URL; what the files lose is pruned only when asked", async (t) => {
  const prism = await startPrism(t);
  await configure(prism, "apply", [DUTY, beat("Night job"), beat("Other")]);
  const before = await beats(prism);
  const renamed = [DUTY, beat("Nightly", { renamedFrom: "Night job" })];
  const plan = await configure(prism, "plan", renamed);
  assert.deepEqual(changesOf(plan.body), ["rename heartbeats Nightly"]);
  assert.deepEqual(
    plan.body.leftOver.map(({ name }) => name),
    ["Other"],
  );
  await configure(prism, "apply", renamed);
  const kept = await beats(prism);
  const old = before.find(({ name }) => name === "Night job");
  assert.deepEqual(kept.map(({ id, name, pingUrl }) => [id === old?.id, name, pingUrl === old?.pingUrl]).sort(), [
    [false, "Other", false],
    [true, "Nightly", true],
  ]);
  const pruned = await configure(prism, "apply", renamed, { prune: true });
  assert.deepEqual(changesOf(pruned.body), ["delete heartbeats Other"]);
  assert.deepEqual(
    (await beats(prism)).map(({ name }) => name),
    ["Nightly"],
  );
});

test("prune deletes the last object of a kind, and a policy with its route in one commit", async (t) => {
  const prism = await startPrism(t);
  const policy: FileObject = ["policies", "duty", { name: "Night", steps: [{ type: "notify", members: true }] }];
  const routes = (name: string): FileObject => ["routes", "duty", { route: { policy: name } }];
  const first = await configure(prism, "apply", [DUTY, beat("Nightly"), policy, routes("Night")]);
  assert.equal(first.status, 200, JSON.stringify(first.body));
  const { status, body } = await configure(prism, "apply", [DUTY, routes("default")], { prune: true });
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(changesOf(body).sort(), [
    "delete heartbeats Nightly",
    "delete policies Night",
    "update routes routes",
  ]);
  assert.deepEqual(await beats(prism), []);
  const { body: left } = await prism.get<{ data: { name: string }[] }>("/api/v1/policies?projectId=duty");
  assert.deepEqual(
    left.data.map(({ name }) => name),
    ["default"],
  );
});

test("a change by hand is drift, which the next apply puts back", async (t) => {
  const prism = await startPrism(t);
  await configure(prism, "apply", [DUTY, beat("Nightly")]);
  const [one] = await beats(prism);
  await prism.patch(`/api/v1/heartbeats/${one?.id}`, { timeoutMs: 3_600_000 });
  const { body: listed } = await prism.get<{ data: { name: string; isDrifted: boolean }[] }>(
    "/api/v1/configuration/managed",
  );
  assert.deepEqual(
    listed.data.map(({ name, isDrifted }) => [name, isDrifted]),
    [
      ["Nightly", true],
      ["duty", false],
    ],
  );
  const { body } = await configure(prism, "apply", [DUTY, beat("Nightly")]);
  assert.deepEqual(
    body.drift.map(({ name, paths }) => [name, paths]),
    [["Nightly", ["timeout"]]],
  );
  assert.equal((await beats(prism))[0]?.timeoutMs, 86_400_000);
});

test("two owners, and a lock that is opened for a while", async (t) => {
  const prism = await startPrism(t);
  const files = [DUTY, beat("Nightly")];
  await configure(prism, "apply", files, { source: "platform", lock: true });
  const other = await configure(prism, "plan", [beat("Nightly")], { source: "payments" });
  assert.deepEqual(problemsOf(other.body), ["heartbeats Nightly OWNED_ELSEWHERE"]);
  const [one] = await beats(prism);
  const path = `/api/v1/heartbeats/${one?.id}`;
  const change = () => prism.patch<{ error: { code: string } }>(path, { timeoutMs: 3_600_000 });
  const { status, body } = await change();
  assert.deepEqual([status, body.error.code], [409, "MANAGED_BY_CODE"]);
  assert.equal((await prism.post(`${path}/pause`, {})).status, 200);
  const wish = { kind: "heartbeats", project: "duty", name: "Nightly", forMs: 3_600_000, reason: "moved" };
  assert.equal((await prism.post("/api/v1/configuration/unlock", wish)).status, 204);
  assert.equal((await change()).status, 200);
  const { body: trail } = await prism.get<{ data: { action: string; metadata: Record<string, unknown> }[] }>(
    "/api/v1/audit?action=configuration",
  );
  assert.deepEqual(
    trail.data.map(({ action, metadata: { digest: _, ...metadata } }) => [action, metadata]),
    [
      ["configuration.unlock", { kind: "heartbeats", forMs: 3_600_000, reason: "moved" }],
      ["configuration.apply", { created: 2, changed: 0, deleted: 0, source: "platform" }],
    ],
  );
  await prism.restart();
  assert.equal((await change()).status, 200);
});

test("rights are asked of each kind, and nothing is stored without all of them", async (t) => {
  const prism = await startPrism(t);
  const ben = await makeUser(prism, "ben", ["User"]);
  await configure(prism, "apply", [DUTY]);
  const added = await prism.post("/api/v1/projects/duty/members", { userId: ben.id, role: "editor" });
  assert.equal(added.status, 201);
  const policy: FileObject = ["policies", "duty", { name: "Night", steps: [{ type: "notify", members: true }] }];
  const plan = await configure(prism, "plan", [beat("Nightly"), policy], { token: ben.token });
  assert.deepEqual(plan.body.mayNot, [{ kind: "policies", project: "duty", right: "policies:write" }]);
  const applied = await configure(prism, "apply", [beat("Nightly"), policy], { token: ben.token });
  assert.deepEqual([applied.status, (await beats(prism)).length], [409, 0]);
  assert.equal((await configure(prism, "apply", [beat("Nightly")], { token: ben.token })).status, 200);
  const elsewhere = await configure(prism, "plan", [["heartbeats", "hidden", { name: "x" }]], { token: ben.token });
  assert.deepEqual(problemsOf(elsewhere.body), ["heartbeats PROJECT_NOT_FOUND"]);
});

interface Exported {
  readonly document: { readonly projects: readonly Readonly<Record<string, unknown>>[] } & Readonly<
    Record<string, unknown>
  >;
  readonly variables: readonly string[];
}

test("what is exported is what was applied, and an empty server gives the same text again", async (t) => {
  const [first, second] = [await startPrism(t, HOSTS), await startPrism(t, HOSTS)];
  await makeUser(first, "ada");
  await makeUser(second, "ada");
  const applied = await configure(first, "apply", TEAM, { secrets: SECRETS });
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  const exported = async (prism: TestPrism) =>
    (await prism.get<Exported>("/api/v1/configuration/export?project=duty")).body;
  const { document, variables } = await exported(first);
  assert.deepEqual([...variables].sort(), ["PRISM_SECRET_ROOM", "PRISM_SECRET_TOPIC"]);
  const [project = {}] = document.projects;
  const objects: FileObject[] = [TEAM[0] as FileObject, TEAM[1] as FileObject];
  const { channels = [], oncall = [], policies = [], rules = [], routes, members, ...own } = project;
  objects.push(["projects", null, own], ["members", "duty", members], ["routes", "duty", routes]);
  for (const [kind, items] of Object.entries({ channels, oncall, policies, rules }))
    for (const item of items as unknown[]) objects.push([kind, "duty", item]);
  const again = await configure(second, "apply", objects, { secrets: SECRETS });
  assert.equal(again.status, 200, JSON.stringify(again.body));
  assert.deepEqual((await exported(second)).document, document);
});

test("a person without a username is in files by the external id", async (t) => {
  const [first, second] = [await startPrism(t), await startPrism(t)];
  const steps = [{ type: "notify", users: ["crm-4711"] }];
  const documents: unknown[] = [];
  for (const prism of [first, second]) {
    const { base } = prism.parts;
    const account = { externalId: "crm-4711", email: "linus@example.com", name: "Linus", roles: [] };
    const { id } = await base.database.write((trx) => createUser(base, account, trx));
    await configure(prism, "apply", [DUTY]);
    const added = await prism.post("/api/v1/projects/duty/members", { userId: id, role: "editor" });
    assert.equal(added.status, 201, added.text);
    if (prism === first) {
      const made = await prism.post("/api/v1/policies", {
        ...{ projectId: "duty", name: "Night" },
        steps: [{ type: "notify", users: [id] }],
      });
      assert.equal(made.status, 201, made.text);
    }
    const applied = await configure(prism, "apply", [["policies", "duty", { name: "Night", steps }]]);
    assert.equal(applied.status, 200, JSON.stringify(applied.body));
    const { body } = await prism.get<Exported>("/api/v1/configuration/export?project=duty");
    documents.push(body.document.projects[0]?.["policies"]);
  }
  assert.deepEqual(documents, [[{ name: "Night", steps }], [{ name: "Night", steps }]]);
});
