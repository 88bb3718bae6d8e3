import { sql } from "kysely";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { OwnerTurns } from "../../../core/limits/owner-turns.ts";
import { DAY_MS, type EpochMs, HOUR_MS, MINUTE_MS } from "../../../core/time/clock.ts";
import { DueTimes } from "../../../core/time/due-times.ts";
import { TAKEN_AT_HEADER } from "../../../http/server/headers.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, insertLater, type Trx } from "../../../store/database.ts";
import type { EffectOf } from "../../../store/effect.ts";
import type { ForwardsTable } from "../../../store/schema.ts";
import { callWithin, NoAnswer, readRetryAfter, type SafeFetch } from "../../delivery/index.ts";
import { type ForwardKind, type ForwardTarget, OWN_HEADERS, openedForward } from "./target.ts";

/** What a request was sent to. */
export interface ForwardSource extends Pick<ForwardTarget, "forwardHeaders"> {
  readonly kind: ForwardKind;
  readonly id: string;
  readonly projectId: string;
}

/** A request as it arrived, without its credentials in the URL. */
export interface NewForward {
  readonly method: string;
  /** What follows the target's path. */
  readonly path: string;
  /** Without ?. */
  readonly query: string;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Names of headers with signatures. */
  readonly signatures?: readonly string[];
  readonly bytes: Uint8Array;
}

/** What becomes of a request, as its log shows it. Never the target's answer but its status. */
export type ForwardState =
  | { readonly state: "waiting" }
  | { readonly state: "passed"; readonly status: number; readonly durationMs: number }
  | { readonly state: "refused"; readonly status: number; readonly durationMs: number }
  | { readonly state: "dropped"; readonly reason: "full" | "loop" | "copy" | "late" | "ended" | "failed" | "restored" };

type Method = Parameters<SafeFetch["request"]>[1]["method"];
type Head = Pick<NewForward, "path" | "query" | "headers"> & { readonly method: Method };

/** What waits of a receiver or an integration. */
interface Waiting {
  readonly kind: ForwardKind;
  readonly projectId: string;
  count: number;
  bytes: number;
  isRunning: boolean;
  /** One was stored since the running one has looked. */
  isMore: boolean;
  /** Of the first that waits. */
  attempts: number;
  problem: string | null;
  since: EpochMs | null;
  /** When one found no room. */
  fullAt: EpochMs | null;
}

const FULL = "too many wait: the newest are not passed on";

/** Of a receiver or an integration, of a project, and of all together; a dead target leaves room for the others. */
export const FORWARD_LIMITS = {
  ...{ requests: 10_000, bytesOfSource: 33_554_432, bytesOfProject: 67_108_864, bytes: 1_073_741_824 },
  ms: DAY_MS,
} as const;
/** Of a row besides its request. */
const ROW_BYTES = 200;
/** A path and a query as senders may send them, after the target. */
const MAX_URL_LENGTH = 65_536;

export const FORWARDED_HEADER = "X-Prism-Forwarded";
const ALWAYS = ["content-type", "user-agent"];
/** As Node's client takes them. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Answers that say nothing about the request: it is tried for a day. */
const AWAY: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** Other answers that may change. */
const PASSING: ReadonlySet<number> = new Set([408, 425]);
/** A request that the target cannot take must not hold the later ones for a day. */
const MAX_ATTEMPTS = 8;
const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = MINUTE_MS;
const MAX_RETRY_AFTER_MS = 10 * MINUTE_MS;

type ForwardingParts = Uses<"db" | "reader" | "clock" | "log" | "box" | "projects" | "outside"> & {
  publicUrl(): string;
};

/**
 * Passes the requests of mirrors on to the system that still notifies people: after they are stored, those of a
 * receiver or an integration one after the other. It is the one thing that leaves a mirror (docs/mirror.md).
 */
export class Forwarding {
  readonly #parts: ForwardingParts;
  readonly #waiting = new Map<string, Waiting>();
  readonly #running = new Set<Promise<void>>();
  /** By project: a request, which may be large, is read in its turn. */
  readonly #turns = new OwnerTurns({ total: 64, perOwner: 4 });
  #stop = new AbortController();
  #fetch: SafeFetch | null = null;
  /** When the next try of each receiver and integration is due. */
  readonly due;

  constructor(parts: ForwardingParts) {
    this.#parts = parts;
    this.due = new DueTimes<string>({
      clock: parts.clock,
      read: () => [...this.#waiting.keys()].map((id) => [id, parts.clock.now()] as const),
      handle: async (ids) => {
        // Not awaited: a slow target holds only what waits for it.
        for (const id of ids) this.#begin(id);
      },
      onError: (err) => parts.log.error({ err }, "cannot begin to pass requests on"),
    });
  }

  /** What waits, before the server answers. */
  load(): void {
    const rows = this.#parts.reader.prepare<[], Omit<ForwardsChange, "type">>(
      "select sourceId, kind, projectId, count(*) as count, sum(bytes) as bytes from forwards group by sourceId",
    );
    this.#waiting.clear();
    for (const row of rows.all()) this.changed(row);
  }

  /** A commit has stored or removed some. */
  changed({ sourceId, kind, projectId, count, bytes }: Omit<ForwardsChange, "type">): void {
    const waiting = this.#of(sourceId, kind, projectId);
    waiting.count += count;
    waiting.bytes += bytes;
    waiting.isMore = true;
    if (waiting.count === 0) this.#forgetIdle(sourceId, waiting);
    // Else it is tried soon, unless a later try is due.
    else if (!waiting.isRunning && this.due.at(sourceId) === undefined) this.due.set(sourceId, this.#parts.clock.now());
  }

  /** Settings of receivers or integrations: what was wrong may be right now. */
  sourcesChanged(ids: Iterable<string>): void {
    for (const id of ids) {
      const waiting = this.#waiting.get(id);
      if (!waiting) continue;
      Object.assign(waiting, { attempts: 0, problem: null, since: null, fullAt: null });
      if (waiting.count === 0) this.#forgetIdle(id, waiting);
      else if (!waiting.isRunning) this.due.set(id, this.#parts.clock.now());
    }
  }

  #of(sourceId: string, kind: ForwardKind, projectId: string): Waiting {
    const known = this.#waiting.get(sourceId);
    if (known) return known;
    const none = { count: 0, bytes: 0, attempts: 0, isRunning: false, isMore: false };
    const waiting: Waiting = { kind, projectId, ...none, problem: null, since: null, fullAt: null };
    this.#waiting.set(sourceId, waiting);
    return waiting;
  }

  #forgetIdle(id: string, { count, isRunning, problem, fullAt }: Waiting): void {
    if (count === 0 && !isRunning && problem === null && fullAt === null) this.#waiting.delete(id);
  }

  /** @throws VALIDATION_FAILED for this server's own host; URL_REFUSED */
  async check(url: string): Promise<void> {
    const own = this.#parts.publicUrl();
    if (URL.canParse(url) && URL.canParse(own) && hostOf(url) === hostOf(own))
      throw invalidField("body", "forwardUrl", "is this server: requests would come back");
    await this.#client.check(url);
  }

  /** Whether requests are passed on: asked for each, answered from memory. */
  takes({ projectId, forwardUrl }: { readonly projectId: string } & Pick<ForwardTarget, "forwardUrl">): boolean {
    return forwardUrl !== null && this.#parts.projects.isMirror(projectId);
  }

  /** What answers show of it; null: it has no target. */
  shown(row: { readonly id: string; readonly projectId: string } & Pick<ForwardTarget, "forwardUrl">) {
    if (row.forwardUrl === null) return null;
    const waiting = this.#waiting.get(row.id);
    if (!this.#parts.projects.isMirror(row.projectId))
      return { waiting: waiting?.count ?? 0, problem: "the project is no mirror any more" };
    return { waiting: waiting?.count ?? 0, problem: waiting ? this.#problemOf(waiting) : null };
  }

  /** Receivers and integrations whose requests are not passed on now. */
  problems(): readonly (Pick<Waiting, "kind" | "count" | "since"> & {
    readonly id: string;
    readonly problem: string;
  })[] {
    return [...this.#waiting].flatMap(([id, waiting]) => {
      const problem = this.#parts.projects.isMirror(waiting.projectId) ? this.#problemOf(waiting) : null;
      return problem === null ? [] : [{ id, ...waiting, since: waiting.since ?? waiting.fullAt, problem }];
    });
  }

  #problemOf({ problem, fullAt }: Waiting): string | null {
    const isFull = fullAt !== null && this.#parts.clock.now() - fullAt < HOUR_MS;
    return isFull ? FULL : problem;
  }

  /** Keeps a request in the transaction that stores what it says. @param requestId its entry in the log of a receiver */
  keep(trx: Trx, source: ForwardSource, request: NewForward, requestId: string | null): ForwardState {
    if (request.headers[FORWARDED_HEADER.toLowerCase()] !== undefined) return { state: "dropped", reason: "loop" };
    // The copy of the database that took it without a leader has passed it on.
    if (request.headers[TAKEN_AT_HEADER] !== undefined) return { state: "dropped", reason: "copy" };
    const { id: sourceId, kind, projectId } = source;
    const { box, clock } = this.#parts;
    const id = uuidv7();
    const { method, path, query } = request;
    const headers = passedHeaders(source, request);
    const head = Buffer.from(`${JSON.stringify({ method, path, query, headers })}\n`);
    const bytes = ROW_BYTES + head.length + request.bytes.length;
    if (!this.#hasRoom(sourceId, projectId, bytes)) {
      const waiting = this.#of(sourceId, kind, projectId);
      if (this.#problemOf(waiting) !== FULL) this.#parts.log.warn({ sourceId }, FULL);
      waiting.fullAt = clock.now();
      return { state: "dropped", reason: "full" };
    }
    const row = { id, projectId, kind, sourceId, at: clock.now(), requestId, bytes };
    insertLater(trx, "forwards", {
      ...row,
      request: box.seal(requestSealContext(id), Buffer.concat([head, request.bytes])),
    });
    addEffect(trx, { type: "forwards-changed", sourceId, kind, projectId, count: 1, bytes });
    addEffect(trx, { type: "texts-changed", projectIds: [projectId] });
    return { state: "waiting" };
  }

  /** {@link keep}, of a request that is stored already. */
  async keepAlone(source: ForwardSource, request: NewForward): Promise<void> {
    await this.#parts.db.write(async (trx) => this.keep(trx, source, request, null), { sharesCommit: true });
  }

  /** Ends what is under way. What waits stays. */
  async stop(): Promise<void> {
    this.#stop.abort(new PrismError("SHUTTING_DOWN", "The server stops"));
    await Promise.all(this.#running);
    this.#stop = new AbortController();
  }

  get #client(): SafeFetch {
    this.#fetch ??= this.#parts.outside();
    return this.#fetch;
  }

  #hasRoom(sourceId: string, projectId: string, bytes: number): boolean {
    const { requests, bytesOfSource, bytesOfProject, bytes: most } = FORWARD_LIMITS;
    const own = this.#waiting.get(sourceId);
    let [ofProject, all] = [bytes, bytes];
    for (const each of this.#waiting.values()) {
      all += each.bytes;
      if (each.projectId === projectId) ofProject += each.bytes;
    }
    const hasOwn = (own?.count ?? 0) < requests && (own?.bytes ?? 0) + bytes <= bytesOfSource;
    return hasOwn && ofProject <= bytesOfProject && all <= most;
  }

  #begin(id: string): void {
    this.due.delete(id);
    const waiting = this.#waiting.get(id);
    if (!waiting || waiting.isRunning || this.#stop.signal.aborted) return;
    waiting.isRunning = true;
    const run = this.#passAll(id, waiting)
      .catch((err: unknown) => {
        this.#parts.log.error({ err, sourceId: id }, "cannot pass requests on");
        return MAX_WAIT_MS;
      })
      .then((retryMs) => {
        waiting.isRunning = false;
        this.#forgetIdle(id, waiting);
        if (waiting.count > 0) this.due.set(id, this.#parts.clock.now() + retryMs);
      })
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** All that wait, in order. @returns when to go on */
  async #passAll(id: string, waiting: Waiting): Promise<number> {
    for (;;) {
      const retryMs = await this.#turns.run(waiting.projectId, () => this.#passNext(id, waiting));
      if (retryMs !== null) return retryMs;
    }
  }

  /** @returns when to go on; null: at once */
  async #passNext(id: string, waiting: Waiting): Promise<number | null> {
    const { db, clock } = this.#parts;
    if (this.#stop.signal.aborted) return 0;
    waiting.isMore = false;
    const first = db.read.selectFrom("forwards").selectAll().where("sourceId", "=", id).orderBy("id").limit(1);
    const row = await first.executeTakeFirst();
    if (!row) return waiting.isMore ? null : FIRST_WAIT_MS;
    const url = await this.#urlOf(row);
    if (url !== null && row.at >= clock.now() - FORWARD_LIMITS.ms) return this.#pass(row, url, waiting);
    await this.#drop(id, waiting, url === null ? "ended" : "late");
    return null;
  }

  /** Where it goes: asked right before. Null: the mirror has ended, or it passes nothing on any more. */
  async #urlOf({ kind, sourceId, projectId }: ForwardsTable): Promise<string | null> {
    const { db, box, projects } = this.#parts;
    if (!projects.isMirror(projectId)) return null;
    const found = await db.read
      .selectFrom(kind)
      .select(["id", "forwardUrl"])
      .where("id", "=", sourceId)
      .executeTakeFirst();
    return found ? openedForward(box, kind, found) : null;
  }

  /** @returns when it is tried again; null: it is done */
  async #pass(row: ForwardsTable, target: string, waiting: Waiting): Promise<number | null> {
    const { clock } = this.#parts;
    const begun = clock.elapsed();
    const called = await this.#call(row, target).catch((error: unknown) => ({ error }));
    if ("error" in called) {
      if (this.#stop.signal.aborted) return 0;
      const { error } = called;
      this.#fail(row.sourceId, waiting, problemOf(error));
      if (error instanceof NoAnswer) return retryMs(++waiting.attempts);
      await this.#done(row, waiting, { state: "dropped", reason: "failed" });
      return null;
    }
    const { status, headers } = called;
    const durationMs = Math.round(clock.elapsed() - begun);
    if (status >= 200 && status < 300) {
      this.#works(row.sourceId, waiting);
      await this.#done(row, waiting, { state: "passed", status, durationMs });
      return null;
    }
    this.#fail(row.sourceId, waiting, `the target answered ${status}`);
    waiting.attempts++;
    const mayChange = (status >= 500 || PASSING.has(status)) && waiting.attempts < MAX_ATTEMPTS;
    if (AWAY.has(status) || mayChange) {
      const asked = readRetryAfter(headers["retry-after"], clock.now()) ?? 0;
      return Math.max(retryMs(waiting.attempts), Math.min(asked, MAX_RETRY_AFTER_MS));
    }
    await this.#done(row, waiting, { state: "refused", status, durationMs });
    return null;
  }

  #call({ id, request }: ForwardsTable, target: string) {
    const plain = this.#parts.box.open(requestSealContext(id), request);
    const end = plain.indexOf("\n");
    const { method, path, query, headers } = JSON.parse(plain.toString("utf8", 0, end)) as Head;
    const body = plain.subarray(end + 1);
    const passed = { ...headers, [FORWARDED_HEADER]: "1" };
    const options = { method, headers: passed, keepsAlive: true, maxUrlLength: MAX_URL_LENGTH };
    // A leader without its lease waits there.
    return callWithin(
      (signal) =>
        this.#client.request(targetUrl(target, path, query), { ...options, signal, ...(body.length > 0 && { body }) }),
      this.#stop.signal,
    );
  }

  async #done(row: ForwardsTable, waiting: Waiting, state: ForwardState): Promise<void> {
    waiting.attempts = 0;
    await this.#parts.db.write(
      async (trx) => {
        const { numDeletedRows } = await trx.deleteFrom("forwards").where("id", "=", row.id).executeTakeFirstOrThrow();
        if (numDeletedRows > 0n) this.#removed(trx, [row]);
        await noteState(trx, row, state);
      },
      { sharesCommit: true },
    );
  }

  /** Removes what is older than a day, or all. */
  async #drop(id: string, waiting: Waiting, reason: "late" | "ended"): Promise<void> {
    const until = reason === "late" ? this.#parts.clock.now() - FORWARD_LIMITS.ms : Number.MAX_SAFE_INTEGER;
    const rows = await this.#parts.db.write(async (trx) => {
      const gone = await trx
        .deleteFrom("forwards")
        .where("sourceId", "=", id)
        .where("at", "<", until)
        .returning(["id", "projectId", "kind", "sourceId", "requestId", "bytes"])
        .execute();
      this.#removed(trx, gone);
      for (const row of gone) await noteState(trx, row, { state: "dropped", reason });
      return gone.length;
    });
    waiting.attempts = 0;
    this.#parts.log.warn({ sourceId: id, reason, requests: rows }, "requests were not passed on");
    if (reason === "ended") this.#works(id, waiting);
  }

  #removed(trx: Trx, rows: readonly Omit<ForwardsTable, "request" | "at" | "id">[]): void {
    const [first] = rows;
    if (!first) return;
    const { sourceId, kind, projectId } = first;
    const bytes = rows.reduce((sum, row) => sum - row.bytes, 0);
    addEffect(trx, { type: "forwards-changed", sourceId, kind, projectId, count: -rows.length, bytes });
    addEffect(trx, { type: "texts-changed", projectIds: [projectId] });
  }

  #fail(id: string, waiting: Waiting, problem: string): void {
    if (waiting.problem === null) this.#parts.log.warn({ sourceId: id, problem }, "requests are not passed on");
    waiting.problem = problem;
    waiting.since ??= this.#parts.clock.now();
  }

  #works(id: string, waiting: Waiting): void {
    if (waiting.problem !== null) this.#parts.log.info({ sourceId: id }, "requests are passed on again");
    Object.assign(waiting, { problem: null, since: null });
  }
}

type ForwardsChange = EffectOf<"forwards-changed">;

export function requestSealContext(id: string): string {
  return `forwards.request.${id}`;
}

/** In the log of its receiver, if it is still there. */
async function noteState(
  trx: Trx,
  { requestId, projectId }: Pick<ForwardsTable, "requestId" | "projectId">,
  state: ForwardState,
) {
  if (requestId === null) return;
  await trx
    .updateTable("receiver_requests")
    .set({ outcome: sql<string>`json_set(outcome, '$.forward', json(${JSON.stringify(state)}))` })
    .where("id", "=", requestId)
    .execute();
  addEffect(trx, { type: "texts-changed", projectIds: [projectId] });
}

/** Credentials and addresses of the sender: only owners name them, not a receiver's `verify`. */
const ONLY_NAMED = /^(authorization|cookie|forwarded|x-forwarded-.*)$/;

function passedHeaders({ forwardHeaders }: ForwardSource, { headers, signatures = [] }: NewForward) {
  const named = forwardHeaders === null ? [] : (JSON.parse(forwardHeaders) as string[]);
  const names = new Set([...ALWAYS, ...signatures.filter((name) => !ONLY_NAMED.test(name)), ...named]);
  const isPassed = ([name, value]: readonly [string, string]): boolean =>
    names.has(name) && !OWN_HEADERS.has(name) && value !== "" && HEADER_VALUE.test(value);
  return Object.fromEntries(Object.entries(headers).filter(isPassed));
}

/** Of one port. */
function hostOf(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname.replace(/\.$/, "")}:${port || protocol}`;
}

function targetUrl(target: string, path: string, query: string): string {
  const url = new URL(target);
  if (path !== "") url.pathname = `${url.pathname.replace(/\/$/, "")}${path}`;
  url.search = [url.search.slice(1), query].filter((part) => part !== "").join("&");
  url.hash = "";
  return url.href;
}

/** In words without the address, which is a secret. */
function problemOf(error: unknown): string {
  if (error instanceof NoAnswer)
    return `no answer (${error.phase ?? "connection"}${error.timedOut ? ", too late" : ""})`;
  return error instanceof PrismError ? error.message : "it could not be sent";
}

/** 1 s, 2 s, 4 s, up to a minute. */
function retryMs(attempts: number): number {
  return Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempts - 1, 10));
}
