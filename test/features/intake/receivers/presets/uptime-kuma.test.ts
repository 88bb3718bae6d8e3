import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../../../../helpers/eventually.ts";
import { rowsOf } from "../../../../helpers/tables.ts";
import { type Made, ReceiverTest } from "../support.ts";

/**
 * Requests of the notification types Webhook, Slack and Discord of Uptime Kuma 2.5, run from its
 * source with a monitor that goes down and up.
 */
interface Recorded {
  readonly name: string;
  readonly method: string;
  readonly query: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}
const RECORDED = JSON.parse(
  readFileSync(join(import.meta.dirname, "support/uptime-kuma.json"), "utf8"),
) as readonly Recorded[];

class Kuma {
  readonly #it: ReceiverTest;
  sent = 0;

  constructor(it: ReceiverTest) {
    this.#it = it;
  }

  async send(receiver: Made, name: string): Promise<void> {
    const requests = RECORDED.filter((each) => each.name === name);
    assert.ok(requests.length > 0, name);
    for (const { method, query, headers, body } of requests) {
      const suffix = query === "" ? "" : `?${query}`;
      const reply = await this.#it.send(receiver, method === "GET" ? undefined : body, { method, headers, suffix });
      assert.ok(reply.status < 300, `${name}: ${reply.status} ${reply.text}`);
      this.sent += 1;
    }
  }

  /** Titles and levels of firing alerts. */
  async firing() {
    const alerts = await this.#it.alerts();
    return alerts.map(({ labels, annotations }) => [annotations["summary"], labels["severity"], labels["team"]]);
  }
}

test("what Uptime Kuma's type Webhook sends opens and resolves alerts, in all its forms", async (t) => {
  const it = await ReceiverTest.start(t);
  const kuma = new Kuma(it);
  const secret = "kuma-secret-1";
  const receivers: readonly (readonly [string, Made])[] = [
    ["webhook json", await it.make({ name: "JSON", preset: "uptime-kuma", secret })],
    ["webhook form-data", await it.make({ name: "form", preset: "uptime-kuma" })],
    ["webhook get", await it.make({ name: "GET", preset: "uptime-kuma" })],
  ];
  for (const [form, receiver] of receivers) {
    await kuma.send(receiver, `${form} down`);
    assert.deepEqual(await kuma.firing(), [["Shop is down", "critical", "web"]], form);
    const [alert] = await it.alerts();
    assert.equal(alert?.annotations["description"], "connect ECONNREFUSED 127.0.0.1:8080");
    assert.equal(alert?.generatorUrl, "https://shop.example/health");
    await kuma.send(receiver, `${form} up`);
    assert.deepEqual(await kuma.firing(), [], form);
  }
  assert.equal((await it.alerts("resolved")).length, receivers.length);
});

test("Uptime Kuma's test and its notice of a certificate are events, and the members are notified of them", async (t) => {
  const it = await ReceiverTest.start(t);
  const kuma = new Kuma(it);
  const receiver = await it.make({ preset: "uptime-kuma" });
  for (const name of ["webhook json test", "webhook form-data test", "webhook get certificate"])
    await kuma.send(receiver, name);
  const events = await it.events("uptime-kuma.event");
  const certificate = "[Shop][https://shop.example/health] Server certificate CN=shop.example will expire in 7 days";
  const rows = events.map(({ level, payload }) => [level, payload["title"]]);
  assert.deepEqual(rows, [
    ["info", "My Webhook Alert (1) Testing"],
    ["info", "My Webhook Alert (1) Testing"],
    ["warn", certificate],
  ]);
  const titles = "select title from notifications where kind = 'rule' order by createdAt, id";
  await eventually("all are notified of", () => rowsOf(it.prism, titles).length === 3);
});

test("a custom body of Uptime Kuma arrives at a generic receiver", async (t) => {
  const it = await ReceiverTest.start(t);
  const kuma = new Kuma(it);
  await kuma.send(await it.make({ preset: "generic" }), "webhook custom down");
  const [event] = await it.events("message");
  assert.equal(event?.payload["title"], "Shop is 🔴 Down");
});

test("Uptime Kuma's types Slack and Discord arrive at URLs of their form", async (t) => {
  const it = await ReceiverTest.start(t);
  const kuma = new Kuma(it);
  const slack = await it.make({ name: "Slack", preset: "slack" });
  const discord = await it.make({ name: "Discord", preset: "discord" });
  for (const name of ["slack rich down", "slack rich up", "slack plain test"]) await kuma.send(slack, name);
  for (const name of ["discord down", "discord up", "discord test"]) await kuma.send(discord, name);
  const shown = (events: Awaited<ReturnType<typeof it.events>>) =>
    events.map(({ level, payload }) => [level, payload["title"]]);
  assert.deepEqual(shown(await it.events("slack.message")), [
    ["error", "Shop"],
    ["info", "Shop"],
    ["info", "My Webhook Alert (1) Testing"],
  ]);
  assert.deepEqual(shown(await it.events("discord.message")), [
    ["error", "❌ Your service Shop went down. ❌"],
    ["info", "✅ Your service Shop is up! ✅"],
    ["info", "My Webhook Alert (1) Testing"],
  ]);
});
