import assert from "node:assert/strict";
import test from "node:test";
import type { Mount } from "../../src/http/server/router.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism } from "../helpers/prism.ts";

const BYTES = 3000;
const BODY = JSON.stringify({ text: "x".repeat(BYTES - 11) });

/** Routes that do not charge this body, and why. */
const UNCHARGED: Readonly<Record<string, string>> = {
  "POST /api/v1/events": "events have limits of their own, and are charged from their 1000th member on",
  "POST /events": "as above",
  "POST /ingest": "as above",
  "POST /api/ingest": "as above",
  "POST /api/v1/ingest": "as above",
  "POST /account/acknowledge": "its limit is less, and the body is not read",
  "POST /apps/:appId/events": "without a signature the body is not read",
  "POST /apps/:appId/batch_events": "without a signature the body is not read",
  "POST /apps/:appId/users/:id/terminate_connections": "without a signature the body is not read",
  "POST /in/:token/:shape": "a receiver of another preset: the body is dropped, and charged above 16 KiB",
  "PATCH /in/:token/messages/:message": "the body is dropped, and charged above 16 KiB",
};

test("every route that takes a body charges it to its caller, or to the address of a stranger", async (t) => {
  const settings = {
    "rateLimit.enabled": "false",
    "work.projectMsPerSecond": "10000",
    "work.creatorMsPerSecond": "10000",
  };
  const prism = await startPrism(t, { clock: new FakeClock(), settings });
  const { router, work } = prism.parts.core;
  const { url } = (await prism.post<{ url: string }>("/api/v1/receivers", { name: "r", preset: "generic" })).body;
  const made = await prism.post<{ key: string }>("/api/v1/integrations", { kind: "opsgenie", name: "og" });
  const token = new URL(url).pathname.split("/").at(-1) ?? "";
  const { mock } = t.mock.method(work, "charge");
  const takesBody = ({ route }: Mount): boolean =>
    route.body !== undefined && (route.access === "public" || route.access.operatorOnly !== true);
  const uncharged: string[] = [];
  for (const { path, route } of router.mounts.filter(takesBody)) {
    const filled = path
      .replace(/^(\/in|\/integrations\/v1\/:type)\/:token/, (start) => start.replace(":token", token))
      .replace("/:type/", "/webhook/")
      .replace(/:\w+/g, "x");
    const type = route.raw?.types[0] ?? "application/json";
    const authorization = /^\/v2\/(alerts|integrations)/.test(path)
      ? `GenieKey ${made.body.key}`
      : `Bearer ${prism.adminToken}`;
    const headers = {
      "content-type": type === "*" ? "application/json" : type,
      ...(route.access === "public" ? {} : { authorization }),
    };
    const before = mock.callCount();
    const reply = await fetch(prism.url + filled, { method: route.method, headers, body: BODY, redirect: "manual" });
    await reply.arrayBuffer();
    const bytes = mock.calls
      .slice(before)
      .filter(({ arguments: [account] }) => account !== null)
      .reduce((sum, { arguments: [, { bytes = 0, read = 0 }] }) => sum + Math.max(bytes, read), 0);
    if (bytes < BYTES) uncharged.push(`${route.method} ${path}`);
  }
  assert.deepEqual(uncharged, Object.keys(UNCHARGED));
});
