import assert from "node:assert/strict";
import type { TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/heartbeats";

/** Uses every route of heartbeats, each form of ping, and one that is overdue. */
export async function useHeartbeats(prism: TestPrism): Promise<void> {
  const { heartbeats } = prism.parts.offers;
  const { database, clock } = prism.parts.base;
  const ok = async (path: string, status = 200): Promise<void> => {
    const reply = await prism.get(path);
    assert.equal(reply.status, status, `${path}: ${reply.text}`);
  };
  const { body } = await prism.post<{ id: string; pingUrl: string; badgeUrl: string }>(PATH, {
    name: "job",
    tags: ["db"],
  });
  const { body: key } = await prism.post<{ pingKey: string; badgeUrl: string }>(`${PATH}/key/rotate`, {});
  const ping = new URL(body.pingUrl).pathname;
  for (const suffix of ["/start", "", "/fail", "/log", "/0"]) await ok(ping + suffix);
  await ok(`/ping/${key.pingKey}/job`);
  await ok(`/ping/${key.pingKey}/other?create=1`, 201);
  for (let n = 0; n < 50; n++) await ok(ping);
  for (const url of [body.badgeUrl, key.badgeUrl]) await ok(new URL(url).pathname);
  const uuid = ping.slice("/ping/".length);
  await ok(`/api/push/${uuid.replaceAll("-", "")}?status=up`);
  const cursors = [JSON.stringify([body.id]), JSON.stringify([5]), JSON.stringify([5, body.id])].map((text) =>
    Buffer.from(text).toString("base64url"),
  );
  for (const filter of ["", "status=up", "slug=job", "q=jo", "pings=5"])
    for (const query of ["", "page=1", `cursor=${cursors[0]}`])
      await ok(`${PATH}?${[filter, query].filter(Boolean).join("&")}`);
  await ok(`${PATH}/${body.id}`);
  await ok(`${PATH}/key`);
  for (const query of ["", "?page=1", `?cursor=${cursors[1]}`]) await ok(`${PATH}/${body.id}/pings${query}`);
  await ok(`${PATH}/${body.id}/pings/1/body`, 404);
  for (const query of ["", "?page=1", `?cursor=${cursors[2]}`]) await ok(`${PATH}/${body.id}/flips${query}`);
  for (const path of ["", `/${uuid}`, `/${uuid}/pings/`, `/${uuid}/flips/?seconds=60&end=4000000000`])
    await ok(`/api/v3/checks${path}`);
  await ok("/api/v3/channels/");
  await ok("/api/v3/badges/");
  await ok("/projects/default/metrics/");
  const unique = { name: "job", unique: ["name"] };
  assert.equal((await prism.post("/api/v3/checks/", unique)).status, 200);
  assert.equal((await prism.patch(`${PATH}/${body.id}`, { graceMs: 60_000 })).status, 200);
  // As if its last ping was long ago.
  const past = clock.now() - 3_600_000;
  await database.write((trx) =>
    trx.updateTable("heartbeats").set({ dueAt: past, status: "up" }).where("id", "=", body.id).execute(),
  );
  await heartbeats.load();
  await heartbeats.due.check();
  for (const act of ["rotate", "pause", "resume"])
    assert.equal((await prism.post(`${PATH}/${body.id}/${act}`, {})).status, 200);
  assert.equal((await prism.delete(`${PATH}/${body.id}`)).status, 204);
}
