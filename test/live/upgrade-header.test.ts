import assert from "node:assert/strict";
import test from "node:test";
import { startPrism } from "../helpers/prism.ts";
import { errorCodeOf, exchangeRaw, requestText } from "../http/support/raw-connection.ts";

test("a WebSocket key without Upgrade is answered 426", async (t) => {
  const prism = await startPrism(t);
  const headers = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"];
  const request = requestText("GET", "/ws", [...headers, `Authorization: Bearer ${prism.adminToken}`]);
  const reply = await exchangeRaw(t, prism.app.port, request);
  assert.deepEqual([reply.status, errorCodeOf(reply)], [426, "UPGRADE_REQUIRED"]);
});
