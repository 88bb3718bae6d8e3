import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";

interface Key {
  id: string;
  name: string;
  prefix: string;
  scopes: string[];
  expiresAt: string | null;
  key: string;
  error?: { code: string };
}

const ingest = async (prism: TestPrism, apiKey: string) =>
  (await prism.post("/ingest", { type: "a" }, { apiKey })).status;

async function setUp(prism: TestPrism) {
  const owner = await makeUser(prism, "owner", ["User"]);
  const { body: project } = await prism.post<{ id: string; apiKey: string }>(
    "/projects",
    { name: "shop" },
    { token: owner.token },
  );
  const path = `/api/v1/projects/${project.id}/keys`;
  const make = (body: object, token = owner.token) => prism.post<Key>(path, body, { token });
  return { owner, project, path, make };
}

test("a key is shown once, is stored hashed, and does what its scopes say", async (t) => {
  const prism = await startPrism(t);
  const { owner, path, make } = await setUp(prism);
  const { status, body } = await make({
    name: "CI",
    scopes: ["events:read"],
    rateLimit: 50,
    expiresAt: "2100-01-01T00:00:00Z",
  });
  assert.equal(status, 201);
  const { id, key, prefix, ...shown } = body;
  assert.deepEqual(shown, { name: "CI", scopes: ["events:read"], expiresAt: "2100-01-01T00:00:00.000Z" });
  assert.equal(key.includes(prefix), true);
  const stored = rowsOf<Record<string, unknown>>(prism, "select * from api_keys where id = ?", id)[0];
  assert.equal(JSON.stringify(stored).includes(key), false);
  assert.equal(await ingest(prism, key), 403);
  assert.equal((await prism.get("/events", { apiKey: key })).status, 200);

  const { body: defaults } = await make({});
  assert.deepEqual(
    [defaults.name, defaults.scopes, defaults.expiresAt],
    ["key", ["events:write", "events:read", "silences:write"], null],
  );
  const { body: list, text } = await prism.get<{ data: Key[] }>(path, { token: owner.token });
  assert.deepEqual(valuesOf(list.data, "name"), ["default", "CI", "key"]);
  assert.ok(![key, defaults.key, "hash"].some((secret) => text.includes(secret)));
});

test("what a key may not be made of", async (t) => {
  const prism = await startPrism(t);
  const { make } = await setUp(prism);
  for (const body of [
    { scopes: [] },
    { scopes: ["rules:write"] },
    { name: "" },
    { name: "x".repeat(101) },
    { expiresAt: "tomorrow" },
    { rateLimit: 0 },
    { rateLimit: 1.5 },
    { secret: "mine" },
  ])
    assert.equal((await make(body)).status, 400, JSON.stringify(body));
});

test("scopes that reach beyond the project are given only by who holds the permission", async (t) => {
  const prism = await startPrism(t);
  const { owner, project, path, make } = await setUp(prism);
  for (const scope of ["notifications:send", "realtime:publish"]) {
    const refused = await make({ scopes: ["events:read", scope] });
    assert.deepEqual([refused.status, refused.body.error?.code], [422, "PRIVILEGE_ESCALATION"]);
    const given = await answered(201, make({ scopes: [scope] }, prism.adminToken));
    const rotated = await prism.post<Key>(`${path}/${given.body.id}/rotate`, {}, { token: owner.token });
    assert.deepEqual(
      [rotated.status, rotated.body.error?.code],
      [422, "PRIVILEGE_ESCALATION"],
      "a new secret is a gift too",
    );
    assert.equal((await prism.post<Key>(`${path}/${given.body.id}/rotate`)).status, 201);
  }
  assert.equal(await ingest(prism, project.apiKey), 202);
});

test("silences:broad is given only by who has it in the project", async (t) => {
  const prism = await startPrism(t);
  const { make, path } = await setUp(prism);
  const scopes = ["silences:write", "silences:broad"];
  const role = { name: "Everywhere", permissions: ["projects:all", "silences:write"] };
  assert.equal((await prism.post("/api/v1/roles", role)).status, 201);
  const { token } = await makeUser(prism, "everywhere", ["Everywhere"]);
  const refused = await make({ scopes }, token);
  assert.deepEqual([refused.status, refused.body.error?.code], [422, "PRIVILEGE_ESCALATION"]);
  const { status, body } = await make({ scopes });
  assert.deepEqual([status, body.scopes], [201, scopes], "the owner has it");
  const rotated = await prism.post<Key>(`${path}/${body.id}/rotate`, {}, { token });
  assert.equal(rotated.body.error?.code, "PRIVILEGE_ESCALATION");
});

test("a rotated key ends after its grace, the new one has its rights", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { owner, path, make } = await setUp(prism);
  const { body: old } = await make({ name: "CI", rateLimit: 7000 });
  const rotate = (id: string, body?: object) => prism.post<Key>(`${path}/${id}/rotate`, body, { token: owner.token });
  const { status, body: next } = await rotate(old.id, { graceMs: 60_000 });
  assert.deepEqual([status, next.name, next.scopes], [201, "CI", old.scopes]);
  assert.notEqual(next.key, old.key);
  assert.deepEqual([await ingest(prism, old.key), await ingest(prism, next.key)], [202, 202]);
  clock.advance(60_000);
  assert.deepEqual([await ingest(prism, old.key), await ingest(prism, next.key)], [401, 202]);
  const { body: last } = await rotate(next.id);
  assert.deepEqual([await ingest(prism, next.key), await ingest(prism, last.key)], [401, 202], "without grace at once");
  assert.equal((await rotate(next.id)).body.error?.code, "API_KEY_NOT_FOUND");
  for (const graceMs of [-1, 604_800_001, 0.5]) assert.equal((await rotate(last.id, { graceMs })).status, 400);
  assert.deepEqual(rowsOf(prism, "select distinct rateLimit from api_keys where name = 'CI'"), [{ rateLimit: 7000 }]);
});

test("a revoked key is refused from the next request on", async (t) => {
  const prism = await startPrism(t);
  const { owner, path, make } = await setUp(prism);
  const { body: key } = await make({});
  assert.equal(await ingest(prism, key.key), 202);
  const revoke = () => prism.delete<Key>(`${path}/${key.id}`, { token: owner.token });
  assert.equal((await revoke()).status, 204);
  assert.equal(await ingest(prism, key.key), 401);
  assert.equal((await revoke()).body.error?.code, "API_KEY_NOT_FOUND");
  assert.equal((await prism.delete(`${path}/nonsense`, { token: owner.token })).status, 404);
});

test("an expired key is refused from that moment on", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { make } = await setUp(prism);
  const { body: key } = await make({ expiresAt: new Date(clock.now() + 5000).toISOString() });
  assert.equal(await ingest(prism, key.key), 202);
  clock.advance(5000);
  assert.equal(await ingest(prism, key.key), 401);
});

test("a key of another project is not accessible by one's own", async (t) => {
  const prism = await startPrism(t);
  const { owner, project, path } = await setUp(prism);
  const other = await makeUser(prism, "other", ["User"]);
  const theirs = await prism.post<{ id: string }>("/projects", { name: "theirs" }, { token: other.token });
  const [key] = (await prism.get<{ data: Key[] }>(path, { token: owner.token })).body.data;
  const foreign = `/api/v1/projects/${theirs.body.id}/keys/${key?.id}`;
  assert.equal((await prism.delete<Key>(foreign, { token: other.token })).body.error?.code, "API_KEY_NOT_FOUND");
  assert.equal(await ingest(prism, project.apiKey), 202);
});

test("what is done with keys is audited without their secrets", async (t) => {
  const prism = await startPrism(t);
  const { project } = await setUp(prism);
  const shop = await makeProject(prism, "audited");
  const path = `/api/v1/projects/${shop.id}/keys`;
  const { body: key } = await prism.post<Key>(path, { name: "secret name" });
  const { body: next } = await prism.post<Key>(`${path}/${key.id}/rotate`, { graceMs: 5 });
  await prism.delete(`${path}/${next.id}`);
  const audited = rowsOf<{ action: string; resourceId: string; metadata: string }>(
    prism,
    "select action, resourceId, metadata from audit_log where action like 'key.%' and metadata like ? order by seq",
    `%${shop.id}%`,
  );
  const rows = audited.slice(1).map(({ action, resourceId, metadata }) => [action, resourceId, JSON.parse(metadata)]);
  assert.deepEqual(rows, [
    ["key.create", key.id, { projectId: shop.id }],
    ["key.rotate", key.id, { projectId: shop.id, newKeyId: next.id, graceMs: 5 }],
    ["key.revoke", next.id, { projectId: shop.id }],
  ]);
  assert.equal(audited.length, 4);
  const everything = JSON.stringify(rowsOf(prism, "select * from audit_log"));
  for (const secret of [key.key, next.key, shop.apiKey, project.apiKey, "secret name"])
    assert.equal(everything.includes(secret), false);
});
