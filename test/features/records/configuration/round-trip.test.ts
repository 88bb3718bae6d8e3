import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import test, { type TestContext } from "node:test";
import fc from "fast-check";
import { PROJECT_KINDS, SERVER_KINDS } from "../../../../src/config/files/file-objects.ts";
import { TEST_SEED } from "../../../helpers/chance.ts";
import { answered, startPrism, TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { Api } from "./support/api.ts";
import { exported, HOSTS, objectsIn, secretsOf, send, valuesOf } from "./support/files.ts";
import { Objects } from "./support/objects.ts";

test("files have the kinds of the features, and no others", async (t) => {
  const prism = await startPrism(t);
  const kinds = await prism.parts.features.context.configKinds({});
  const named = (scope: string) => kinds.filter((each) => each.scope === scope).map(({ kind }) => kind);
  assert.deepEqual(
    Object.keys(SERVER_KINDS).sort(),
    named("server")
      .filter((kind) => kind !== "projects")
      .sort(),
  );
  assert.deepEqual(Object.keys(PROJECT_KINDS).sort(), named("project").sort());
  for (const { kind, scope, isSingle = false } of kinds.filter((each) => each.kind !== "projects"))
    assert.equal((scope === "server" ? SERVER_KINDS : PROJECT_KINDS)[kind]?.key === undefined, isSingle, kind);
});

async function roundTrip(t: TestContext, seed: number, count: number): Promise<void> {
  const [first, second] = [await TestPrism.start(HOSTS), await TestPrism.start(HOSTS)];
  try {
    const kinds = await first.parts.features.context.configKinds({});
    const api = new Api(first, kinds);
    for (const made of new Objects(kinds, seed).fill(count).made) await api.store(made);
    await moved(t, first, second);
  } finally {
    await first.stop();
    await second.stop();
    for (const { dir } of [first, second]) rmSync(dir, { recursive: true, force: true });
  }
}

/** Exports one server to an empty one, whose export must be the same. */
async function moved(t: TestContext, first: TestPrism, second: TestPrism): Promise<void> {
  const { document } = await exported(first);
  const files = objectsIn(temporaryDir(t), document);
  assert.deepEqual(files.problems, []);
  const before = await secretsOf(first);
  const secrets = valuesOf(files.objects, before);
  const applied = await send(second, "apply", files, { secrets });
  assert.equal(applied.status, 200, applied.text);
  const after = await exported(second);
  assert.deepEqual(after.document, document);
  assert.equal(JSON.stringify(after.document), JSON.stringify(document));
  assert.deepEqual(await secretsOf(second), before);
  const again = await send(second, "apply", files, { secrets });
  const { changes, drift, leftOver, unchanged } = again.body;
  assert.deepEqual([again.status, changes, drift, leftOver, unchanged], [200, [], [], [], files.objects.length]);
}

test("secrets of objects whose names have the same letters have variables of their own", async (t) => {
  const [first, second] = [await startPrism(t, HOSTS), await startPrism(t, HOSTS)];
  const room = (name: string) => ({ projectId: "default", name, preset: "gotify" });
  const url = "https://127.0.0.1:8443";
  for (const [at, name] of ["Room 1", "Room-1", "日本", "ü", "x".repeat(100), `${"x".repeat(99)}y`].entries())
    await answered(
      201,
      first.post("/api/v1/channels", { ...room(name), fields: { url, token: `token-of-room-${at}` } }),
    );
  const receiver = { name: "Room", preset: "generic", secret: "secret-of-room-1", projectId: "default" };
  await answered(201, first.post("/api/v1/receivers", receiver));
  const hook = { ...room("Room"), preset: "http", fields: { url, secret: "another-secret" } };
  await answered(201, first.post("/api/v1/channels", hook));
  await moved(t, first, second);
});

test("what requests made is exported, applied to an empty server and exported as the same text", async (t) => {
  t.diagnostic(`TEST_SEED=${TEST_SEED}`);
  const all = process.env["TEST_ALL_RUNS"] ? 20 : 2;
  const seed = fc.nat();
  await fc.assert(
    fc.asyncProperty(seed, fc.integer({ min: 0, max: 300 }), (seed, count) => roundTrip(t, seed, count)),
    {
      numRuns: all,
      seed: TEST_SEED,
      examples: [
        [TEST_SEED, 14],
        [TEST_SEED, 300],
      ],
      endOnFailure: process.env["TEST_SHRINK"] === undefined,
    },
  );
});
