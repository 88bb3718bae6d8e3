import { setMaxListeners } from "node:events";
import type { Database as Sqlite } from "better-sqlite3";
import { within } from "../../../core/promises.ts";
import { DAY_MS } from "../../../core/time/clock.ts";
import { DueTimes, SteadyClock } from "../../../core/time/due-times.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import type { EffectOf, OpenPageFacts } from "../../../store/effect.ts";
import { type Channels, callWithin, NoAnswer } from "../channel.ts";
import { deferredPauseMs, failsAtOnce, failureOf, type PageFailure, REFUSED_PAUSE_MS } from "./failures.ts";
import { batchOf } from "./folded.ts";
import type { Gate, TroubleFacts } from "./gate.ts";
import type { AcceptedPage, NewPage, NotSent, PageFollower, PageKind, PageKindName, PageRow } from "./page.ts";
import { MIRRORED } from "./page.ts";
import {
  type CalledWay,
  Crowd,
  deferredFailsAt,
  elapsedOf,
  Lanes,
  othersOf,
  PageQueue,
  type Provider,
  Providers,
  putOff,
  type Waiting,
  waitingFrom,
} from "./page-queue.ts";
import { isHost, longestUnattemptedMs, troublesOf } from "./queue-facts.ts";
import { type AttemptTimes, noteLost, PageRecords, resumeLost } from "./records.ts";
import { type AddOptions, addPages, findPages, overtakePages, pageReads, readOpenPages, waitingOf } from "./store.ts";

export interface PageSenderParts extends Uses<"db" | "clock" | "log"> {
  readonly channels: Pick<Channels, "names" | "get" | "reachPeople">;
  readonly projects: Pick<Uses<"projects">["projects"], "isMirror" | "hasMirrors">;
}

/**
 * Sends the pages of incidents. It holds what waits, by target, in memory: rebuilt from the table by
 * {@link load}, kept current by effects of commits, sent from {@link start} on. An attempt needs no
 * write: what came of it is stored afterwards, later if nothing can be stored now (records.ts).
 */
export class PageSender {
  readonly #parts: PageSenderParts;
  readonly #kinds = new Map<PageKindName, PageKind>();
  readonly #queues = new Map<string, PageQueue>();
  readonly #providers = new Providers();
  readonly #targetOf = new Map<string, PageQueue>();
  readonly #lanes = new Lanes();
  readonly #records: PageRecords;
  /** Due times in elapsed time, so that a clock that jumps moves nothing. */
  readonly #clock: SteadyClock;
  readonly due: DueTimes<string>;
  /** Targets whose next page found no free socket. */
  readonly #crowded = new Crowd<PageQueue>();
  readonly #rows;
  readonly #stop = new AbortController();
  readonly #calls = new Set<Promise<void>>();
  #isRunning = false;
  /** Whether a person has a webhook; asked only where the server has no other way. */
  #hasOwnWebhooks = (): boolean => false;

  constructor(parts: PageSenderParts) {
    const { clock, log } = parts;
    this.#parts = parts;
    this.#rows = pageReads(parts.db.read);
    const elapsed = (): number => Math.floor(clock.elapsed());
    this.#clock = new SteadyClock({ now: elapsed, elapsed });
    this.due = new DueTimes({
      clock: this.#clock,
      handle: async (keys) => {
        for (const key of keys) this.#advanceKey(key);
      },
      onError: (error) => log.error({ err: error }, "sending due pages failed; retrying"),
    });
    this.#records = new PageRecords(parts, this.#kinds);
    // Every call listens for the stop.
    setMaxListeners(0, this.#stop.signal);
  }

  /** @throws TypeError if the kind has a handler */
  handle(name: PageKindName, kind: PageKind): void {
    if (this.#kinds.has(name)) throw new TypeError(`pages of the kind ${name} have a handler already`);
    this.#kinds.set(name, kind);
  }

  /** Connects those who decide what follows from an outcome: incidents and drills. */
  follow(follower: PageFollower): void {
    this.#records.followers.push(follower);
  }

  /** Builds the memory from the table. Nothing is sent. */
  load(reader: Sqlite): void {
    const own = reader.prepare("select 1 from webhooks where userId is not null and active = 1 limit 1");
    this.#hasOwnWebhooks = () => own.get() !== undefined;
    for (const page of readOpenPages(reader)) this.#add(page, true);
  }

  /** Starts to send. */
  start(): void {
    this.#isRunning = true;
    for (const queue of this.#queues.values()) this.#advance(queue);
  }

  /** Waits for calls that run, and stores what came of them. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#stop.abort(new Error("the server is stopping"));
    await Promise.allSettled(this.#calls);
    await this.#records.stop();
  }

  /** Handles what is due now; for tests. */
  check(): Promise<void> {
    return this.due.check();
  }

  /** Resolves when no call runs and everything is stored; for tests and a stop. */
  async idle(): Promise<void> {
    while (this.#calls.size > 0) await Promise.allSettled(this.#calls);
    await this.#records.idle();
  }

  /** A commit has changed pages. */
  changed({ open = [], ended = [] }: EffectOf<"pages-changed">): void {
    for (const id of ended) this.#remove(id);
    const queues = new Set<PageQueue>();
    for (const page of open) queues.add(this.#add(page, false));
    for (const queue of queues) this.#advance(queue);
  }

  /** Adds pages of one incident; a waiting page of the same way is overtaken. */
  async add(trx: Trx, pages: readonly NewPage[], options?: AddOptions): Promise<void> {
    const overtaken = await addPages(trx, pages, this.#parts.clock.now(), options);
    for (const row of overtaken) await this.#kinds.get(row.kind)?.changed?.(trx, row);
  }

  /** Nothing more is sent of these waiting pages of an incident. @param note why */
  async overtake(trx: Trx, incidentId: string, note: string, isMeant: (page: PageRow) => boolean): Promise<void> {
    const waiting = (await waitingOf(trx, incidentId)).filter(isMeant);
    const rows = overtakePages(trx, waiting, note, this.#parts.clock.now());
    for (const row of rows) await this.#kinds.get(row.kind)?.changed?.(trx, row);
  }

  /** A remote worker has sent the page, or an operator ended it. */
  async endedElsewhere(trx: Trx, id: string, outcome: "delivered" | "skipped", answer: string | null): Promise<void> {
    await this.#records.endedElsewhere(trx, id, outcome, answer);
    const queue = this.#targetOf.get(id);
    if (!queue || outcome !== "delivered") return;
    // The worker is back, and the service has answered.
    queue.gate.accepted();
    this.#gateOf(queue).accepted();
  }

  /** A mail server has returned a page that it accepted: the way has failed. @param words of the bounce */
  bounced(id: string, words: string): ReturnType<PageRecords["bounced"]> {
    return this.#records.bounced(id, words);
  }

  /** Tries the pages of these targets now: their settings were changed, or an operator asks for it. */
  retryNow(isMeant: (queue: Pick<PageQueue, "key" | "provider" | "owner">) => boolean): void {
    const now = this.#clock.now();
    for (const queue of this.#queues.values()) {
      if (!isMeant(queue)) continue;
      queue.retryNow(now);
      this.#gateOf(queue).retryNow();
      this.#advance(queue);
    }
  }

  /**
   * Calls `send` as a page to a target that answers is called: after what is due, with the next free
   * socket. For the test event of `watch.url`. Rejects as `send` does, and when the server stops.
   */
  async throughLane(send: (signal: AbortSignal) => Promise<void>): Promise<void> {
    await this.due.check();
    await this.#lanes.call(send, this.#stop.signal);
  }

  /** Whether people can be reached outside of the app at all. */
  get hasWays(): boolean {
    return this.#parts.channels.reachPeople || this.#hasOwnWebhooks();
  }

  /** How many pages of a target may be sent now: its other messages come after them. */
  readyFor(target: string): number {
    return this.#queues.get(target)?.ready ?? 0;
  }

  /** How many pages wait. */
  get waiting(): number {
    return this.#targetOf.size;
  }

  /** How many pages wait for a target. */
  waitingFor(target: string): number {
    return this.#queues.get(target)?.size ?? 0;
  }

  /** Targets that have accepted nothing for a while, the longest first. */
  get troubles(): readonly TroubleFacts[] {
    return troublesOf(this.#queues.values(), (queue) => this.#gateOf(queue), this.#clock.now());
  }

  /** How long the ready page that waits longest was not attempted; 0 for none. */
  get longestUnattemptedMs(): number {
    return longestUnattemptedMs(this.#queues.values(), (queue) => this.#gateOf(queue), this.#clock.now());
  }

  #add(facts: OpenPageFacts, isLoaded: boolean): PageQueue {
    const queue = this.#queueOf(facts);
    const now = this.#clock.now();
    const times = { now, wall: this.#parts.clock.now() };
    const page = waitingFrom(facts, { ...times, isLoaded });
    resumeLost(page, elapsedOf(facts, facts.lostAt ?? 0, times));
    queue.remove(facts.id);
    queue.add(page, now);
    this.#targetOf.set(facts.id, queue);
    return queue;
  }

  #queueOf(facts: OpenPageFacts): PageQueue {
    const known = this.#queues.get(facts.target);
    if (known) {
      if (known.provider !== facts.provider) this.#providers.move(known, facts.provider);
      return known;
    }
    const queue = new PageQueue(facts);
    this.#queues.set(facts.target, queue);
    this.#providers.add(queue);
    return queue;
  }

  #gateOf(queue: PageQueue): Gate {
    return this.#providers.of(queue).gate;
  }

  #remove(id: string): void {
    const queue = this.#targetOf.get(id);
    if (!queue) return;
    queue.remove(id);
    this.#targetOf.delete(id);
    this.#trim(queue);
  }

  /** A target without pages is remembered only while it fails. */
  #trim(queue: PageQueue): void {
    if (queue.size === 0) queue.isBack = false;
    if (queue.size > 0 || queue.running.size > 0) return;
    this.#crowded.delete(queue);
    this.due.delete(queue.key);
    if (this.#queues.size <= MAX_IDLE_TARGETS && this.#isRunning) return;
    this.#queues.delete(queue.key);
    this.#providers.delete(queue);
  }

  #advanceKey(key: string): void {
    this.due.delete(key);
    const queue = this.#queues.get(key);
    if (queue) this.#advance(queue);
  }

  /** Sends what may be sent now, and sets when to look at the target again. */
  #advance(queue: PageQueue): void {
    if (!this.#isRunning) return;
    const now = this.#clock.now();
    if (this.#parts.projects.hasMirrors) this.#skipMirrored(queue, now);
    this.#failOverdue(queue, now);
    while (this.#sendNext(queue, now));
    this.#wakeAt(queue, now);
  }

  /** Pages of mirrors wait for no target: one in trouble must not make them fail. */
  #skipMirrored(queue: PageQueue, now: number): void {
    for (const page of queue.unbegun(now)) if (this.#isMirrored(page.facts)) this.#skipped(page, MIRRORED);
  }

  readonly #isMirrored = (of: { projectId: string }): boolean => this.#parts.projects.isMirror(of.projectId);

  /** @returns whether a call was started */
  #sendNext(queue: PageQueue, now: number): boolean {
    const page = queue.head(now);
    if (!page || queue.running.has(page.facts.incidentId)) return false;
    if (queue.calls >= (this.#kinds.get(page.facts.kind)?.atOnce ?? 1)) return false;
    const { gate } = queue;
    const provider = this.#providers.of(queue);
    const { urgency } = page.facts;
    if (!gate.isOpen(now, urgency) || !provider.gate.isOpen(now, urgency)) return false;
    // The first call to a target tells whether it answers; until then there is only one.
    if (!gate.isProven && queue.calls > 0) return false;
    const isSuspect = gate.trouble?.timedOut === true || provider.gate.trouble?.timedOut === true;
    const standing = isSuspect ? "suspect" : gate.isProven ? "proven" : "unproven";
    const slot = this.#lanes.take(standing, queue.owner);
    if (!slot) {
      this.#crowded.add(standing, queue);
      return false;
    }
    const probed = [gate, provider.gate].filter(({ trouble }) => trouble !== null);
    for (const each of probed) each.isProbing = true;
    const batch = batchOf(queue, page, this.#kinds.get(page.facts.kind)?.fold);
    for (const each of batch) {
      queue.begin(each, now);
      queue.running.add(each.facts.incidentId);
      each.triedHere += 1;
      each.lost += each.facts.rings;
    }
    queue.calls += 1;
    const call = this.#attempt({ queue, gate, provider }, page, batch).finally(() => {
      queue.calls -= 1;
      for (const { facts } of batch) this.#free(queue, facts);
      this.#lanes.release(slot);
      // Also when nothing was sent after all.
      for (const each of probed) each.isProbing = false;
      if (probed.includes(provider.gate)) this.#advanceOthers(queue, provider);
      this.#calls.delete(call);
      this.#ended(queue);
    });
    this.#calls.add(call);
    return true;
  }

  /** The next page of the incident may be sent, at once or when the outcome of this one is stored. */
  #free(queue: PageQueue, { id, incidentId, kind }: OpenPageFacts): void {
    const stored = this.#records.stored(id, this.#kinds.get(kind)?.needsRecord === true);
    if (stored === null) {
      queue.running.delete(incidentId);
      return;
    }
    void within(RECORD_MS, stored).then(() => {
      queue.running.delete(incidentId);
      this.#advance(queue);
      this.#trim(queue);
    });
  }

  async #attempt(way: CalledWay, page: Waiting, batch: readonly Waiting[]): Promise<void> {
    const { id, kind: name } = page.facts;
    const startedAt = this.#clock.now();
    const startedWall = this.#parts.clock.now();
    try {
      if (page.facts.rings === 1) await within(RECORD_MS, this.#records.begun(batch, startedWall));
      if (batch.length > 1) {
        await this.#sendFolded(way, batch, startedWall);
        return;
      }
      const result = await this.#send(id, name);
      if (result === undefined) this.#remove(id);
      else if ("skipped" in result) this.#skipped(page, result);
      else this.#accepted(way, page, result, startedWall);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const failure = failureOf(error);
      for (const each of batch) noteLost(each, failure, startedAt);
      for (const each of batch) if (each !== page) way.queue.requeue(each, startedAt);
      this.#failed(way, page, failure, {
        startedAt,
        startedWall,
        timedOut: error instanceof NoAnswer && error.timedOut,
      });
    }
  }

  async #sendFolded(way: CalledWay, batch: readonly Waiting[], startedAt: number): Promise<void> {
    const ids = batch.map(({ facts }) => facts.id);
    const rows = await findPages(this.#parts.db.read, ids);
    const open = new Set(rows.flatMap(({ id, endedAt }) => (endedAt === null ? [id] : [])));
    for (const id of ids) if (!open.has(id)) this.#remove(id);
    const left = batch.filter(({ facts }) => open.has(facts.id));
    for (const page of left) if (this.#isMirrored(page.facts)) this.#skipped(page, MIRRORED);
    const sent = left.filter(({ facts }) => !this.#isMirrored(facts));
    const ordered = sent.flatMap(({ facts }) => rows.find(({ id }) => id === facts.id) ?? []);
    const fold = this.#kinds.get(sent[0]?.facts.kind ?? "delivery")?.fold;
    if (!fold || ordered.length === 0) return;
    const { answer } = await callWithin((signal) => fold.send(ordered, { signal }), this.#stop.signal);
    const told = `in a summary of ${ordered.length}${answer === null ? "" : `: ${answer}`}`;
    for (const page of sent) this.#accepted(way, page, { answer: told }, startedAt);
  }

  /** @returns undefined if the page is gone */
  async #send(id: string, name: PageKindName): Promise<AcceptedPage | NotSent | undefined> {
    const kind = this.#kinds.get(name);
    if (!kind) throw new TypeError(`pages of the kind ${name} have no handler`);
    const row = await this.#rows.of(id);
    if (!row || row.endedAt !== null) return undefined;
    if (this.#isMirrored(row)) return MIRRORED;
    return callWithin((signal) => kind.send(row, { signal }), this.#stop.signal);
  }

  #accepted({ queue, gate, provider }: CalledWay, page: Waiting, accepted: AcceptedPage, startedAt: number): void {
    queue.isBack ||= gate.trouble !== null || provider.gate.trouble !== null;
    gate.accepted();
    provider.gate.accepted();
    this.#remove(page.facts.id);
    this.#records.delivered(page.facts.id, { ...accepted, attempts: page.attempts + 1, startedAt });
  }

  /** After a probe: the targets that waited behind it. */
  #advanceOthers(queue: PageQueue, provider: Provider): void {
    for (const each of othersOf(provider, queue, this.#clock.now())) this.#advance(each);
  }

  #skipped({ facts }: Waiting, notSent: NotSent): void {
    this.#remove(facts.id);
    this.#records.skipped(facts.id, notSent);
  }

  #failed({ queue, gate, provider }: CalledWay, page: Waiting, failure: PageFailure, times: AttemptTimes): void {
    const { startedAt, startedWall, timedOut } = times;
    const now = this.#clock.now();
    // On a host that users name, a path that hangs says nothing about the others.
    const isShared = failure.is === "network" && !(failure.isLost && isHost(queue, this.#parts.channels));
    if (failure.is === "wait") {
      if (!failure.isOwnRate) gate.failed(startedAt, failure.text, false);
      gate.pause(now + failure.waitMs);
      if (failsAtOnce(failure)) gate.isFailed = true;
    } else if (failure.is === "error" || (failure.is === "network" && !isShared))
      gate.failed(startedAt, failure.text, timedOut);
    else if (failure.is === "refused") page.notBefore = startedAt + REFUSED_PAUSE_MS;
    else if (failure.is === "deferred") putOff(page, failure.text, startedAt + deferredPauseMs(page.deferrals++));
    if (isShared) provider.gate.failed(startedAt, failure.text, timedOut);
    else if (provider.gate.trouble) provider.gate.accepted();
    if (failure.is === "refused" || failure.is === "gone" || failure.is === "deferred") gate.isProven = true;
    if (failure.is === "wait" && failure.isOwnRate) {
      page.triedHere -= 1;
      queue.requeue(page, now);
      return;
    }
    if (queue.isAskedAgain(page, now)) this.#gateOf(queue).retryNow();
    page.attempts += 1;
    const isOver = failure.is === "gone" || now - page.bornAt > DAY_MS;
    if (isOver) this.#remove(page.facts.id);
    else queue.requeue(page, now);
    const failsNow = !page.isFailed && (isOver || failsAtOnce(failure));
    if (failsNow) page.isFailed = true;
    const record = { error: failure.text, attempts: page.attempts, startedAt: startedWall, lost: page.lost };
    this.#records.attempted(page.facts.id, { ...record, isFailed: failsNow, isOver, isGone: failure.is === "gone" });
    // Where a service closes for longer than a way may take, all that wait have failed.
    if (failure.is === "wait" && gate.isFailed) this.#failOverdue(queue, now);
    if (isShared) this.#advanceOthers(queue, provider);
  }

  /** Pages that wait too long for an answer, or behind a target in trouble, count as failed, and go on waiting. */
  #failOverdue(queue: PageQueue, now: number): void {
    if (queue.nextUnansweredAt <= now)
      for (const page of queue.unanswered(now)) this.#countFailed(page, "there is no answer yet");
    const gates = [queue.gate, this.#gateOf(queue)];
    const isWell = gates.every(({ trouble, isFailed }) => !trouble && !isFailed);
    if (isWell && queue.deferred === 0) return;
    for (const page of queue.pages) {
      if (page.isFailed || (page.notBefore > now && page.deferred === null)) continue;
      const gate = gates.find((each) => each.failsAt(page.facts.urgency, page.readySince) <= now);
      if (!gate && !(page.deferred !== null && deferredFailsAt(page) <= now)) continue;
      if (gate && page.facts.urgency === "high") gate.isFailed = true;
      this.#countFailed(page, gate?.trouble?.error ?? page.deferred ?? "the service asks to wait");
    }
  }

  #countFailed(page: Waiting, error: string): void {
    page.isFailed = true;
    const record = { error, attempts: page.attempts, lost: page.lost, startedAt: null, isOver: false, isGone: false };
    this.#records.attempted(page.facts.id, { ...record, isFailed: true });
  }

  #wakeAt(queue: PageQueue, now: number): void {
    let at = Math.min(queue.nextAt, queue.nextUnansweredAt);
    const head = queue.head(now);
    const gates = [queue.gate, this.#gateOf(queue)];
    if (head) {
      const { urgency } = head.facts;
      const opensAt = Math.max(...gates.map((gate) => gate.opensAt(urgency)));
      if (opensAt > now) at = Math.min(at, opensAt);
    }
    if (queue.deferred > 0)
      for (const page of queue.pages)
        if (!page.isFailed && page.deferred !== null) at = Math.min(at, deferredFailsAt(page));
    if (gates.some(({ trouble }) => trouble))
      for (const { isFailed, facts, readySince } of queue.pages)
        if (!isFailed) for (const gate of gates) at = Math.min(at, gate.failsAt(facts.urgency, readySince));
    if (at === Number.POSITIVE_INFINITY) this.due.delete(queue.key);
    else this.due.set(queue.key, Math.max(Math.ceil(at), now + 1));
  }

  /** A socket is free, and the target may take its next page. */
  #ended(queue: PageQueue): void {
    this.#advance(queue);
    // Each once: one that still finds no room waits again.
    for (let left = this.#crowded.size; left > 0; left--) {
      const next = this.#crowded.next(this.#lanes);
      if (!next) break;
      this.#advance(next);
    }
    this.#trim(queue);
  }
}

/** A page waits no longer for the record of the one before it. */
const RECORD_MS = 2000;
/** Targets without pages whose state is kept: whether they answered, and what they asked for. */
const MAX_IDLE_TARGETS = 10_000;
