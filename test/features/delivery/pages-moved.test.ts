import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { listening } from "../../helpers/listening.ts";
import { answered } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { IncidentWorld } from "../alerts/incidents/support.ts";
import { httpServer } from "../channels/presets/http.ts";
import { startStandIn } from "../channels/support/stand-in.ts";

test("a channel that is moved to another host waits behind nothing of the old one, whose trouble stays", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, projectId } = world;
  const { pages } = prism.parts.offers;
  const oldHost = createServer((_request, response) => response.end());
  const oldUrl = `http://127.0.0.1:${await listening(t, oldHost)}`;
  const newHost = await startStandIn(t, httpServer());
  const { service } = newHost;
  const channel = async (name: string): Promise<string> => {
    const body = { name, preset: "http", projectId, fields: service.fields(oldUrl) };
    return (await answered(201, prism.post<{ id: string }>("/api/v1/channels", body))).body.id;
  };
  const [stays, moves] = [await channel("stays"), await channel("moves")];
  const pageThem = async (...ids: readonly string[]): Promise<void> => {
    const { version } = (await prism.get<{ version: number }>(`/api/v1/policies/${projectId}`)).body;
    const steps = ids.map((id) => ({ type: "channel", id }));
    const headers = { "If-Match": `"${version}"` };
    await answered(200, prism.put(`/api/v1/policies/${projectId}`, { steps }, { headers }));
  };
  const outcomes = (id: string) =>
    rowsOf<{ outcome: string; hasFailed: number }>(
      prism,
      "select outcome, failedAt is not null as hasFailed from pages where target like '%' || ? order by createdAt, id",
      id,
    );

  await pageThem(stays, moves);
  await world.fire("A");
  await eventually("both work", () => [stays, moves].every((id) => outcomes(id)[0]?.outcome === "delivered"));
  oldHost.close();
  oldHost.closeAllConnections();
  await pageThem(stays);
  await world.fire("B");
  await eventually("the old host counts as failed", async () => {
    world.clock.advance(1000);
    await pages.check();
    return outcomes(stays).at(-1)?.outcome === "failed";
  });
  await answered(200, prism.patch(`/api/v1/channels/${moves}`, { fields: service.fields(newHost.url) }));
  await pageThem(moves);
  await world.fire("C");
  await eventually("it is sent, and no time has passed", () => newHost.seen.length === 1);
  await eventually("so its row says", () => outcomes(moves)[1]?.outcome === "delivered");
  assert.deepEqual(outcomes(moves)[1], { outcome: "delivered", hasFailed: 0 });
  assert.deepEqual(
    pages.troubles.map(({ isFailed, waiting }) => ({ isFailed, waiting })),
    [{ isFailed: true, waiting: 1 }],
  );
});
