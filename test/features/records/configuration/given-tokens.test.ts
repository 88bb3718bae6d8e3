import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { configure, type FileObject, problemsOf } from "./configuration.ts";

const DUTY: FileObject = ["projects", null, { slug: "duty", name: "Duty" }];
const VALUE = { env: "PRISM_SECRET_A" };
const FORMS: Readonly<Record<string, readonly [member: string, spec: object]>> = {
  receivers: ["token", { name: "A", preset: "generic" }],
  integrations: ["key", { name: "A", kind: "opsgenie" }],
  heartbeats: ["ping", { name: "A", timeout: "1d" }],
};

function apply(prism: TestPrism, kind: string, value: string, more: object = {}, mode: "apply" | "plan" = "apply") {
  const [member = "", spec = {}] = FORMS[kind] ?? [];
  const file: FileObject = [kind, "duty", { ...spec, [member]: VALUE, ...more }];
  return configure(prism, mode, [DUTY, file], { secrets: { "env:PRISM_SECRET_A": value } });
}

const status = async (prism: TestPrism, path: string, method: "get" | "post" = "get") =>
  (await (method === "get" ? prism.get(path, { token: null }) : prism.post(path, {}, { token: null }))).status;

test("given tokens, keys and ping URLs have 10 to 64 letters, digits, - and _", async (t) => {
  const prism = await startPrism(t);
  for (const kind of Object.keys(FORMS)) {
    const [member] = FORMS[kind] ?? [];
    for (const wrong of [
      "a".repeat(9),
      "a".repeat(65),
      "with space",
      "slash/slash",
      "dot.dot.dot",
      "ünicode-ünicode",
    ]) {
      const { body, text } = await apply(prism, kind, wrong, {}, "plan");
      assert.deepEqual(problemsOf(body), [`${kind} A ${member} VALUE`], wrong);
      assert.ok(!text.includes(wrong));
    }
    for (const [n, right] of ["Abc-_56789", "z".repeat(64), "01c0ffee-0000-4000-8000-000000000001"].entries())
      await answered(200, apply(prism, kind, right, { name: `A${n}` }));
  }
  const { body } = await apply(prism, "integrations", "a".repeat(31), { kind: "pagerduty", name: "P" });
  assert.deepEqual(
    (body as unknown as { error: { details: { code: string; path: string }[] } }).error.details.map(({ path }) => path),
    ["key"],
  );
  await answered(200, apply(prism, "integrations", "a".repeat(32), { kind: "pagerduty", name: "P" }));
});

test("senders go on with their tokens: OnCall's, Uptime Kuma's, Opsgenie's", async (t) => {
  const prism = await startPrism(t);
  await answered(200, apply(prism, "receivers", "mReAoNwDm0eMwKo1mTeTwYo12"));
  assert.equal(await status(prism, "/in/mReAoNwDm0eMwKo1mTeTwYo12", "post"), 200);
  assert.equal(await status(prism, "/in/mreaonwdm0emwko1mtetwyo12", "post"), 404);
  await answered(200, apply(prism, "integrations", "0f8fad5b-d9cb-469f-a165-70867728950e"));
  const key = { token: null, headers: { authorization: "GenieKey 0f8fad5b-d9cb-469f-a165-70867728950e" } };
  await answered(202, prism.post("/v2/alerts", { message: "Disk full" }, key));
  const token = "xjRzHk2OUZ";
  await answered(200, apply(prism, "heartbeats", token));
  for (const path of [
    `/api/push/${token}?status=up&msg=OK&ping=`,
    `/ping/${token}`,
    `/ping/${token}/fail`,
    `/ping/${token}/3`,
  ])
    assert.equal(await status(prism, path), 200, path);
  for (const path of [`/integrations/v1/webhook/${token}/heartbeat/`, `/api/v2/heartbeat/${token}`])
    assert.equal(await status(prism, path, "post"), 200, path);
  for (const path of [
    `/ping/${token.toLowerCase()}`,
    `/ping/${token}/fail/now`,
    `/ping/${token}/other`,
    "/api/push/short",
  ])
    assert.equal(await status(prism, path), 404, path);
  const { body } = await prism.get<{ data: { pingUrl: string; pushUrl: string; pingCount: number }[] }>(
    "/api/v1/heartbeats?projectId=duty",
  );
  const [beat] = body.data;
  assert.deepEqual(
    [new URL(beat?.pingUrl ?? "").pathname, new URL(beat?.pushUrl ?? "").pathname, beat?.pingCount],
    [`/ping/${token}`, `/api/push/${token}`, 6],
  );
});

test("a UUID is the same with and without dashes, and a token keeps them", async (t) => {
  const prism = await startPrism(t);
  const plain = "0f8fad5bd9cb469fa16570867728950e";
  const dashed = "0f8fad5b-d9cb-469f-a165-70867728950e";
  await answered(200, apply(prism, "heartbeats", plain));
  for (const path of [`/ping/${dashed}`, `/ping/${plain}`, `/api/push/${plain}`, `/ping/${dashed}/fail`])
    assert.equal(await status(prism, path), 200, path);
  const again = await apply(prism, "heartbeats", dashed, { name: "B" });
  assert.equal(again.status, 409);
  await answered(200, apply(prism, "heartbeats", "my-daily-backup", { name: "C" }));
  assert.equal(await status(prism, "/api/push/my-daily-backup"), 200);
  assert.equal(await status(prism, "/api/push/mydailybackup"), 404);
});

test("a taken token is refused without a word about who has it", async (t) => {
  const prism = await startPrism(t);
  const taken = "taken-token-of-another";
  for (const kind of Object.keys(FORMS)) await answered(200, apply(prism, kind, taken));
  for (const kind of Object.keys(FORMS)) {
    const [member = "", spec = {}] = FORMS[kind] ?? [];
    const other: FileObject[] = [
      ["projects", null, { slug: "other", name: "Other" }],
      [kind, "other", { ...spec, name: "B", [member]: VALUE }],
    ];
    const refused = await configure(prism, "apply", other, { secrets: { "env:PRISM_SECRET_A": taken } });
    assert.equal(refused.status, 409);
    assert.doesNotMatch(refused.text, /duty"|Duty|taken-token/);
    assert.match(refused.text, /NAME_TAKEN/);
  }
});

test("a heartbeat takes neither the ping key of a project, nor does a project's key hide it", async (t) => {
  const prism = await startPrism(t);
  await answered(200, apply(prism, "heartbeats", "heartbeat-token"));
  const { body } = await answered(
    200,
    prism.post<{ pingKey: string }>("/api/v1/heartbeats/key/rotate", { projectId: "duty" }),
  );
  assert.equal((await apply(prism, "heartbeats", body.pingKey, { name: "B" })).status, 409);
  assert.equal(await status(prism, `/ping/${body.pingKey}/a`), 200);
  assert.equal(await status(prism, `/ping/${body.pingKey}`), 404);
});

test("readers cannot guess a token from what is stored or shown of it", async (t) => {
  const prism = await startPrism(t);
  const token = "backup-nas";
  for (const kind of Object.keys(FORMS)) await answered(200, apply(prism, kind, token));
  const [row] = rowsOf<{ uniqueKey: string; pingHash: string }>(prism, "select uniqueKey, pingHash from heartbeats");
  for (const algorithm of ["sha1", "sha256"])
    for (const text of [token, token.replaceAll("-", ""), token.slice(0, 16)])
      for (const form of ["hex", "base64url"] as const)
        assert.ok(!Object.values(row ?? {}).includes(createHash(algorithm).update(text).digest(form)));
  assert.match(row?.uniqueKey ?? "", /^[0-9a-f]{40}$/);
  const viewer = await makeUser(prism, "vic");
  await answered(200, configure(prism, "apply", [["members", "duty", { dev: "owner", vic: "viewer" }]]));
  const shown = await prism.get("/api/v1/heartbeats?projectId=duty", { token: viewer.token });
  assert.equal(shown.status, 200);
  assert.ok(!shown.text.includes(token));
  for (const path of ["receivers", "integrations"]) {
    const { body } = await prism.get<{ data: { prefix: string }[] }>(`/api/v1/${path}?projectId=duty`, viewer);
    assert.deepEqual(
      body.data.map(({ prefix }) => prefix),
      ["ba"],
      path,
    );
  }
});
