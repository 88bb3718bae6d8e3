import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { type SealPlace, sealFor } from "../../../../src/core/crypto/public-seal.ts";
import { openFields } from "../../../../src/features/channels/store.ts";
import { reseal } from "../../../../src/store/sealed-column.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { changesOf, configure, type FileObject, problemsOf } from "./configuration.ts";

const LOCAL = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
const TOKEN = "tk_secretofduty";
const TOPIC = { env: "PRISM_SECRET_TOPIC" };
const SECRETS = { "env:PRISM_SECRET_TOPIC": "duty" };
const duty: FileObject = ["projects", null, { slug: "duty", name: "Duty" }];
const room = (fields: object, name = "Room", renamedFrom?: string): FileObject => {
  const spec = { name, preset: "ntfy", fields: { url: "https://127.0.0.1:8443/", topic: TOPIC, ...fields } };
  return renamedFrom === undefined ? ["channels", "duty", spec] : ["channels", "duty", spec, renamedFrom];
};

const PLACE: SealPlace = {
  ...{ project: "duty", kind: "channels", name: "Room", field: "fields.token" },
  bound: { preset: "ntfy", "fields.url": "https://127.0.0.1:8443/" },
};

async function sealedFor(prism: TestPrism, place: Partial<SealPlace> = {}, secret = TOKEN): Promise<string> {
  const { body } = await prism.get<{ key: string }>("/api/v1/configuration/key");
  return sealFor(body.key, { ...PLACE, ...place }, secret);
}

async function fieldsOf(prism: TestPrism, name = "Room") {
  const { db, box } = prism.parts.features.core;
  const row = await db.read.selectFrom("channels").selectAll().where("name", "=", name).executeTakeFirstOrThrow();
  return openFields(box, row);
}

test("a secret in plain text is refused at its place, and nothing says its value", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const secret = "4kq7plainsecret4kq7plainsecret42";
  const uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
  const files: readonly FileObject[] = [
    duty,
    room({ topic: secret, token: `tk_${secret}` }),
    ["channels", "duty", { name: "Team", preset: "slack", fields: { url: `https://hooks.slack.com/${secret}` } }],
    ["receivers", "duty", { name: "Grafana", preset: "grafana", secret, token: secret }],
    ["integrations", "duty", { name: "Pager", kind: "pagerduty", key: secret }],
    ["heartbeats", "duty", { name: "Nightly", timeout: "1d", ping: uuid }],
    ["oncall", "duty", { name: "Duty", calendarUrl: `https://calendar.example/${secret}.ics` }],
  ];
  const { body, text } = await configure(prism, "plan", files);
  assert.deepEqual(problemsOf(body), [
    "channels Room fields.topic SECRET_IN_FILE",
    "channels Room fields.token SECRET_IN_FILE",
    "channels Team fields.url SECRET_IN_FILE",
    "receivers Grafana secret SECRET_IN_FILE",
    "receivers Grafana token SECRET_IN_FILE",
    "integrations Pager key SECRET_IN_FILE",
    "heartbeats Nightly ping SECRET_IN_FILE",
    "oncall Duty calendarUrl SECRET_IN_FILE",
  ]);
  assert.match(body.problems[0]?.message ?? "", /env: PRISM_SECRET_NAME.*file: name\.secret.*sealed/);
  const applied = await configure(prism, "apply", files);
  assert.deepEqual([applied.status, applied.body.error.code], [409, "CONFIGURATION_REFUSED"]);
  for (const answer of [text, applied.text])
    assert.ok(!answer.includes(secret) && !answer.includes(uuid), "the answer has no secret");
});

test("a sealed secret is stored, exported as it is, and the same again", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const files = [duty, room({ token: { sealed: await sealedFor(prism) } })];
  const { status, body, text } = await configure(prism, "apply", files, { secrets: SECRETS });
  assert.equal(status, 200, JSON.stringify(body));
  assert.ok(!text.includes(TOKEN));
  assert.equal((await fieldsOf(prism))["token"], TOKEN);
  const again = await configure(prism, "apply", files, { secrets: SECRETS });
  assert.deepEqual([changesOf(again.body), again.body.unchanged], [[], 2]);
  const exported = await prism.get<{ document: { projects: { channels?: unknown[] }[] } }>(
    "/api/v1/configuration/export?project=duty",
  );
  assert.deepEqual(exported.body.document.projects[0]?.channels, [files[1]?.[2]]);
  const audited = await prism.get("/api/v1/audit");
  const managed = await prism.parts.features.core.db.read.selectFrom("managed_objects").select("spec").execute();
  assert.ok(!audited.text.includes(TOKEN) && !JSON.stringify(managed).includes(TOKEN));
});

test("a sealed secret that is moved to another project, kind, name or field stays closed", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const moved = { project: "ops", kind: "receivers", name: "Other", field: "fields.topic" };
  for (const [fact, value] of Object.entries(moved)) {
    const sealed = await sealedFor(prism, { [fact]: value });
    // What a request names beside it does not open it either.
    const secrets = { ...SECRETS, [`sealed:${sealed}`]: TOKEN };
    const files = [duty, room({ token: { sealed } })];
    const { body } = await configure(prism, "plan", files, { secrets });
    assert.deepEqual(problemsOf(body), ["channels Room fields.token SEALED_ELSEWHERE"], fact);
    const applied = await configure(prism, "apply", files, { secrets });
    assert.deepEqual([applied.status, applied.body.error.details[0]?.code], [409, "SEALED_ELSEWHERE"]);
  }
  const good = await sealedFor(prism);
  const flip = (at: number) => {
    const bytes = Buffer.from(good.slice(3), "base64url");
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return `v1:${bytes.toString("base64url")}`;
  };
  for (const sealed of [good.slice(3), `v2:${good.slice(3)}`, "v1:", good.slice(0, -4), flip(0), flip(10), flip(40)]) {
    const { body } = await configure(prism, "plan", [duty, room({ token: { sealed } })], { secrets: SECRETS });
    assert.deepEqual(problemsOf(body), ["channels Room fields.token SEALED_ELSEWHERE"], sealed);
  }
});

test("a renamed object opens what was sealed under its old name, but not what another object has", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const token = { sealed: await sealedFor(prism) };
  assert.equal((await configure(prism, "apply", [duty, room({ token })], { secrets: SECRETS })).status, 200);
  const thief = await configure(prism, "plan", [duty, room({ token }), room({ token }, "Mine", "Room")], {
    secrets: SECRETS,
  });
  assert.deepEqual(problemsOf(thief.body), ["channels Mine fields.token SEALED_ELSEWHERE"]);
  // `Mine` is there already, so that `renamedFrom` would be ignored.
  assert.equal((await configure(prism, "apply", [duty, room({}, "Mine")], { secrets: SECRETS })).status, 200);
  const later = await configure(prism, "plan", [duty, room({ token }, "Mine", "Room")], { secrets: SECRETS });
  assert.deepEqual(problemsOf(later.body), ["channels Mine fields.token SEALED_ELSEWHERE"]);
  const renamed = [duty, room({ token }, "Team", "Room")];
  for (const changes of [["rename channels Team"], []]) {
    const { body } = await configure(prism, "apply", renamed, { secrets: SECRETS });
    assert.deepEqual(changesOf(body), changes, JSON.stringify(body));
  }
  assert.equal((await fieldsOf(prism, "Team"))["token"], TOKEN);
});

test("after a rotation of the key earlier sealed secrets open, until the old key is gone", async (t) => {
  const [old, fresh] = [randomBytes(32), randomBytes(32)];
  const settings: Record<string, string> = { ...LOCAL, encryptionKey: old.toString("base64") };
  const prism = await startPrism(t, { settings });
  const before = await sealedFor(prism);
  await prism.restart(() => {
    settings["encryptionKey"] = fresh.toString("base64");
    settings["previousEncryptionKeys"] = old.toString("hex");
  });
  const files = (sealed: string) => [duty, room({ token: { sealed } })];
  const applied = await configure(prism, "apply", files(before), { secrets: SECRETS });
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  const after = await sealedFor(prism);
  const resealed = await configure(prism, "apply", files(after), { secrets: SECRETS });
  assert.deepEqual(resealed.body.changes[0]?.members, [
    { path: "fields.token", before: "(secret)", after: "(secret, by another reference)" },
  ]);
  const { body } = await prism.get<{ document: { projects: { channels: unknown[] }[] } }>(
    "/api/v1/configuration/export?project=duty",
  );
  assert.deepEqual(body.document.projects[0]?.channels, [files(after)[1]?.[2]]);
  const { core, context } = prism.parts.features;
  await reseal({ database: core.db, audit: core.audit, box: core.box }, context.sealedColumns);
  await prism.restart(() => {
    settings["previousEncryptionKeys"] = "";
  });
  const { body: same } = await configure(prism, "plan", files(after), { secrets: SECRETS });
  assert.deepEqual([problemsOf(same), changesOf(same)], [[], []]);
  const wrong = sealFor(`x25519:${randomBytes(32).toString("base64url")}`, PLACE, TOKEN);
  for (const sealed of [before, wrong]) {
    const refused = await configure(prism, "apply", files(sealed), { secrets: SECRETS });
    assert.deepEqual([refused.status, refused.body.error.details[0]?.code], [409, "SEALED_ELSEWHERE"]);
  }
});

test("an export seals the secrets that the caller may write, and another apply opens them", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  await configure(prism, "apply", [duty]);
  const made = await prism.post("/api/v1/channels?projectId=duty", {
    ...{ name: "Room", preset: "ntfy", projectId: "duty" },
    fields: { url: "https://127.0.0.1:8443/", topic: "duty", token: TOKEN },
  });
  assert.equal(made.status, 201, made.text);
  const path = "/api/v1/configuration/export?project=duty&secrets=sealed";
  interface Exported {
    readonly document: { readonly projects: readonly { readonly channels: readonly Record<string, unknown>[] }[] };
    readonly variables: readonly string[];
  }
  const { body, text } = await prism.get<Exported>(path);
  assert.ok(!text.includes(TOKEN));
  assert.deepEqual(body.variables, []);
  const [channel = {}] = body.document.projects[0]?.channels ?? [];
  assert.deepEqual(Object.keys(channel["fields"] as object).sort(), ["token", "topic", "url"]);
  const { body: plan } = await configure(prism, "plan", [["channels", "duty", channel]]);
  assert.deepEqual([problemsOf(plan), plan.changes[0]?.op, plan.changes[0]?.members], [[], "adopt", []]);
  const ben = await makeUser(prism, "ben", ["User"]);
  await prism.post("/api/v1/projects/duty/members", { userId: ben.id, role: "viewer" });
  const { body: read } = await prism.get<Exported>(path, { token: ben.token });
  assert.deepEqual(read.document.projects[0]?.channels[0]?.["fields"], {
    url: "https://127.0.0.1:8443/",
    topic: { env: "PRISM_SECRET_DUTY_ROOM_TOPIC" },
    token: { env: "PRISM_SECRET_DUTY_ROOM_TOKEN" },
  });
});
