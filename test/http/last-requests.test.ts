import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { RawConnection, requestText } from "./support/raw-connection.ts";

const CONNECTIONS = 200;
const GROUPS = 10;

async function keptConnections(t: TestContext, prism: TestPrism, request: string): Promise<RawConnection[]> {
  const kept: RawConnection[] = [];
  for (let i = 0; i < CONNECTIONS; i++) {
    const connection = await RawConnection.open(t, prism.app.port);
    connection.send(request);
    assert.equal((await connection.reply("POST")).status, 202);
    kept.push(connection);
  }
  return kept;
}

test("requests on kept connections are answered while the server stops", async (t) => {
  const prism = await startPrism(t, { settings: { shutdownMs: "10000", "rateLimit.enabled": "false" } });
  const authorization = `Authorization: Bearer ${prism.adminToken}`;
  const request = requestText(
    "POST",
    "/api/v1/events",
    [authorization, "Content-Type: application/json"],
    '{"type":"a"}',
  );
  const kept = await keptConnections(t, prism, request);
  // What comes in the first tenth of a second, while the server is at work on its stop, and after
  // that.
  const send = (group: number): void => {
    for (const [i, connection] of kept.entries()) if (i % GROUPS === group) connection.send(request);
  };
  for (let group = 0; group < GROUPS; group++) setTimeout(send, group * 10, group);
  await prism.stop();
  const replies = await Promise.all(kept.map((connection) => connection.reply("POST")));
  for (const { status, headers } of replies) {
    assert.equal(status, 503);
    assert.equal(headers.get("connection"), "close");
    assert.ok(Number(headers.get("retry-after")) > 0);
  }
});
