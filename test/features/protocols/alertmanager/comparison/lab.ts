import assert from "node:assert/strict";
import { eventually } from "../../../../helpers/eventually.ts";
import type { Body, Post, Recorder, SideName } from "./recorder.ts";

export const SIDES = ["alertmanager", "prism"] as const satisfies readonly SideName[];

/** Base URLs of API v2, with credentials. */
export type Urls = Readonly<Record<SideName, string>>;

export interface AlertChanges {
  /** null: it has no such label. */
  readonly labels?: Readonly<Record<string, string | null>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly generatorURL?: string;
  readonly startsAt?: Date;
  readonly endsAt?: Date;
}

interface SentAlert {
  readonly labels: Readonly<Record<string, string | null>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL?: string;
}

/** The last status of alerts by their label `n`. */
export type Told = Readonly<Record<string, "firing" | "resolved">>;

export interface Silence {
  readonly matchers: readonly object[];
  ids: Readonly<Record<SideName, string>>;
}

const HOUR = 3_600_000;

/**
 * What one scenario does to both servers. Every alert has the labels `scenario` and `n`; each request goes to both at
 * the same time. A phase ends when both have posted what it waits for, so both see the same states in the same order.
 */
export class Lab {
  readonly id: string;
  readonly explicitTimes = new Set<number>();
  /** For each phase the number of posts of each side until its end. */
  readonly ends: Readonly<Record<SideName, number>>[] = [];
  readonly #recorder: Recorder;
  readonly #urls: Urls;
  readonly #alerts = new Map<string, SentAlert>();
  #looks = 0;
  #isLooking = false;
  /** Something was requested since the last phase ended. */
  #hasActed = false;

  constructor(id: string, recorder: Recorder, urls: Urls) {
    this.id = id;
    this.#recorder = recorder;
    this.#urls = urls;
  }

  /** Alerts fire, in one request. */
  async fire(...names: readonly string[]): Promise<void> {
    for (const name of names) this.change(name);
    await this.send(names);
  }

  /** Alerts end, in one request. */
  async end(...names: readonly string[]): Promise<void> {
    for (const name of names) this.change(name, { endsAt: new Date() });
    await this.send(names);
  }

  /** Defines what the next request says of an alert; what is left out stays as it is. */
  change(name: string, changes: AlertChanges = {}): void {
    const before = this.#alerts.get(name);
    const isOver = before === undefined || Date.parse(before.endsAt) <= Date.now();
    const start = changes.startsAt ?? (isOver && !changes.endsAt ? new Date() : undefined);
    const startsAt = start?.toISOString() ?? before?.startsAt ?? new Date().toISOString();
    const endsAt = (changes.endsAt ?? new Date(Date.now() + HOUR)).toISOString();
    const labels = { alertname: this.id, scenario: this.id, n: name, ...before?.labels, ...changes.labels };
    const annotations = { summary: `${name} of ${this.id}`, ...before?.annotations, ...changes.annotations };
    const generatorURL = changes.generatorURL ?? before?.generatorURL;
    for (const time of [startsAt, endsAt]) this.explicitTimes.add(Date.parse(time));
    this.#alerts.set(name, { labels, annotations, startsAt, endsAt, ...(generatorURL ? { generatorURL } : {}) });
  }

  /** @returns the statuses of the answers */
  async send(names: readonly string[], isRefused = false): Promise<Readonly<Record<SideName, number>>> {
    const body = names.map((name) => {
      const { labels, ...alert } = this.#alerts.get(name) as SentAlert;
      return { ...alert, labels: Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== null)) };
    });
    if (!this.#isLooking) this.#hasActed = true;
    const statuses = await this.#both(async (side) => (await this.#request(side, "POST", "alerts", body)).status);
    if (!isRefused) assert.deepEqual(statuses, { alertmanager: 200, prism: 200 }, `${this.id}: alerts`);
    return statuses;
  }

  /** @param matchers such as `n=a`, `n!=a`, `n=~a|b` */
  async silence(matchers: readonly string[], startsInMs = 0): Promise<Silence> {
    const parsed = [`scenario=${this.id}`, ...matchers].map(matcherOf);
    const ids = await this.#storeSilence({ matchers: parsed, ...spanOf(startsInMs) });
    return { matchers: parsed, ids };
  }

  /** A silence gets other matchers. */
  async rewrite(silence: Silence, matchers: readonly string[]): Promise<void> {
    const parsed = [`scenario=${this.id}`, ...matchers].map(matcherOf);
    silence.ids = await this.#storeSilence({ matchers: parsed, ...spanOf(0) }, silence);
  }

  async expire({ ids }: Silence): Promise<void> {
    this.#hasActed = true;
    const statuses = await this.#both(
      async (side) => (await this.#request(side, "DELETE", `silence/${ids[side]}`)).status,
    );
    assert.deepEqual(statuses, { alertmanager: 200, prism: 200 }, `${this.id}: the silence ends`);
  }

  /** Ends a phase: each side has posted these statuses last. @param only what only one side posts */
  async until(told: Told, only: Partial<Readonly<Record<SideName, Told>>> = {}, path = this.id): Promise<void> {
    for (const side of SIDES) {
      const wanted = Object.entries({ ...told, ...only[side] });
      await eventually(
        () => `${side} posts ${JSON.stringify(wanted)} to ${path}, not only ${this.#texts(side, path)}`,
        () => wanted.every(([name, status]) => this.#lastStatus(side, path, name) === status),
        PATIENCE_MS,
      );
    }
    this.#endPhase();
  }

  /** Ends a phase: each side has made so many posts to the path. */
  async untilPosts(count: number, path = this.id): Promise<void> {
    for (const side of SIDES)
      await eventually(
        `${side} posts ${count} times to ${path}`,
        () => this.postsOf(side).filter((post) => post.path === `/${path}`).length >= count,
        PATIENCE_MS,
      );
    this.#endPhase();
  }

  /** Every group of both is looked at: an alert of another group fires and ends. */
  async look(): Promise<void> {
    this.#looks += 1;
    const name = `look-${this.id}-${this.#looks}`;
    this.change(name, { labels: { scenario: "look", alertname: name } });
    this.#isLooking = true;
    await this.send([name]);
    await this.until({ [name]: "firing" }, {}, "look");
    await this.end(name);
    await this.until({ [name]: "resolved" }, {}, "look");
    this.#isLooking = false;
  }

  /** Posts of the scenario, in order. */
  postsOf(side: SideName): readonly Post[] {
    const paths = new RegExp(`^/${this.id}(/|$)`);
    return this.#recorder.posts.filter((post) => post.side === side && paths.test(post.path));
  }

  /** The recorder answers the next posts of each side with 500. */
  refuseNext(count: number): void {
    this.#recorder.refusals.set(`/${this.id}`, count);
  }

  #endPhase(): void {
    // Waits after each other are one phase.
    if (!this.#hasActed) this.ends.pop();
    this.#hasActed = false;
    this.ends.push({ alertmanager: this.postsOf("alertmanager").length, prism: this.postsOf("prism").length });
  }

  #lastStatus(side: SideName, path: string, name: string): string | undefined {
    const own = this.#recorder.posts.filter((post) => post.side === side && post.path === `/${path}`);
    const alerts = own.flatMap(({ body }) => body.alerts.filter(({ labels }) => labels["n"] === name));
    return alerts.at(-1)?.status;
  }

  #texts(side: SideName, path: string): string {
    const own = this.#recorder.posts.filter((post) => post.side === side && post.path === `/${path}`);
    return own.map(({ body }) => `[${pairsOf(body).join(", ")}]`).join(" ");
  }

  async #storeSilence(silence: object, old?: Silence): Promise<Readonly<Record<SideName, string>>> {
    this.#hasActed = true;
    return this.#both(async (side) => {
      const id = old === undefined ? {} : { id: old.ids[side] };
      const body = { ...silence, ...id, createdBy: "test", comment: this.id };
      const response = await this.#request(side, "POST", "silences", body);
      const text = await response.text();
      assert.equal(response.status, 200, `${this.id}: a silence of ${side}: ${text}`);
      return (JSON.parse(text) as { silenceID: string }).silenceID;
    });
  }

  async #both<T>(ask: (side: SideName) => Promise<T>): Promise<Readonly<Record<SideName, T>>> {
    const [alertmanager, prism] = await Promise.all([ask("alertmanager"), ask("prism")]);
    return { alertmanager, prism };
  }

  #request(side: SideName, method: string, path: string, body?: unknown): Promise<Response> {
    const { origin, pathname, username, password } = new URL(this.#urls[side]);
    return fetch(`${origin}${pathname.replace(/\/$/, "")}/api/v2/${path}`, {
      method,
      headers: { Authorization: `Basic ${btoa(`${username}:${password}`)}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}

/** The repeat interval is a minute, and a busy machine needs long. */
const PATIENCE_MS = 180_000;

/** Such as `a firing`, sorted. */
export function pairsOf({ alerts }: Body): string[] {
  return alerts.map(({ status, labels }) => `${labels["n"]} ${status}`).sort();
}

function matcherOf(text: string) {
  const [, name = "", operator = "=", value = ""] = /^(\w+)(=~|!~|!=|=)(.*)$/s.exec(text) ?? [];
  return { name, value, isRegex: operator.endsWith("~"), isEqual: !operator.startsWith("!") };
}

function spanOf(startsInMs: number) {
  const start = Date.now() + startsInMs;
  return { startsAt: new Date(start).toISOString(), endsAt: new Date(start + HOUR).toISOString() };
}
