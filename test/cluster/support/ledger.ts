import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { Database as Sqlite } from "better-sqlite3";
import { openForReading } from "../../../src/store/sqlite/connection.ts";
import type { Receiver } from "../../e2e/outage/receiver.ts";
import { webhookReceiver } from "../../e2e/outage/receivers.ts";
import { callerOf, signUp } from "../../e2e/outage/site.ts";
import { eventually } from "../../helpers/eventually.ts";
import type { Scope } from "../../helpers/scope.ts";
import type { ClusterNode } from "./nodes.ts";

/* What clients of a cluster have been promised, and whether it was kept. */

/** Between two requests of one kind. */
const PAUSE_MS = 60;
const REQUEST_MS = 30_000;
const ESCALATES_MS = 3000;
/** For the last timers, deliveries and escalations. */
const SETTLE_MS = 90_000;

/** What was acknowledged, by kind. */
interface Promised {
  /** Ids of events. */
  readonly events: string[];
  /** Names in events of which a person is notified: each is a job. */
  readonly jobs: string[];
  /** Names in the payloads of events that timers make. */
  readonly timers: string[];
  /** Ids of messages. */
  readonly messages: string[];
  /** Names of alerts; each opens an incident. */
  readonly alerts: string[];
  /** Ids of incidents that were acknowledged. */
  readonly acknowledged: string[];
  pings: number;
}

export interface Targets {
  readonly jobs: Receiver;
  readonly first: Receiver;
  readonly second: Receiver;
}

/** Clients of all kinds, which go to a node at random and repeat what was not answered. */
export class Clients {
  readonly promised: Promised = {
    ...{ events: [], jobs: [], timers: [], messages: [], alerts: [], acknowledged: [] },
    pings: 0,
  };
  /** When an event was acknowledged last, by the monotonic clock. */
  acknowledgedAt = performance.now();
  readonly #nodes: readonly ClusterNode[];
  readonly #token: string;
  readonly #targets: Targets;
  readonly #running: Promise<void>[] = [];
  #pingUrl = "";
  #personId = "";
  #isStopped = false;
  #isOver = false;

  private constructor(nodes: readonly ClusterNode[], token: string, targets: Targets) {
    this.#nodes = nodes;
    this.#token = token;
    this.#targets = targets;
  }

  /** Makes a policy with two steps, a channel, a heartbeat and a person at the leader. */
  static async prepare(t: Scope, nodes: readonly ClusterNode[], leader: ClusterNode, token: string): Promise<Clients> {
    const targets = {
      jobs: await webhookReceiver(t, Date.now),
      first: await webhookReceiver(t, Date.now),
      second: await webhookReceiver(t, Date.now),
    };
    const clients = new Clients(nodes, token, targets);
    // A test that has failed does not wait for answers.
    t.after(() => {
      clients.#isStopped = true;
      clients.#isOver = true;
    });
    const server = callerOf(() => ({ url: leader.url, token }));
    const person = await signUp(server, "reader");
    clients.#personId = person.id;
    await server.call("POST", "/webhooks", { url: targets.jobs.url }, person.token);
    const rule = {
      condition: 'event.type == "ledger.job"',
      titleTemplate: "{{event.payload.name}}",
      channels: ["webhook"],
    };
    await server.call("POST", "/rules", { name: "jobs", projectId: "default", targetUsers: [person.id], ...rule });
    const steps = [
      { type: "webhook", url: targets.first.url },
      { type: "wait", ms: ESCALATES_MS },
      { type: "webhook", url: targets.second.url },
    ];
    await server.call("POST", "/policies", { name: "ledger", steps });
    const times = { groupBy: ["..."], groupWaitMs: 0, groupIntervalMs: 1000, repeatMs: 14_400_000 };
    await server.call("PUT", "/routes", { route: { policy: "ledger", ...times, routes: [] } });
    const heartbeat = await server.call<{ pingUrl: string }>("POST", "/heartbeats", {
      ...{ name: "ledger", kind: "simple", timeoutMs: 60_000, graceMs: 60_000, projectId: "default" },
    });
    clients.#pingUrl = new URL(heartbeat.pingUrl).pathname;
    return clients;
  }

  start(): void {
    const loads: readonly ((n: number) => Promise<void>)[] = [
      (n) => this.#sendEvents(n),
      (n) => this.#sendJob(n),
      (n) => this.#makeTimer(n),
      (n) => this.#sendMessage(n),
      (n) => this.#sendAlert(n),
      () => this.#ping(),
    ];
    for (const load of loads) this.#running.push(this.#repeat(load));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async #repeat(load: (n: number) => Promise<void>): Promise<void> {
    for (let n = 0; !this.#isStopped; n++) {
      await load(n);
      await setTimeout(PAUSE_MS);
    }
  }

  /** Forty at once: their rows are in one commit. */
  async #sendEvents(n: number): Promise<void> {
    const batch = Array.from({ length: 40 }, (_, i) => ({
      type: "ledger",
      dedupeKey: `event-${n}-${i}`,
      payload: { n },
    }));
    const sent = await this.#post("/api/v1/events", batch);
    this.promised.events.push(...((sent["results"] ?? []) as { id: string }[]).map(({ id }) => id));
    this.acknowledgedAt = performance.now();
  }

  async #sendJob(n: number): Promise<void> {
    const name = `Q.job.${n}.Q`;
    await this.#post("/api/v1/events", { type: "ledger.job", dedupeKey: name, payload: { name } });
    this.promised.jobs.push(name);
    await setTimeout(200);
  }

  async #makeTimer(n: number): Promise<void> {
    const name = `timer-${n}`;
    const action = { type: "event", event: "ledger.timer", payload: { name }, persist: true };
    const delayMs = 200 + (n % 40) * 200;
    await this.#post("/api/v1/time/trigger", { label: name, dedupeKey: name, delayMs, action });
    this.promised.timers.push(name);
  }

  async #sendMessage(n: number): Promise<void> {
    const content = { content: `message ${n}`, recipientId: this.#personId, delayMs: (n % 10) * 500 };
    const sent = await this.#post("/api/v1/messages", content, { "Idempotency-Key": `message-${n}` });
    this.promised.messages.push(String(sent["id"]));
    // At most 60 a minute.
    await setTimeout(1500);
  }

  async #sendAlert(n: number): Promise<void> {
    const name = `Q.alert.${n}.Q`;
    await this.#post("/api/v1/alerts", { alerts: [{ key: name, labels: { alertname: name } }] });
    this.promised.alerts.push(name);
    await setTimeout(500);
    if (n % 3 === 0) await this.#acknowledge(name);
  }

  async #acknowledge(name: string): Promise<void> {
    const found = await this.#request("GET", `/api/v1/incidents?limit=100`);
    const incidents = (found["data"] ?? []) as { id: string; title: string }[];
    const id = incidents.find(({ title }) => title.includes(name))?.id;
    if (id === undefined) return;
    await this.#request("POST", `/api/v1/incidents/${id}/acknowledge`, {});
    this.promised.acknowledged.push(id);
  }

  async #ping(): Promise<void> {
    await this.#request("GET", this.#pingUrl);
    this.promised.pings++;
    await setTimeout(500);
  }

  #post(path: string, body: object, headers?: Record<string, string>): Promise<Record<string, unknown>> {
    return this.#request("POST", path, body, headers);
  }

  /** Asks until it is answered with success, each time at a node at random. */
  async #request(
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<Record<string, unknown>> {
    while (!this.#isOver) {
      const node = this.#nodes[Math.floor(Math.random() * this.#nodes.length)];
      const reply = await fetch(`${node?.url}${path}`, {
        method,
        headers: { Authorization: `Bearer ${this.#token}`, "Content-Type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(REQUEST_MS),
      }).catch(() => null);
      const text = await reply?.text().catch(() => null);
      if (typeof text === "string" && reply && reply.ok) return text.startsWith("{") ? JSON.parse(text) : {};
      if (reply && reply.status < 500 && reply.status !== 429 && reply.status !== 409)
        throw new Error(`${method} ${path}: ${reply.status} ${text}`);
      await setTimeout(200);
    }
    return {};
  }

  /** Waits until everything is there. @throws AssertionError with what is not */
  async requireAll(node: ClusterNode): Promise<void> {
    let missing: Record<string, readonly string[]> = {};
    await eventually(
      () => `everything acknowledged is there; missing: ${JSON.stringify(missing)}`,
      () => {
        const reader = openForReading(node.file);
        try {
          missing = this.#missing(reader);
        } finally {
          reader.close();
        }
        return Object.values(missing).every((each) => each.length === 0);
      },
      SETTLE_MS,
    );
  }

  #missing(reader: Sqlite): Record<string, readonly string[]> {
    const { events, jobs, timers, messages, alerts, acknowledged, pings } = this.promised;
    const column = (sql: string) => new Set(reader.prepare<[], string>(sql).pluck().all());
    const without = (all: readonly string[], there: ReadonlySet<string>) => all.filter((each) => !there.has(each));
    const textOf = ({ ledger }: Receiver) => ledger.accepted.map(({ text }) => text).join("\n");
    const [first, second, delivered] = [this.#targets.first, this.#targets.second, this.#targets.jobs].map(textOf);
    const open = column("select title from incidents where state = 'open'");
    const titles = [...column("select title from incidents")];
    const unacknowledged = alerts.filter((name) => [...open].some((title) => title.includes(name)));
    const stored = reader.prepare<[], number>("select pingCount from heartbeats").pluck().get() ?? 0;
    const down = reader.prepare<[], number>("select count(*) from heartbeat_flips where status = 'down'").pluck().get();
    return {
      events: without(events, column("select id from events where type = 'ledger'")),
      timers: without(timers, column("select json_extract(payload, '$.name') from events where type = 'ledger.timer'")),
      messages: without(messages, column("select id from messages where status in ('delivered', 'read')")),
      jobs: jobs.filter((name) => !delivered?.includes(name)),
      lost: alerts.filter((name) => !titles.some((title) => title.includes(name))),
      // Who has acknowledged need not be paged any more.
      alerts: unacknowledged.filter((name) => !first?.includes(name)),
      escalations: unacknowledged.filter((name) => !second?.includes(name)),
      acknowledged: without(acknowledged, column("select id from incidents where state = 'acknowledged'")),
      pings: stored < pings ? [`${pings - stored} pings`] : [],
      heartbeats: down === 0 ? [] : ["a heartbeat was reported as down"],
    };
  }

  /** Calls that were made more than once: each time with the same id. @returns their number */
  requireSameIds(): number {
    let doubled = 0;
    const { jobs, first, second } = this.#targets;
    for (const receiver of [jobs, first, second]) {
      const ids = new Map<string, Set<string>>();
      for (const { id, text } of receiver.ledger.accepted) {
        const name = /Q\.\w+\.\d+\.Q/.exec(text)?.[0] ?? randomUUID();
        const known = ids.get(name);
        if (known) doubled++;
        ids.set(name, (known ?? new Set()).add(id));
      }
      for (const [name, all] of ids) assert.equal(all.size, 1, `${name} was sent with several ids: ${[...all]}`);
    }
    return doubled;
  }
}
