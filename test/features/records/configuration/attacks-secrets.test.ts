import assert from "node:assert/strict";
import test from "node:test";
import { secretsFileText } from "../../../../src/config/files/secrets-file.ts";
import { yamlText } from "../../../../src/config/files/yaml-text.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { join, makeServiceToken } from "../../../http/support/access/makers.ts";
import { IncidentWorld } from "../../alerts/incidents/support.ts";
import { configure, type FileObject, problemsOf } from "./configuration.ts";

/* What callers with some rights try, to read or to send away what they may not see. */

const LOCAL = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };

/** @param bound as the file has it beside the secret */
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
