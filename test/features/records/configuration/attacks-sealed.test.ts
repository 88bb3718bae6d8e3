import assert from "node:assert/strict";
import test from "node:test";
import { sealFor } from "../../../../src/core/crypto/public-seal.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { configure, type FileObject, problemsOf } from "./configuration.ts";

/* Who may write channels, and has only the files, tries to have a sealed secret sent to a server of its own. */

const LOCAL = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
const SECRETS = { "env:PRISM_SECRET_T": "duty" };
const [THEIRS, MINE] = ["https://127.0.0.1:8443/hook", "https://127.0.0.1:9999/hook"];

/** @param bound what the file has beside the secret */
async function sealed(prism: TestPrism, field: string, secret: string, bound: object): Promise<{ sealed: string }> {
  const { body } = await prism.get<{ key: string }>("/api/v1/configuration/key");
  const place = { project: "duty", kind: "channels", name: "Room", field, bound: { ...bound } };
  return { sealed: sealFor(body.key, place, secret) };
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

const room = (preset: string, fields: object): FileObject => ["channels", "duty", { name: "Room", preset, fields }];

async function removeRoom(prism: TestPrism, token: string): Promise<void> {
  const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/channels?projectId=duty");
  assert.equal((await prism.delete(`/api/v1/channels/${body.data[0]?.id}`, { token })).status, 204);
}

test("a sealed secret goes to no other server: its channel is changed, or deleted and made again", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const { editor } = await duty(prism);
  const token = await sealed(prism, "fields.token", "tk_first", { preset: "ntfy", "fields.url": THEIRS });
  const topic = { env: "PRISM_SECRET_T" };
  const send = (mode: "plan" | "apply", file: FileObject, secrets: object = {}) =>
    configure(prism, mode, [file], { token: editor.token, secrets: { ...SECRETS, ...secrets } });
  const other = { "env:PRISM_SECRET_U": MINE };
  const attempts: readonly (readonly [FileObject, object?])[] = [
    [room("ntfy", { url: MINE, topic, token })],
    [room("ntfy", { url: { env: "PRISM_SECRET_U" }, topic, token }), other],
    [room("gotify", { url: THEIRS, token })],
    [room("http", { url: { env: "PRISM_SECRET_U" }, token }), other],
    [room("http", { url: await sealed(prism, "fields.url", MINE, { preset: "http" }), token })],
  ];
  const refuseAll = async (): Promise<void> => {
    for (const [file, secrets] of attempts) {
      const { body } = await send("plan", file, secrets);
      assert.deepEqual(problemsOf(body), ["channels Room fields.token SEALED_ELSEWHERE"], JSON.stringify(file));
      const again = 'prism seal -f FILE --project duty --kind channels --name "Room" --field fields.token';
      assert.ok(body.problems[0]?.fix?.endsWith(again), body.problems[0]?.fix);
      assert.equal((await send("apply", file, secrets)).status, 409);
    }
  };
  await refuseAll();
  const made = await send("apply", room("ntfy", { url: THEIRS, topic, token }));
  assert.equal(made.status, 200, made.text);
  await refuseAll();
  await removeRoom(prism, editor.token);
  await refuseAll();
  const ownTopic = room("ntfy", { url: THEIRS, topic: { env: "PRISM_SECRET_U" }, token });
  assert.equal((await send("apply", ownTopic, { "env:PRISM_SECRET_U": "night" })).status, 200);
  const given = room("ntfy", { url: MINE, topic, token: { env: "PRISM_SECRET_K" } });
  assert.equal((await send("apply", given, { "env:PRISM_SECRET_K": "tk_first" })).status, 200);
});

test("a sealed secret beside a secret address holds to that sealed address", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const { editor } = await duty(prism);
  const address = (url: string) => sealed(prism, "fields.url", url, { preset: "http" });
  const url = await address(THEIRS);
  const token = await sealed(prism, "fields.token", "tk_first", { preset: "http", "fields.url": url });
  const apply = (fields: object, secrets = {}) =>
    configure(prism, "apply", [room("http", fields)], { token: editor.token, secrets });
  const env = { env: "PRISM_SECRET_U" };
  const refuseAll = async (): Promise<void> => {
    for (const fields of [{ url: await address(MINE), token }, { url: env, token }, { token }]) {
      const { status, body } = await apply(fields, { "env:PRISM_SECRET_U": MINE });
      assert.equal(status, 409, JSON.stringify(body));
      assert.ok(body.error.details.some(({ path, code }) => path === "fields.token" && code === "SEALED_ELSEWHERE"));
    }
  };
  await refuseAll();
  // The address is in the console alone.
  assert.equal((await apply({ url: env }, { "env:PRISM_SECRET_U": MINE })).status, 200);
  await refuseAll();
  await removeRoom(prism, editor.token);
  const made = await apply({ url, token });
  assert.equal(made.status, 200, made.text);
});

test("a secret path is not sent to another base URL", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const { editor } = await duty(prism);
  const secret = "https://discord.com/api/webhooks/1/abcdefghijklmnopqrstuvwxyz";
  const url = await sealed(prism, "fields.url", secret, { preset: "discord", "fields.api": null });
  const plan = (fields: object) => configure(prism, "plan", [room("discord", fields)], { token: editor.token });
  assert.deepEqual(problemsOf((await plan({ url, api: MINE })).body), ["channels Room fields.url SEALED_ELSEWHERE"]);
  assert.deepEqual(problemsOf((await plan({ url })).body), []);
});

test("a sealed secret of a receiver is of its preset", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const { editor } = await duty(prism);
  const { body: answer } = await prism.get<{ key: string }>("/api/v1/configuration/key");
  const place = { project: "duty", kind: "receivers", name: "CI", field: "secret", bound: { preset: "grafana" } };
  const secret = { sealed: sealFor(answer.key, place, "s3cret-of-the-sender-0123456789") };
  const receiver = (preset: string): FileObject => ["receivers", "duty", { name: "CI", preset, secret }];
  const plan = (preset: string) => configure(prism, "plan", [receiver(preset)], { token: editor.token });
  assert.deepEqual(problemsOf((await plan("github")).body), ["receivers CI secret SEALED_ELSEWHERE"]);
  assert.deepEqual(problemsOf((await plan("grafana")).body), []);
});

test("a sealed secret stays closed where the preset has no secret", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const { viewer, editor } = await duty(prism);
  const hook = "https://127.0.0.1:8443/hooks/abcdefghijverysecretuvwxyz";
  const url = await sealed(prism, "fields.url", hook, { preset: "mattermost" });
  const made = await configure(prism, "apply", [room("mattermost", { url })]);
  assert.equal(made.status, 200, made.text);
  await removeRoom(prism, editor.token);
  const swapped = room("apprise", { url, key: { env: "PRISM_SECRET_T" } });
  const { body: plan } = await configure(prism, "plan", [swapped], { token: editor.token, secrets: SECRETS });
  assert.deepEqual(problemsOf(plan), ["channels Room fields.url SEALED_ELSEWHERE"]);
  const applied = await configure(prism, "apply", [swapped], { token: editor.token, secrets: SECRETS });
  assert.equal(applied.status, 409);
  const seen = await prism.get("/api/v1/channels?projectId=duty", { token: viewer.token });
  assert.ok(!seen.text.includes("verysecret") && !applied.text.includes("verysecret"));
});
