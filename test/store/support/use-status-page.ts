import assert from "node:assert/strict";
import { statusSweeps } from "../../../src/features/statuspage/table.ts";
import type { TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/status-page";

/** Uses every route of status pages, and their sweeps. */
export async function useStatusPage(prism: TestPrism): Promise<void> {
  const ok = async (path: string): Promise<void> => {
    const reply = await prism.get(path);
    assert.equal(reply.status, 200, `${path}: ${reply.text}`);
  };
  const sources = [{ matchers: ['service="web"'], effect: "outage" }];
  const groups = [{ name: "Shop", components: [{ name: "Website", sources }] }];
  const page = await prism.put(PATH, { enabled: true, title: "Shop", groups });
  assert.equal(page.status, 200, page.text);
  const text = { kind: "incident", title: "Payments fail", text: "We are looking into it" };
  const { body: notice } = await prism.post<{ id: string }>(`${PATH}/notices`, text);
  for (const path of ["", ".json", "/history.json", "/feed.atom"]) await ok(`/status/default${path}`);
  await ok(PATH);
  const cursor = Buffer.from(JSON.stringify([notice.id])).toString("base64url");
  for (const list of ["notices", "subscribers"])
    for (const query of ["", "?page=1", `?cursor=${cursor}`]) await ok(`${PATH}/${list}${query}`);
  const one = `${PATH}/notices/${notice.id}`;
  await ok(one);
  assert.equal((await prism.patch(one, { state: "resolved" })).status, 200);
  const { database, clock } = prism.parts.base;
  for (const { sweep } of statusSweeps(() => 90)) await sweep(database, clock.now(), () => false);
  assert.equal((await prism.delete(one)).status, 204);
}
