import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { configure, type FileObject } from "./configuration.ts";

const HOOK = "https://127.0.0.1:8443/?token=s3cret";
const FILES: readonly FileObject[] = [
  ["projects", null, { slug: "duty", name: "Duty" }],
  ["heartbeats", "duty", { name: "Nightly", timeout: "1d" }],
  ["oncall", "duty", { name: "Duty", timezone: "UTC", shifts: [] }],
  [
    "policies",
    "duty",
    {
      name: "Night",
      steps: [
        { type: "notify", schedules: [{ name: "Duty" }] },
        { type: "webhook", url: HOOK },
      ],
    },
  ],
];
const PATH = "/api/v1/configuration/managed";

interface Row {
  readonly kind: string;
  readonly name: string;
  readonly id: string;
  readonly at: string;
  readonly noun: string;
  readonly isDrifted: boolean;
  readonly mayUnlock: boolean;
}

async function start(t: test.TestContext) {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const applied = await configure(prism, "apply", FILES, { lock: true });
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  const rows = async (query = "", token?: string) => {
    const reply = await prism.get<{ data: Row[] }>(PATH + query, token === undefined ? {} : { token });
    assert.equal(reply.status, 200, reply.text);
    return reply.body.data;
  };
  const drift = (kind: string, name: string, token?: string) =>
    prism.get<Drift>(`${PATH}/drift?kind=${kind}&project=duty&name=${name}`, token === undefined ? {} : { token });
  return { prism, rows, drift };
}

interface Drift {
  readonly by: string | null;
  readonly when: string | null;
  readonly isDeleted: boolean;
  readonly members: readonly { readonly path: string; readonly before?: unknown; readonly after?: unknown }[];
}

const unlock = (prism: TestPrism, kind: string, name: string, token?: string) =>
  prism.post(
    "/api/v1/configuration/unlock",
    { kind, project: "duty", name, forMs: 3_600_000, reason: "a test" },
    token === undefined ? {} : { token },
  );

const namesOf = (rows: readonly Row[]) => rows.map(({ kind, name }) => `${kind} ${name}`).sort();

test("what files own is listed by kind, project and state", async (t) => {
  const { prism, rows } = await start(t);
  assert.deepEqual(namesOf(await rows()), ["heartbeats Nightly", "oncall Duty", "policies Night", "projects duty"]);
  assert.deepEqual(namesOf(await rows("?project=duty")), namesOf(await rows()));
  assert.deepEqual(await rows("?project=default"), []);
  const [one] = await rows("?kind=policies");
  assert.deepEqual(
    [one?.name, one?.at, one?.noun, one?.isDrifted, one?.mayUnlock],
    ["Night", "duty.yaml:4:1", "policy", false, true],
  );
  assert.equal((await prism.get(`${PATH}?project=nowhere`)).status, 404);
  assert.equal((await unlock(prism, "heartbeats", "Nightly")).status, 204);
  assert.deepEqual(namesOf(await rows("?state=locked")), ["oncall Duty", "policies Night", "projects duty"]);
  const [beat] = await rows("?kind=heartbeats");
  assert.equal((await prism.patch(`/api/v1/heartbeats/${beat?.id}`, { timeoutMs: 3_600_000 })).status, 200);
  assert.deepEqual(namesOf(await rows("?state=changed")), ["heartbeats Nightly"]);
});

test("drift says who changed which members from what to what, and not what others did since", async (t) => {
  const { prism, rows, drift } = await start(t);
  const ada = await makeUser(prism, "ada", ["Admin"]);
  const { body: none } = await drift("heartbeats", "Nightly");
  assert.deepEqual(none, { by: null, when: null, isDeleted: false, members: [] });
  await unlock(prism, "heartbeats", "Nightly");
  const [beat] = await rows("?kind=heartbeats");
  const path = `/api/v1/heartbeats/${beat?.id}`;
  await prism.patch(path, { timeoutMs: 3_600_000, description: "By hand" }, { token: ada.token });
  await unlock(prism, "heartbeats", "Nightly");
  const { body } = await drift("heartbeats", "Nightly");
  assert.deepEqual([body.by, typeof body.when, body.isDeleted], ["ada", "string", false]);
  assert.deepEqual(
    [...body.members].sort((a, b) => a.path.localeCompare(b.path)),
    [
      { path: "description", before: "", after: "By hand" },
      { path: "timeout", before: "1d", after: "1h" },
    ],
  );
  await prism.request("DELETE", path);
  assert.equal((await drift("heartbeats", "Nightly")).body.isDeleted, true);
  assert.equal((await drift("heartbeats", "Unknown")).status, 404);
});

test("a reader sees what is managed, but no values, no names and no unlock", async (t) => {
  const { prism, rows, drift } = await start(t);
  const vera = await makeUser(prism, "vera", ["User"]);
  const stranger = await makeUser(prism, "sam", ["User"]);
  await prism.post("/api/v1/projects/duty/members", { userId: vera.id, role: "viewer" });
  await unlock(prism, "policies", "Night");
  const [policy] = await rows("?kind=policies");
  const steps = [{ type: "webhook", url: `${HOOK}2` }];
  const changed = await prism.patch(`/api/v1/policies/${policy?.id}`, { steps });
  assert.equal(changed.status, 200, changed.text);
  const seen = await rows("", vera.token);
  assert.deepEqual(namesOf(seen), namesOf(await rows()));
  assert.ok(seen.every(({ mayUnlock }) => !mayUnlock));
  assert.deepEqual(
    seen.filter(({ isDrifted }) => isDrifted).map(({ kind }) => kind),
    ["policies"],
  );
  const { body, text } = await drift("policies", "Night", vera.token);
  assert.deepEqual(body.members, [{ path: "steps" }]);
  assert.equal(body.by, null);
  assert.ok(!text.includes("s3cret"));
  assert.ok((await drift("policies", "Night")).text.includes(`${HOOK}2`));
  assert.equal((await unlock(prism, "policies", "Night", vera.token)).status, 403);
  assert.deepEqual(await rows("", stranger.token), []);
  assert.equal((await drift("policies", "Night", stranger.token)).status, 404);
});

test("the refusal of a locked object names what an unlock needs", async (t) => {
  const { prism, rows } = await start(t);
  const [policy] = await rows("?kind=policies");
  const { status, body } = await prism.patch<{ error: { code: string; details: Record<string, string>[] } }>(
    `/api/v1/policies/${policy?.id}`,
    { repeat: 3 },
  );
  assert.deepEqual([status, body.error.code], [409, "MANAGED_BY_CODE"]);
  const [{ kind, project, name } = {}] = body.error.details;
  assert.deepEqual([kind, name], ["policies", "Night"]);
  const wish = { kind, project, name, forMs: 60_000, reason: "a test" };
  assert.equal((await prism.post("/api/v1/configuration/unlock", wish)).status, 204);
  assert.equal((await prism.patch(`/api/v1/policies/${policy?.id}`, { repeat: 3 })).status, 200);
});
