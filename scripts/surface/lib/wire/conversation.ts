import { HttpClient } from "../../../../test/helpers/http-client.ts";
import { at, type Json, parsed } from "./json.ts";
import type { Transcript } from "./transcript.ts";

/** Of each answer, and new each time. */
const IGNORED = ["x-request-id", "x-correlation-id", "date", "content-length", "connection", "keep-alive"];
const IDLE = ["ready", "running"];
const SETTLE_MS = 10_000;
/** Within it an incident takes a step that is due. */
const STEP_MS = 100;
const NO_STEPS = "none";
const MOST_PATIENCE = 4;

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent as it is, anything else as JSON. */
  readonly body?: Json | undefined;
  /** A bearer token; default: the administrator's; null: none. */
  readonly token?: string | null;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Json;
}

/** Requests to one server. */
export class Conversation {
  readonly url: string;
  readonly #client = new HttpClient();
  /** Headers of an ordinary answer, which the others are compared with. */
  #usual = new Map<string, string>();
  adminToken = "";
  /** Whether a recorded change waits for the work that it starts; not while queues are paused. */
  isPatient = true;
  /** Recorded requests by status. */
  readonly statuses = new Map<number, number>();

  constructor(url: string) {
    this.url = url;
  }

  async signIn(): Promise<void> {
    this.adminToken = String(at((await this.ask("GET", "/dev/token", undefined, { token: null })).body, "token"));
  }

  /** A request that is not recorded. */
  async ask(method: string, path: string, body?: Json, more: Partial<Asked> = {}): Promise<Answered> {
    return this.#send({ method, path, body, ...more });
  }

  /** {@link ask}, for what must succeed. @throws Error with the answer */
  async made(method: string, path: string, body?: Json, more: Partial<Asked> = {}): Promise<Json> {
    const answer = await this.ask(method, path, body, more);
    if (answer.status >= 400)
      throw new Error(`${method} ${path} ${JSON.stringify(body)}: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  /** Sends a request and writes it with its answer; waits for the work that it started. */
  async record(transcript: Transcript, title: string, asked: Asked, showsBody = true): Promise<Answered> {
    const answer = await this.patiently(asked);
    const etag = /^(?:W\/)?"(.*[^\d].*)"$/.exec(answer.headers.get("etag") ?? "")?.[1];
    if (etag !== undefined) transcript.once("etag", etag);
    transcript.title(title);
    const sent =
      asked.body === undefined ? "" : ` ${typeof asked.body === "string" ? asked.body : JSON.stringify(asked.body)}`;
    transcript.line(`${asked.method} ${asked.path}${headerText(asked.headers)}${sent}`);
    transcript.line(`${answer.status}`);
    for (const line of this.#headerLines(answer.headers)) transcript.line(line);
    if (showsBody) transcript.body(answer.text);
    this.statuses.set(answer.status, (this.statuses.get(answer.status) ?? 0) + 1);
    if (asked.method !== "GET" && asked.method !== "HEAD" && answer.status < 400 && this.isPatient) await this.settle();
    return answer;
  }

  /** Writes the headers of an ordinary answer; later ones are recorded by their difference. */
  async usual(transcript: Transcript): Promise<void> {
    const answer = await this.ask("GET", "/health/live", undefined, { token: null });
    this.#usual = new Map(this.#kept(answer.headers));
    transcript.line("Headers of each answer that is not said to have others:");
    for (const [name, value] of this.#usual) transcript.line(`${name}: ${value}`);
  }

  /** Waits until no event and no job is due, and incidents have taken their steps; at most {@link SETTLE_MS}. */
  async settle(): Promise<void> {
    const until = Date.now() + SETTLE_MS;
    let before = "";
    for (;;) {
      const state = (await this.#isIdle()) ? await this.#steps() : null;
      if (state === before || Date.now() > until) return;
      // Without incidents nothing follows later.
      if (state === NO_STEPS) return;
      before = state ?? "";
      await new Promise((resolve) => setTimeout(resolve, state === null ? 10 : STEP_MS));
    }
  }

  /** What steps of incidents change. */
  async #steps(): Promise<string> {
    const incidents = await this.ask("GET", "/api/v1/incidents?limit=100");
    if (at(incidents.body, "data", 0) === undefined) return NO_STEPS;
    const events = await this.ask("GET", "/api/v1/events?limit=1");
    const jobs = await this.ask("GET", "/api/v1/jobs/counts");
    return [String(at(events.body, "data", 0, "seq")), jobs.text, JSON.stringify(incidents.body)].join();
  }

  async #isIdle(): Promise<boolean> {
    const counts = await this.ask("GET", "/api/v1/jobs/counts");
    // A request has ended the session.
    if (counts.status === 401) await this.signIn();
    const events = await this.ask("GET", "/api/v1/events?processed=false&limit=1");
    const due = at(events.body, "data");
    return IDLE.every((state) => at(counts.body, "states", state) === 0) && Array.isArray(due) && due.length === 0;
  }

  close(): void {
    this.#client.close();
  }

  #headerLines(headers: Headers): string[] {
    const kept = new Map(this.#kept(headers));
    const missing = [...this.#usual.keys()].filter((name) => !kept.has(name)).map((name) => `no ${name}`);
    const other = [...kept].filter(([name, value]) => this.#usual.get(name) !== value);
    return [
      ...other.map(
        ([name, value]) =>
          `${name}: ${name === "retry-after" ? "<seconds>" : value.replace(/Max-Age=\d+/, "Max-Age=<seconds>")}`,
      ),
      ...missing,
    ];
  }

  #kept(headers: Headers): [string, string][] {
    return [...headers].filter(([name]) => !IGNORED.includes(name)).sort();
  }

  /** A password that was wrong makes the next attempt wait, whether or not limits are on. */
  async patiently(asked: Asked): Promise<Answered> {
    const answer = await this.#send(asked);
    const seconds = Number(answer.headers.get("retry-after") ?? 0);
    if (answer.status !== 429 || seconds > MOST_PATIENCE) return answer;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return this.#send(asked);
  }

  async #send({ method, path, headers, body, token = this.adminToken }: Asked): Promise<Answered> {
    const all: Record<string, string> = { ...headers };
    if (token !== null && !("Authorization" in all) && !("X-API-Key" in all)) all["Authorization"] = `Bearer ${token}`;
    if (body !== undefined && !("Content-Type" in all)) all["Content-Type"] = "application/json";
    const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
    const reply = await this.#client.send(this.url + path, {
      method,
      headers: all,
      ...(text === undefined ? {} : { body: text }),
    });
    return { ...reply, status: reply.status, headers: reply.headers, text: reply.text, body: parsed(reply.text) };
  }
}

function headerText(headers: Readonly<Record<string, string>> = {}): string {
  return Object.entries(headers)
    .map(([name, value]) => ` [${name}: ${value}]`)
    .join("");
}
