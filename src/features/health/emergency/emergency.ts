import { randomUUID } from "node:crypto";
import { within } from "../../../core/promises.ts";
import { type Clock, type EpochMs, MINUTE_MS, toRfc3339 } from "../../../core/time/clock.ts";
import { DueTimes, SteadyClock } from "../../../core/time/due-times.ts";
import type { Uses } from "../../../module/feature.ts";
import { CallFiles, type CallRecord, type WayName } from "./call-file.ts";
import type { EmergencyNews, EmergencyPort, EmergencyReason } from "./port.ts";
import type { EmergencyOptions } from "./ways.ts";

export interface EmergencyParts extends Uses<"clock" | "log"> {
  /** The settings in use. */
  options(): EmergencyOptions;
  readonly dataDir: string;
  /** The server's address for clients. */
  serverUrl(): string;
}

/** At most one call per reason in this time. */
export const CALL_EVERY_MS = 15 * MINUTE_MS;
/** A way that failed is tried again after this time, until it accepts or the reason is cleared. */
export const RETRY_WAY_MS = 30_000;

const FILE_LIMIT_MS = 2000;

/** Reasons that report a past event, not a lasting state: they end with the first accepted call. */
const EVENTS: ReadonlySet<EmergencyReason> = new Set(["server-was-down"]);

/** A reason that is present. */
interface Raised {
  news: EmergencyNews;
  readonly since: EpochMs;
  readonly raisedAt: EpochMs;
}

/**
 * The last resort: calls people by ways of its own when Prism itself cannot reach anyone. It uses
 * no database and nothing of the channels. While a reason is raised it is called every 15 minutes,
 * by each configured way; the times are in files, so that restarts call no more often.
 */
export class Emergency implements EmergencyPort {
  readonly #parts: EmergencyParts;
  readonly #files: CallFiles;
  readonly #raised = new Map<EmergencyReason, Raised>();
  readonly #calls = new Map<EmergencyReason, CallRecord>();
  /** Reasons whose file has been read. */
  readonly #loaded = new Map<EmergencyReason, Promise<void>>();
  readonly #clock: Clock;
  readonly #due: DueTimes<EmergencyReason>;
  readonly #running = new Set<Promise<void>>();
  #isStopped = false;
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: EmergencyParts) {
    this.#parts = parts;
    this.#files = new CallFiles(parts.dataDir);
    this.#clock = elapsedClock(parts.clock);
    this.#due = new DueTimes({
      clock: new SteadyClock(this.#clock),
      handle: async (reasons) => this.#turn(reasons),
      onError: (err) => parts.log.error({ err }, "calling the emergency contacts failed; retrying"),
    });
  }

  get isConfigured(): boolean {
    const { webhook, smtp, command } = this.#parts.options();
    return webhook !== undefined || smtp.host !== undefined || command !== undefined;
  }

  /** Reasons that are present now, with what their next call says. */
  get raised(): ReadonlyMap<EmergencyReason, EmergencyNews & { readonly since: EpochMs }> {
    return new Map([...this.#raised].map(([reason, { news, since }]) => [reason, { since, ...news }]));
  }

  raise(reason: EmergencyReason, news: EmergencyNews): void {
    if (!this.isConfigured || this.#isStopped) return;
    const known = this.#raised.get(reason);
    if (known) known.news = news;
    else {
      const raisedAt = this.#clock.now();
      this.#raised.set(reason, { news, since: news.since ?? this.#parts.clock.now(), raisedAt });
      this.#parts.log.error({ reason, text: news.text }, "emergency: calling the configured contacts");
      this.#due.set(reason, raisedAt);
    }
    this.#due.start();
  }

  clear(reason: EmergencyReason): void {
    if (!this.#raised.delete(reason)) return;
    this.#due.delete(reason);
    this.#parts.log.info({ reason }, "emergency over");
  }

  /** Makes the file that a full disk can still take. At a start with a configured way. */
  async prepare(): Promise<void> {
    if (this.isConfigured) await this.#files.prepare("store-refuses-writes");
  }

  /** Handles what is due now; otherwise a timer does. Resolves when the calls are answered. */
  async check(): Promise<void> {
    await this.#due.check();
    await Promise.all(this.#running);
  }

  /** Waits for the running calls, at most for this time. */
  async settled(limitMs: number): Promise<void> {
    await within(limitMs, this.check());
  }

  /** Calls nothing more. Waits for the running calls, at most for this time. */
  async stop(limitMs: number): Promise<void> {
    this.#isStopped = true;
    await this.#due.stop();
    await within(limitMs, Promise.all(this.#running));
  }

  #turn(reasons: readonly EmergencyReason[]): void {
    for (const reason of reasons) {
      this.#due.delete(reason);
      const running = this.#call(reason)
        .catch((err: unknown) => this.#parts.log.error({ err, reason }, "emergency call failed; retrying"))
        .finally(() => {
          this.#running.delete(running);
          this.#plan(reason);
        });
      this.#running.add(running);
    }
  }

  async #call(reason: EmergencyReason): Promise<void> {
    // A file system that hangs must not hold the call.
    await within(FILE_LIMIT_MS, this.#load(reason));
    const { configuredWays } = await import("./ways.ts");
    const call = this.#current(reason);
    if (!this.#raised.has(reason) || !call) return;
    const ways = configuredWays(this.#parts.options()).filter((way) => (call.ways[way] ?? "failed") === "failed");
    if (ways.length === 0) {
      const [calledAt, nextAt] = [call.at, call.at + CALL_EVERY_MS].map(toRfc3339);
      return this.#parts.log.info({ reason, calledAt, nextAt }, "emergency already called");
    }
    const retried = new Set(ways.filter((way) => call.ways[way] === "failed"));
    for (const way of ways) call.ways[way] = "started";
    await within(FILE_LIMIT_MS, this.#save(reason, call));
    await Promise.all(ways.map((way) => this.#send(reason, call, way, retried.has(way))));
  }

  /** The call of these 15 minutes; a new one if the last is older. Null: the event was called already. */
  #current(reason: EmergencyReason): CallRecord | null {
    const now = this.#clock.now();
    const last = this.#calls.get(reason);
    if (last && now - last.at < CALL_EVERY_MS) return last;
    if (last && EVENTS.has(reason) && this.#wasAccepted(reason, last)) {
      this.clear(reason);
      return null;
    }
    const call: CallRecord = { id: randomUUID(), at: now, ways: {} };
    this.#calls.set(reason, call);
    return call;
  }

  /** Only an acceptance since the reason was raised counts, not one of an earlier process. */
  #wasAccepted(reason: EmergencyReason, { at, ways }: CallRecord): boolean {
    const raised = this.#raised.get(reason);
    return raised !== undefined && at >= raised.raisedAt && Object.values(ways).includes("accepted");
  }

  async #send(reason: EmergencyReason, call: CallRecord, way: WayName, isRetry: boolean): Promise<void> {
    const { log, clock } = this.#parts;
    const raised = this.#raised.get(reason);
    if (!raised) return;
    const [{ messageOf }, { sendBy }] = await Promise.all([import("./message.ts"), import("./ways.ts")]);
    const news = { since: raised.since, ...raised.news };
    const message = messageOf({ id: call.id, reason, news, at: clock.now(), serverUrl: this.#parts.serverUrl() });
    try {
      const answer = await sendBy(way, this.#parts.options(), message);
      call.ways[way] = "accepted";
      log.warn({ reason, way, answer }, "emergency call accepted");
    } catch (error) {
      call.ways[way] = "failed";
      const cause = error instanceof Error ? error.message : String(error);
      // Every half a minute: one line per call is enough.
      if (!isRetry) log.error({ reason, way, cause }, "emergency contact failed; retrying every 30 s");
    }
    await within(FILE_LIMIT_MS, this.#save(reason, call));
  }

  /** When the next call or retry is due. */
  #plan(reason: EmergencyReason): void {
    const call = this.#calls.get(reason);
    if (!this.#raised.has(reason)) return;
    const now = this.#clock.now();
    if (!call) return this.#due.set(reason, now + RETRY_WAY_MS);
    const states = Object.values(call.ways);
    if (EVENTS.has(reason) && !states.includes("failed") && this.#wasAccepted(reason, call)) return this.clear(reason);
    const nextAt = call.at + CALL_EVERY_MS;
    this.#due.set(reason, Math.max(now, states.includes("failed") ? Math.min(now + RETRY_WAY_MS, nextAt) : nextAt));
  }

  #load(reason: EmergencyReason): Promise<void> {
    const known = this.#loaded.get(reason);
    if (known) return known;
    const loading = this.#files.read(reason).then((record) => {
      if (record) this.#calls.set(reason, { ...record, at: Math.min(record.at, this.#clock.now()) });
    });
    this.#loaded.set(reason, loading);
    return loading;
  }

  /** Without the file, on a read-only disk for instance, memory limits the calls of this process. */
  #save(reason: EmergencyReason, call: CallRecord): Promise<void> {
    this.#saving = this.#saving
      .then(() => this.#files.write(reason, call))
      .catch((err: unknown) => this.#parts.log.warn({ err, reason }, "cannot store the time of an emergency call"));
    return this.#saving;
  }
}

/** The wall clock of now, moved by elapsed time only: a clock that jumps neither hurries nor delays a call. */
function elapsedClock(clock: Clock): Clock {
  const startedAt = clock.now() - clock.elapsed();
  return { now: () => Math.round(startedAt + clock.elapsed()), elapsed: () => clock.elapsed() };
}
