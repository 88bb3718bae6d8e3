import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";
import { type Made, ReceiverTest } from "../support.ts";

interface Webhook {
  readonly name: string;
  readonly examples: readonly (Readonly<Record<string, unknown>> & { readonly action?: string })[];
}

/** Real deliveries of GitHub. */
const WEBHOOKS = JSON.parse(
  readFileSync(createRequire(import.meta.url).resolve("@octokit/webhooks-examples/api.github.com/index.json"), "utf8"),
) as Webhook[];
const SECRET = "It's a Secret to Everybody";
const LEVELS = new Set(["info", "warn", "error", "fatal"]);
const FORM = "application/x-www-form-urlencoded";

interface LoggedOutcome {
  readonly eventIds: readonly string[];
  readonly alerts: readonly { readonly key: string; readonly outcome: string }[];
}

interface StoredEvent {
  readonly type: string;
  readonly level: string;
  readonly source: string;
  readonly payload: { readonly title: string; readonly key: string; readonly body: unknown };
}

class GitHub {
  readonly #it: ReceiverTest;
  readonly #receiver: Made;
  readonly #bodies = new Set<string>();

  constructor(it: ReceiverTest, receiver: Made) {
    this.#it = it;
    this.#receiver = receiver;
  }

  /** Sends as GitHub does. The examples have five bodies twice, which arrive as a form. */
  async deliver(event: string, example: unknown): Promise<LoggedOutcome> {
    const json = JSON.stringify(example);
    const isRepeated = this.#bodies.has(json);
    this.#bodies.add(json);
    const body = isRepeated ? new URLSearchParams({ payload: json }).toString() : json;
    const headers = this.headersOf(event, body, isRepeated ? FORM : "application/json");
    const reply = await this.#it.send(this.#receiver, body, { headers });
    assert.equal(reply.status, 200, `${event}: ${reply.text}`);
    const [logged] = await this.#it.requests(this.#receiver, 1);
    assert.equal(logged?.result, "accepted", event);
    return logged.outcome as unknown as LoggedOutcome;
  }

  headersOf(event: string, body: string, type: string) {
    return {
      "content-type": type,
      "user-agent": "GitHub-Hookshot/044aadd",
      "x-github-event": event,
      "x-github-delivery": randomUUID(),
      "x-hub-signature-256": `sha256=${createHmac("sha256", SECRET).update(body).digest("hex")}`,
    };
  }
}

test("all 329 payloads of GitHub get in by URL, with their signature checked", async (t) => {
  const it = await ReceiverTest.start(t, { settings: { "rateLimit.enabled": "false" } });
  const receiver = await it.make({ preset: "github", name: "GitHub", secret: SECRET });
  const github = new GitHub(it, receiver);
  const counts = { payloads: 0, firing: 0, ended: 0 };
  for (const { name, examples } of WEBHOOKS) {
    for (const example of examples) {
      const { eventIds, alerts } = await github.deliver(name, example);
      assert.equal(eventIds.length, 1, name);
      counts.payloads += 1;
      const { body } = await it.prism.get<StoredEvent>(`/api/v1/events/${eventIds[0] ?? ""}`);
      const { type, level, source, payload } = body;
      assert.equal(type, example.action === undefined ? `github.${name}` : `github.${name}.${example.action}`);
      assert.match(payload.title, /^[\w./-]+: [\w.].{3,}$/, name);
      assert.ok(payload.key.length > 3, name);
      assert.ok(LEVELS.has(level), level);
      assert.equal(source, "GitHub");
      assert.ok(typeof payload.body === "object" && payload.body !== null, name);
      for (const alert of alerts) {
        counts[alert.outcome === "opened" || alert.outcome === "updated" ? "firing" : "ended"] += 1;
        assert.match(alert.key, new RegExp(`^${name}/[^/]+/[^/]+/.+`), name);
        assert.equal(alert.key, payload.key);
      }
    }
  }
  t.diagnostic(JSON.stringify(counts));
  assert.equal(counts.payloads, 329);
  assert.equal(WEBHOOKS.length, 58);
  assert.deepEqual(await it.events("receiver.unmapped"), []);
});

test("a payload with another signature, or without one, is refused", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "github", name: "GitHub", secret: SECRET });
  const github = new GitHub(it, receiver);
  const body = JSON.stringify(WEBHOOKS[0]?.examples[0]);
  const signed = github.headersOf("push", body, "application/json");
  const { "x-hub-signature-256": signature, ...unsigned } = signed;
  const sha1 = `sha1=${createHmac("sha1", SECRET).update(body).digest("hex")}`;
  for (const headers of [
    unsigned,
    { ...unsigned, "x-hub-signature": sha1 },
    { ...unsigned, "x-hub-signature-256": sha1 },
    { ...unsigned, "x-hub-signature-256": signature.replace(/.$/, (last) => (last === "0" ? "1" : "0")) },
    { ...unsigned, "x-hub-signature-256": signature.slice("sha256=".length) },
  ])
    assert.equal((await it.send(receiver, body, { headers })).status, 401);
  assert.equal((await it.send(receiver, `${body} `, { headers: signed })).status, 401, "another body");
  assert.equal((await it.send(receiver, body, { headers: signed })).status, 200);
});

test("a run that succeeds resolves the alert of the same branch, and no other", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "github", name: "GitHub", secret: SECRET });
  const github = new GitHub(it, receiver);
  const run = (head_branch: string, conclusion: string, run_number: number) =>
    github.deliver("workflow_run", {
      action: "completed",
      workflow_run: { name: "CI", workflow_id: 7, head_branch, conclusion, run_number },
      repository: { full_name: "example/shop" },
    });
  await run("main", "failure", 1);
  await run("next", "timed_out", 2);
  assert.deepEqual((await it.alerts()).map(({ annotations }) => annotations["summary"]).sort(), [
    "example/shop: CI failed on main",
    "example/shop: CI timed out on next",
  ]);
  await run("main", "cancelled", 3);
  assert.equal((await it.alerts()).length, 2);
  await run("main", "success", 4);
  const rows = (await it.alerts()).map(({ labels }) => [labels["repository"], labels["branch"], labels["severity"]]);
  assert.deepEqual(rows, [["example/shop", "next", "error"]]);
});

test("a ping is an event that says so", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "github", name: "GitHub", secret: SECRET });
  await new GitHub(it, receiver).deliver("ping", {
    zen: "Keep it logically awesome.",
    repository: { full_name: "a/b" },
  });
  const [event] = await it.events("github.ping");
  assert.equal(event?.payload["title"], "a/b: the webhook works");
  assert.equal(event?.payload["message"], "Keep it logically awesome.");
});
