import assert from "node:assert/strict";
import test from "node:test";
import { secretsFileText } from "../../../../src/config/files/secrets-file.ts";
import { yamlText } from "../../../../src/config/files/yaml-text.ts";
import { sealFor } from "../../../../src/core/crypto/public-seal.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { join, makeServiceToken } from "../../../http/support/access/makers.ts";
import { IncidentWorld } from "../../alerts/incidents/support.ts";
import { configure, type FileObject, problemsOf } from "./configuration.ts";

/* What callers with some rights try, to read or to send away what they may not see. */

const LOCAL = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
const SECRETS = { "env:PRISM_SECRET_T": "duty" };

async function sealed(prism: TestPrism, field: string, secret: string): Promise<string> {
  const { body } = await prism.get<{ key: string }>("/api/v1/configuration/key");
  return sealFor(body.key, { project: "duty", kind: "channels", name: "Room", field }, secret);
}

/** A project with a viewer and an editor. */
async function duty(prism: TestPrism) {
  await makeUser(prism, "olga", ["Admin"]);
  const viewer = await makeUser(prism, "vic");
  const editor = await makeUser(prism, "eddy");
  const made = await configure(prism, "apply", [
    ["projects", null, { slug: "duty", name: "Duty" }],
    ["members", "duty", { olga: "owner", vic: "viewer", eddy: "editor" }],
  ]);
  assert.equal(made.status, 200, made.text);
  return { viewer, editor };
}

test("a sealed secret does not go to another server, be it the stored one or an earlier one", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const { editor } = await duty(prism);
  const push = (url: string, token: object): FileObject => {
    const fields = { url, topic: { env: "PRISM_SECRET_T" }, token };
    return ["channels", "duty", { name: "Room", preset: "ntfy", fields }];
  };
  const apply = (file: FileObject, secrets: object = {}) =>
    configure(prism, "apply", [file], { token: editor.token, secrets: { ...SECRETS, ...secrets } });
  const [old, now] = [
    await sealed(prism, "fields.token", "tk_first"),
    await sealed(prism, "fields.token", "tk_second"),
  ];
  for (const token of [old, now])
    assert.equal((await apply(push("https://127.0.0.1:8443/", { sealed: token }))).status, 200);
  for (const token of [old, now]) {
    const { status, body } = await apply(push("https://127.0.0.1:9999/", { sealed: token }));
    assert.equal(status, 409);
    assert.equal(body.error.details[0]?.path, "fields.token");
    assert.match(body.error.message, /a sealed secret is not sent to another address/);
  }
  const known = await apply(push("https://127.0.0.1:9999/", { env: "PRISM_SECRET_K" }), {
    "env:PRISM_SECRET_K": "tk_second",
  });
  assert.equal(known.status, 200, known.text);
});

test("a sealed secret stays closed where the preset has no secret", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const { viewer, editor } = await duty(prism);
  const url = { sealed: await sealed(prism, "fields.url", "https://127.0.0.1:8443/hooks/abcdefghijverysecretuvwxyz") };
  const room = (preset: string, fields: object): FileObject => ["channels", "duty", { name: "Room", preset, fields }];
  const made = await configure(prism, "apply", [room("mattermost", { url })]);
  assert.equal(made.status, 200, made.text);
  const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/channels?projectId=duty");
  assert.equal((await prism.delete(`/api/v1/channels/${body.data[0]?.id}`, { token: editor.token })).status, 204);
  const swapped = room("apprise", { url, key: { env: "PRISM_SECRET_T" } });
  const { body: plan } = await configure(prism, "plan", [swapped], { token: editor.token, secrets: SECRETS });
  assert.deepEqual(problemsOf(plan), ["channels Room fields.url SEALED_ELSEWHERE"]);
  const applied = await configure(prism, "apply", [swapped], { token: editor.token, secrets: SECRETS });
  assert.equal(applied.status, 409);
  const seen = await prism.get("/api/v1/channels?projectId=duty", { token: viewer.token });
  assert.ok(!seen.text.includes("verysecret") && !applied.text.includes("verysecret"));
});

test("a plan with history says the same to a viewer who guesses the URL of a policy, or not", async (t) => {
  const settings = { "auth.accessExpires": "30d", "rateLimit.enabled": "false", ...LOCAL };
  const world = await IncidentWorld.start(t, settings);
  const { prism } = world;
  await world.member("ada");
  const night = (url: string, more: object = {}): FileObject => {
    const steps = [
      { type: "notify", users: ["ada"] },
      { type: "webhook", url },
    ];
    return ["policies", "default", { name: "Night", steps, ...more }];
  };
  const route = { policy: "Night", groupWait: "0s", groupBy: ["alertname"] };
  const url = "https://127.0.0.1:8443/s3cr3t";
  const made = await configure(prism, "apply", [night(url), ["routes", "default", { route }]]);
  assert.equal(made.status, 200, made.text);
  await world.fire("DiskFull", { labels: { alertname: "DiskFull" } });
  await world.pass(86_400_000);
  const { id, token } = await makeUser(prism, "eve");
  await join(prism, world.projectId, id, "viewer");
  const differing = async (guess: string, who: string | undefined) => {
    const options = { historyMs: 7 * 86_400_000, ...(who !== undefined && { token: who }) };
    const { body } = await configure(prism, "plan", [night(guess, { description: "x" })], options);
    assert.equal(body.history?.incidents, 1);
    return body.history.differing.map(({ changes }) => changes);
  };
  const wrong = "https://127.0.0.1:8443/wrong";
  assert.deepEqual(await differing(url, token), await differing(wrong, token));
  // Who may write it learns what changes.
  assert.deepEqual([await differing(url, undefined), await differing(wrong, undefined)], [[], [["outside"]]]);
});

test("the state of a plan and the digest in the audit trail are no hashes that others can compute", async (t) => {
  const states: string[] = [];
  const digests: string[] = [];
  const file: FileObject = ["rules", null, { name: "R", condition: "event.type == 'x'", targetRoles: ["Admin"] }];
  for (let n = 0; n < 2; n++) {
    const prism = await startPrism(t);
    states.push((await configure(prism, "plan", [file])).body.state);
    assert.equal((await configure(prism, "apply", [file])).status, 200);
    const audit = await prism.get<{ data: { action: string; metadata: { digest: string } }[] }>("/api/v1/audit");
    digests.push(audit.body.data.find(({ action }) => action === "configuration.apply")?.metadata.digest ?? "");
  }
  // Nothing is stored and the objects are the same: only the keys of the servers differ.
  assert.notEqual(states[0], states[1]);
  assert.match(digests[0] ?? "", /^[0-9a-f]{64}$/);
  assert.notEqual(digests[0], digests[1]);
});

test("who only reads jobs sees no words of timers in an export or a plan", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "ada");
  await prism.post("/api/v1/roles", { name: "Reader", description: "", permissions: ["jobs:read"] });
  const { token } = await makeUser(prism, "jr", ["Reader"]);
  const payload = { action: { type: "notify", payload: { userId: "ada", title: "PRIVATE", message: "PRIVATE too" } } };
  const job = { name: "note", cron: "0 9 * * 1", queue: "timers", kind: "timer", payload };
  assert.equal((await configure(prism, "apply", [["jobs", null, job]])).status, 200);
  const all = await prism.get("/api/v1/configuration/export");
  assert.ok(all.text.includes("PRIVATE"));
  const exported = await prism.get("/api/v1/configuration/export", { token });
  assert.ok(exported.text.includes("note") && !exported.text.includes("PRIVATE"), exported.text);
  const guess = (title: string) => {
    const guessed = { action: { ...payload.action, payload: { ...payload.action.payload, title } } };
    return configure(prism, "plan", [["jobs", null, { ...job, payload: guessed }]], { token });
  };
  const [right, wrong] = [await guess("PRIVATE"), await guess("other")];
  assert.deepEqual(right.body, wrong.body);
  assert.ok(!right.text.includes("PRIVATE"));
});

test("a file of secrets holds each value as it is, or is refused", () => {
  for (const value of ["a\rb", "a\r\nb", "\r"])
    assert.throws(() => secretsFileText(new Map([["PRISM_SECRET_A", value]])), /PRISM_SECRET_A.*carriage return/);
});

test("open incidents are in a plan only for who may read them", async (t) => {
  const world = await IncidentWorld.start(t, { "auth.accessExpires": "30d", "rateLimit.enabled": "false" });
  const { prism } = world;
  await world.member("ada");
  await world.fire("DiskFull");
  await world.pass(20 * 60_000);
  // It asked its targets, and reached no one.
  await world.db.write((trx) =>
    trx.updateTable("incidents").set({ reachedAt: null, steppedAt: world.clock.now() }).execute(),
  );
  const { id, token } = await makeUser(prism, "dan", ["Admin"]);
  await join(prism, world.projectId, id, "owner");
  const plan = (who: string) =>
    configure(prism, "plan", [["members", "default", { dan: "owner", ada: "viewer" }]], { token: who });
  const seen = await plan(token);
  assert.equal(seen.body.open.length, 1, seen.text);
  const scopes = ["projects:create", "users:read"];
  const { token: blind } = await makeServiceToken(prism, id, { scopes } as never);
  const hidden = await plan(blind);
  assert.deepEqual([problemsOf(hidden.body), hidden.body.mayNot, hidden.body.open], [[], [], []]);
});

test("YAML of an export has no characters that control a terminal or turn its text", () => {
  const text = yamlText({ "k\u202e": "x\u202ey", c: "a\u009bb\u001b[31m\n", plain: "one\ntwo\n" });
  assert.doesNotMatch(text, /(?!\n)[\p{Cc}\u202a-\u202e]/u);
  assert.match(text, /"x\\u202ey"/);
  assert.match(text, /plain: \|\n {2}one\n/);
});
