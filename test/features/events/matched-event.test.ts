import assert from "node:assert/strict";
import test from "node:test";
import WebSocket from "ws";
import { startPrism } from "../../helpers/prism.ts";

test("an event that a rule matches reaches the user's live stream, and is still there when asked for", async (t) => {
  const prism = await startPrism(t);
  const me = await prism.get<{ id: string }>("/api/v1/users/me");
  const rule = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "failed payments",
    condition: "event.type == 'payment.failed' && event.amount > 1000",
    targetUsers: ["me"],
    titleTemplate: "Payment of {{event.amount}} failed",
  });
  assert.equal(rule.status, 201);

  const socket = new WebSocket(`${prism.wsUrl}/ws`, { headers: { Authorization: `Bearer ${prism.adminToken}` } });
  const messages: Record<string, unknown>[] = [];
  const told = new Promise<Record<string, unknown>>((resolve, reject) => {
    socket.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Record<string, unknown>;
      messages.push(message);
      if (message["op"] === "welcome") socket.send(JSON.stringify({ op: "subscribe", id: "1", stream: "user:me" }));
      if (message["op"] === "subscribed") void prism.post("/events", { type: "payment.failed", amount: 1500 });
      if (message["op"] === "event") resolve(message);
    });
    socket.on("error", reject);
  });
  const message = await told;
  socket.close();
  assert.equal(message["stream"], `user:${me.body.id}`);
  assert.equal((message["data"] as { title: string }).title, "Payment of 1500 failed");

  const list = await prism.get<{ data: { ruleId: string; title: string }[] }>("/api/v1/notifications");
  const rows = list.body.data.map(({ ruleId, title }) => ({ ruleId, title }));
  assert.deepEqual(rows, [{ ruleId: rule.body.id, title: "Payment of 1500 failed" }]);
});
