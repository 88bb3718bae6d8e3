import assert from "node:assert/strict";
import test from "node:test";
import { deferred, LoopTurns } from "../../../../src/core/promises.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { MailServer } from "../../access/sessions/support/mail-server.ts";
import { changesOf, configure, type FileObject } from "./configuration.ts";

const duty: FileObject = ["projects", null, { slug: "duty", name: "Duty" }];
const beat = (name: string, more: object = {}): FileObject => ["heartbeats", "duty", { name, timeout: "1d", ...more }];
const receiver: FileObject = ["receivers", "duty", { name: "Backups", preset: "generic" }];

test("a repeated apply does nothing twice, and has the new URLs again", async (t) => {
  const prism = await startPrism(t);
  const headers = { "Idempotency-Key": "k1" };
  const options = { issued: true, source: "platform" };
  const first = await answered(200, configure(prism, "apply", [duty, receiver, beat("A")], options, headers));
  const [issued] = first.body.issued;
  assert.match(issued?.values["url"] ?? "", /^http.*\/in\/[A-Za-z0-9_-]{32}$/);
  const again = await answered(200, configure(prism, "apply", [duty, receiver, beat("A")], options, headers));
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  const { state, issued: urls, counts } = first.body;
  assert.deepEqual(counts, { created: 3, changed: 0, deleted: 0 });
  assert.deepEqual(again.body, {
    ...{ state, isApplied: true, changes: [], counts, unchanged: 0, leftOver: [], drift: [], problems: [] },
    ...{ mayNot: [], onCall: [], issued: urls, warnings: [], kept: [], open: [], history: null, runtime: null },
  });
  const { db } = prism.parts.features.core;
  const rows = await db.read.selectFrom("idempotency_keys").selectAll().execute();
  assert.deepEqual([rows.length, JSON.stringify(rows).includes(issued?.values["url"] ?? "")], [1, false]);
  assert.equal((await configure(prism, "apply", [duty], options, headers)).status, 422);
  // A plan stores nothing, and so is made again.
  const planned = { "Idempotency-Key": "k2" };
  for (const changes of [["create heartbeats B"], []]) {
    const { body } = await configure(prism, "plan", [beat("B")], {}, planned);
    assert.deepEqual(changesOf(body), changes);
    await configure(prism, "apply", [beat("B")]);
  }
  const refused = { "Idempotency-Key": "k3" };
  assert.equal((await configure(prism, "apply", [beat("C", { timeout: "x" })], {}, refused)).status, 409);
  assert.equal((await db.read.selectFrom("idempotency_keys").selectAll().execute()).length, 1);
});

test("a caller has one plan or apply at a time, and all together two", async (t) => {
  const prism = await startPrism(t);
  const users = [await makeUser(prism, "ben", ["Admin"]), await makeUser(prism, "cy", ["Admin"])];
  const writer = deferred<void>();
  const held = prism.parts.features.core.db.write(() => writer.promise);
  const plan = (token?: string) =>
    configure(prism, "plan", [duty], token === undefined ? {} : { token }).then((reply) => ({ ...reply, token }));
  const own = [plan(), plan()];
  const second = await Promise.race(own);
  assert.deepEqual([second.status, second.body.error.code], [429, "RATE_LIMITED"]);
  assert.equal(second.headers.get("retry-after"), "1");
  const others = users.map(({ token }) => plan(token));
  const third = await Promise.race(others);
  assert.deepEqual([third.status, third.body.error.code], [503, "OVERLOADED"]);
  assert.equal(third.headers.get("retry-after"), "1");
  writer.resolve();
  await held;
  const all = await Promise.all([...own, ...others]);
  assert.deepEqual(all.map(({ status }) => status).sort(), [200, 200, 429, 503]);
  assert.equal((await plan(third.token)).status, 200);
});

interface Audited {
  readonly data: readonly { readonly action: string; readonly metadata: Readonly<Record<string, unknown>> }[];
}
const auditOf = async (prism: TestPrism) => (await prism.get<Audited>("/api/v1/audit?limit=100")).body.data;

test("each row of the audit trail of an apply names the source, and one has the digest of the objects", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "ada");
  const before = (await auditOf(prism)).length;
  const files: readonly FileObject[] = [
    duty,
    ["roles", null, { name: "Duty lead", permissions: ["incidents:act"] }],
    ["people", null, { username: "ben", email: "ben@example.com", invite: true }],
    ["members", "duty", { ada: "owner", ben: "editor" }],
    receiver,
    beat("Nightly"),
    ["policies", "duty", { name: "Night", steps: [{ type: "notify", members: true }] }],
    ["routes", "duty", { route: { policy: "Night" } }],
  ];
  const options = { source: "platform", issued: true };
  await answered(200, configure(prism, "apply", files, options));
  const rows = await auditOf(prism);
  const own = rows.slice(0, rows.length - before);
  assert.ok(own.length > files.length, own.map(({ action }) => action).join());
  assert.deepEqual(
    own.filter(({ metadata }) => metadata["source"] !== "platform"),
    [],
  );
  const digestOfLast = async () => (await auditOf(prism))[0]?.metadata["digest"];
  const first = await digestOfLast();
  assert.match(String(first), /^[0-9a-f]{64}$/);
  // Neither the order nor the places count; each value does.
  const { id } = (await prism.get<{ data: { id: string }[] }>("/api/v1/heartbeats?projectId=duty")).body.data[0] ?? {};
  await answered(200, prism.patch(`/api/v1/heartbeats/${id}`, { timeoutMs: 60_000 }));
  assert.equal((await auditOf(prism))[0]?.metadata["source"], undefined);
  await answered(200, configure(prism, "apply", [...files].reverse(), options));
  assert.equal(await digestOfLast(), first);
  const changed = files.map((each) => (each[0] === "heartbeats" ? beat("Nightly", { timeout: "2d" }) : each));
  await answered(200, configure(prism, "apply", changed, options));
  assert.notEqual(await digestOfLast(), first);
});

const person = (username: string, more: object = {}): FileObject => [
  "people",
  null,
  { username, email: `${username}@example.com`, invite: true, ...more },
];

test("with invite the people whose accounts are made get a mail after the commit, and others none", async (t) => {
  const mail = await MailServer.start(t);
  const prism = await startPrism(t, { settings: { ...mail.settings, publicUrl: "http://localhost" } });
  const invite = { invite: true };
  await answered(200, configure(prism, "plan", [person("ann")], invite));
  const refused = [person("ann"), person("ben", { timezone: "Nowhere/Else" })];
  assert.equal((await configure(prism, "apply", refused, invite)).status, 409);
  await answered(200, configure(prism, "apply", [person("ben")]));
  await answered(200, configure(prism, "apply", [person("ben", { name: "Ben" }), person("cy")], invite));
  const inviteToken = await mail.tokenTo("cy@example.com");
  const account = { inviteToken, password: "a long enough phrase", email: "cy@example.com" };
  await answered(201, prism.post("/api/v1/auth/register", account, { token: null }));
  assert.deepEqual(
    mail.mails.flatMap(({ to }) => to),
    ["cy@example.com"],
  );
});

test("without a mail server nobody is invited, and nothing is stored", async (t) => {
  const prism = await startPrism(t);
  const { status, body } = await configure(prism, "apply", [duty, person("ann")], { invite: true });
  assert.deepEqual([status, body.error.code], [501, "NOT_CONFIGURED"]);
  assert.equal((await prism.get("/api/v1/projects/duty")).status, 404);
});

test("a plan offers the loop a turn before each object that it reads, and before each that it compares", async (t) => {
  const prism = await startPrism(t);
  const objects = Array.from({ length: 200 }, (_, n) => beat(`B ${n}`));
  assert.equal((await configure(prism, "apply", [duty])).status, 200);
  const pause = t.mock.method(LoopTurns.prototype, "pause");
  const { body } = await configure(prism, "plan", objects);
  assert.equal(body.counts.created, objects.length);
  // Its kind, its name, its references, its members, the people in it; and the comparison.
  assert.ok(pause.mock.callCount() >= 6 * objects.length, String(pause.mock.callCount()));
});
