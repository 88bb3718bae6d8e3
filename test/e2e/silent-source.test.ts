import assert from "node:assert/strict";
import test from "node:test";
import type { Incident, Notification } from "../../src/client/api-types.gen.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

/** Alerts of Alertmanager's API are over so long after their last repetition. */
const TIMEOUT_MS = 8000;
const SILENT = "Source silent: prometheus";

test("a Prometheus that dies leaves one incident about it, also after kill -9, until it is back", async (t) => {
  const prism = new PrismBinary(t, { env: { PRISM_RATE_LIMIT_ENABLED: "false" } });
  await prism.start();
  const { body: made } = await prism.call<{ key: string }>("POST", "/api/v1/projects/default/keys", {
    name: "prometheus",
  });
  /** As Prometheus does: to Alertmanager's API, with the end of each alert. */
  const report = async (names: readonly string[], timeoutMs: number): Promise<void> => {
    const endsAt = new Date(Date.now() + timeoutMs).toISOString();
    const reply = await fetch(`${prism.url}/alertmanager/api/v2/alerts`, {
      method: "POST",
      headers: { Authorization: `Bearer ${made.key}`, "Content-Type": "application/json" },
      body: JSON.stringify(names.map((alertname) => ({ labels: { alertname }, endsAt }))),
    });
    assert.equal(reply.status, 200, await reply.text());
  };
  const incidents = async (): Promise<string[]> => {
    const all = await prism.all<Incident>("/api/v1/incidents?projectId=default");
    return all
      .sort((a, b) => a.number - b.number)
      .map(({ title, state, resolvedBy }) => [title, state, ...(resolvedBy ? [resolvedBy] : [])].join(" "));
  };
  const ended = ["A resolved timeout", "B resolved timeout", "C resolved timeout"];

  await report(["A", "B", "C"], TIMEOUT_MS);
  await eventually("one incident is open in place of three", async () => {
    const now = await incidents();
    return now.join() === [...ended, `${SILENT} open`].join();
  });
  await prism.kill();
  await prism.start();
  assert.deepEqual(await incidents(), [...ended, `${SILENT} open`]);
  await report(["B"], 60_000);
  await eventually("the source is back, and what fires is an incident again", async () => {
    const now = await incidents();
    return now.join() === [...ended, `${SILENT} resolved alerts`, "B open"].join();
  });
  const expected = ["Firing: A", "Firing: B", "Firing: B", "Firing: C", `Resolved: ${SILENT}`, SILENT];
  await eventually("each of them was notified once, and no end but the source's", async () => {
    const all = await prism.all<Notification>("/api/v1/notifications");
    const titles = all.filter(({ kind }) => kind === "incident").map(({ title }) => title);
    return titles.sort().join() === expected.join();
  });
  assert.equal(await prism.stop(), 0);
});
