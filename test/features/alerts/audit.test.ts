import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";

interface Row {
  readonly action: string;
  readonly resourceId: string;
  readonly metadata: unknown;
}

async function idOf(prism: TestPrism, path: string, body: object): Promise<string> {
  return (await prism.post<{ id: string }>(path, body)).body.id;
}

/** The rows of an action, first ones first. */
async function recorded(prism: TestPrism, action: string): Promise<readonly (readonly [string, unknown])[]> {
  const { body } = await prism.get<{ data: readonly Row[] }>(`/api/v1/audit?action=${action}`);
  return body.data.map(({ resourceId, metadata }) => [resourceId, metadata] as const).reverse();
}

test("an alert that a person resolves leaves one audit row", async (t: TestContext) => {
  const prism = await startPrism(t);
  const alerts = [{ key: "disk", labels: { alertname: "Disk" } }];
  const posted = await prism.post<{ data: { id: string }[] }>("/api/v1/alerts", { alerts });
  const id = posted.body.data[0]?.id ?? "";
  // The second one changes nothing.
  for (let i = 0; i < 2; i++) assert.equal((await prism.post(`/api/v1/alerts/${id}/resolve`)).status, 200);
  const rows = await recorded(prism, "alert.resolve");
  const shown = rows.map(([resourceId]) => resourceId);
  assert.deepEqual(shown, [id]);
});

test("changes of policies, routing and contact rules leave audit rows", async (t) => {
  const prism = await startPrism(t);
  const rules = { high: [{ afterMs: 0, channels: ["email"] }], low: [] };
  assert.equal((await prism.put("/api/v1/users/me/contact-rules", rules)).status, 200);
  const me = (await prism.get<{ id: string }>("/api/v1/users/me")).body.id;
  assert.deepEqual(await recorded(prism, "user.contact_rules"), [[me, { high: 1, low: 0 }]]);

  const routing = { route: { policy: "default", groupBy: ["service"] } };
  assert.equal((await prism.put("/api/v1/routes", routing)).status, 200);
  assert.equal((await recorded(prism, "routing.update")).length, 1);

  const id = await idOf(prism, "/api/v1/policies", { name: "db", steps: [{ type: "notify", members: true }] });
  assert.equal((await prism.patch(`/api/v1/policies/${id}`, { repeat: 2 })).status, 200);
  assert.equal((await prism.delete(`/api/v1/policies/${id}`)).status, 204);
  for (const action of ["policy.create", "policy.update", "policy.delete"]) {
    const rows = await recorded(prism, action);
    const shown = rows.map(([resourceId]) => resourceId);
    assert.deepEqual(shown, [id], action);
  }
});
