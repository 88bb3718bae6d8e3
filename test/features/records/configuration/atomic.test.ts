import assert from "node:assert/strict";
import test from "node:test";
import { inspect } from "node:util";
import { PrismError } from "../../../../src/core/errors.ts";
import { chanceOf, TEST_SEED } from "../../../helpers/chance.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { dumpOf } from "./support/dump.ts";
import { documentOf, HOSTS, send } from "./support/files.ts";
import { Objects, PROJECTS } from "./support/objects.ts";

/** Lets the n-th record of the audit trail fail, which each change writes in its transaction. */
function failAt(prism: TestPrism, n: number, error: Error): { readonly end: () => number } {
  const { audit } = prism.parts.features.context;
  const { record } = audit;
  let count = 0;
  audit.record = (...given: Parameters<typeof record>) => {
    count += 1;
    if (count === n) return Promise.reject(error);
    return record.apply(audit, given);
  };
  return {
    end() {
      audit.record = record;
      return count;
    },
  };
}

test("an apply that is refused at any of its objects stores none of them", async (t) => {
  chanceOf(t);
  const prism = await startPrism(t, HOSTS);
  const kinds = await prism.parts.features.context.configKinds({});
  const { objects, secrets } = documentOf(kinds, new Objects(kinds, TEST_SEED).fill(19).made);
  const before = dumpOf(prism);
  const refused = new PrismError("LIMIT_REACHED", "No room is left");
  let n = 1;
  for (; ; n++) {
    const failing = failAt(prism, n, n % 5 === 0 ? new Error("of the server") : refused);
    const { status } = await send(prism, "apply", { objects }, { secrets });
    const isOver = failing.end() < n;
    if (isOver) {
      assert.equal(status, 200);
      break;
    }
    assert.equal(status, n % 5 === 0 ? 500 : 409, String(n));
    assert.deepEqual(dumpOf(prism), before, String(n));
  }
  assert.ok(n > objects.length, `${n} records of ${objects.length} objects`);
  assert.notDeepEqual(dumpOf(prism), before);
  const { body } = await answered(200, prism.get<{ ok: boolean }>("/api/v1/audit/verify"));
  assert.equal(body.ok, true);
});

test("secrets are in no answer, export, audit row or log, and a reader learns nothing of a guess", async (t) => {
  chanceOf(t);
  const log = new LogLines("debug");
  const prism = await startPrism(t, { ...HOSTS, log });
  const kinds = await prism.parts.features.context.configKinds({});
  const { objects, secrets } = documentOf(kinds, new Objects(kinds, TEST_SEED).fill(120).made);
  const texts: string[] = [];
  const unknown = { kind: "heartbeats", project: String(PROJECTS[0]), spec: { name: "" }, at: "a.yaml:1:1" };
  const refused = await send(prism, "apply", { objects: [...objects, unknown] }, { secrets });
  assert.equal(refused.status, 409, refused.text);
  // As an error that nobody expected.
  const failing = failAt(prism, objects.length - 1, new Error("of the server"));
  assert.equal((await send(prism, "apply", { objects }, { secrets })).status, 500);
  failing.end();
  texts.push(refused.text);
  for (const mode of ["plan", "apply"] as const) {
    const { status, text } = await send(prism, mode, { objects }, { secrets });
    assert.equal(status, 200, text);
    texts.push(text);
  }
  const ofSecrets = new Set(kinds.filter((kind) => kind.secrets).map(({ kind }) => kind));
  const named = new Set(
    objects.filter(({ spec }) => JSON.stringify(spec).includes("PRISM_SECRET_")).map(({ kind }) => kind),
  );
  for (const kind of named) assert.ok(ofSecrets.has(kind), kind);
  const { id, token } = await makeUser(prism, "reader", ["User"]);
  for (const slug of PROJECTS)
    await answered(201, prism.post(`/api/v1/projects/${slug}/members`, { userId: id, role: "viewer" }));
  const own = objects.filter(({ kind, project }) => project !== undefined && ofSecrets.has(kind));
  const wrong = Object.fromEntries(
    Object.entries(secrets).map(([name, value]) => [name, value.replace(/\w$/, (end) => (end === "0" ? "1" : "0"))]),
  );
  const plans = [];
  for (const given of [secrets, wrong, {}])
    plans.push(await send(prism, "plan", { objects: own }, { secrets: given, token }));
  for (const { status, body } of plans) assert.deepEqual([status, body], [200, plans[0]?.body]);
  assert.deepEqual(plans[0]?.body.changes, []);
  const seen = await send(prism, "plan", { objects: own }, { secrets: wrong });
  assert.ok(seen.body.changes.length > 0 && !seen.text.includes("TOKEN_OF"), seen.text);
  texts.push(seen.text, ...plans.map(({ text }) => text));
  texts.push((await prism.get("/api/v1/configuration/export?people=true")).text);
  texts.push(
    (await prism.get("/api/v1/configuration/managed")).text,
    JSON.stringify(rowsOf(prism, "select * from audit_log")),
  );
  texts.push(JSON.stringify(rowsOf(prism, "select * from managed_objects")));
  assert.ok(log.lines.some(({ level }) => level === "error"));
  texts.push(inspect(log.lines, { depth: null, maxStringLength: null, maxArrayLength: null }));
  for (const [name, value] of [...Object.entries(secrets), ...Object.entries(wrong)])
    for (const text of texts)
      assert.ok(
        !text.includes(value),
        `${name} in ${text.slice(Math.max(0, text.indexOf(value) - 200), text.indexOf(value) + 60)}`,
      );
});
