import type { Selectable } from "kysely";
import { deliveryQueue, type QueueName } from "../../core/limits/queues.ts";
import { unlessAborted } from "../../core/promises.ts";
import { untilMayAct } from "../../core/runtime.ts";
import { isWorkerChannel, type WorkerChannel } from "../../core/text/vocabulary.ts";
import { DAY_MS, type EpochMs, HOUR_MS } from "../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { DeliveriesTable, NotificationsTable, OutsideChannel } from "../../store/schema.ts";
import { PermanentError, RetryLater } from "../time/jobs/index.ts";

export type NotificationFacts = Selectable<NotificationsTable>;

/** User id of project-level deliveries. They skip preferences, quiet hours and per-user limits. */
export const PROJECT_RECIPIENT = "";

/** An address of a user on a channel: a device, a webhook, a mail address. */
export interface Target {
  /** {@link PROJECT_RECIPIENT} for a target of a project. */
  readonly userId: string;
  /** Id of the device or webhook; '' if a user has one target only. In `deliveries.target`. */
  readonly target: string;
}

export interface Attempt {
  readonly delivery: Selectable<DeliveriesTable>;
  readonly notification: NotificationFacts;
  /** Offset of the recipient's entry; the message carries it so that the app can catch up. */
  readonly offset: number;
  /** Set for a notice of an incident that the page sender sends. */
  readonly isPage?: boolean;
}

/** The provider's answer to an accepted message. */
export interface Accepted {
  readonly providerId?: string;
  /** Stores what the answer says, in the transaction that records it: a call needs no write. */
  readonly record?: (trx: Trx) => Promise<void>;
}

/** The result of a call. */
export type Answer = { readonly accepted: Accepted } | { readonly failure: unknown };

/**
 * An external channel: it knows the targets of users and how to reach them. plan.ts and attempt.ts
 * decide whether, when and how often to send. An attempt has three steps: `prepare` builds the
 * message, `call` sends it to the provider, `interpret` handles what the answer says about the
 * target. One contract suite runs over all channels (test/features/delivery/contract-*.test.ts).
 *
 * `call` resolves when the provider has taken responsibility. It throws RetryLater, or
 * {@link Throttled}, when the provider names a time, PermanentError when a retry cannot help, {@link TargetGone} when the
 * target no longer exists, {@link Refused} or {@link ProviderDown} when the problem is not this message, and any other
 * error for a retry with backoff. Several such errors in a row open the circuit; RetryLater and
 * other answers about one message do not. The delivery id is sent as the message id, the same for
 * every attempt (at least once).
 */
export interface DeliveryChannel<M extends object = object> extends ChannelCalls<M> {
  readonly name: OutsideChannel;
  /**
   * Whether each target is its own provider, such as a webhook's host, so that a failing one says
   * nothing about the others.
   */
  readonly perTargetCircuit?: boolean;
  /** The targets of these users. Only short indexed look-ups: it runs inside a transaction. */
  targets(userIds: readonly string[], notification: NotificationFacts, db: ReadDb | Trx): Promise<readonly Target[]>;
  /**
   * Builds everything the call needs except the provider's settings, as JSON. @throws TargetGone,
   * PermanentError, or Error for a retry
   */
  prepare(attempt: Attempt): Promise<M>;
  /**
   * Takes a turn of the target's own rate for a delivery that is no page. @returns 0, or whole ms
   * until its turn
   */
  turnMs?(delivery: Attempt["delivery"]): Promise<number>;
  /** Handles what an answer says about the target. @returns the final answer of the attempt */
  interpret?(attempt: Attempt, answer: Answer): Promise<Answer>;
  /** Owner and host of a user's target. @returns undefined if the target no longer exists */
  sourceOf?(target: string): Promise<TargetSource | undefined>;
  /** Disables a target that no longer exists, in the transaction that records it. */
  disable?(target: string, trx: Trx): Promise<void>;
}

/**
 * The part of a channel that talks to the provider. It uses the provider's settings and nothing of
 * the server, so remote workers run the same code.
 */
export interface ChannelCalls<M extends object = object> {
  /** Whether this process has the provider's settings; otherwise nothing is planned for it. */
  readonly isConfigured: boolean;
  /** @param message the result of {@link DeliveryChannel.prepare}, parsed from JSON */
  call(message: M, signal: AbortSignal): Promise<Accepted>;
  close?(): Promise<void> | void;
}

/** Parties that can make a channel's calls slow, besides the configured provider. */
export interface TargetSource {
  /** Name and port of the called host. */
  readonly host: string;
  /** The user or project that owns the target. */
  readonly owner: string;
  /** A message rings or costs. */
  readonly rings?: boolean | undefined;
}

/** Makes an attempt in this process. @throws the error of a failed attempt */
export async function callChannel(channel: DeliveryChannel, attempt: Attempt, signal: AbortSignal): Promise<Accepted> {
  const message = await channel.prepare(attempt);
  const answer = await answerOf(channel, message, signal);
  const ended = (await channel.interpret?.(attempt, answer)) ?? answer;
  if ("failure" in ended) throw ended.failure;
  return ended.accepted;
}

/** @throws only what ended the call before an answer: the signal's reason */
export async function answerOf(channel: DeliveryChannel, message: object, signal: AbortSignal): Promise<Answer> {
  try {
    return { accepted: await channel.call(message, signal) };
  } catch (error) {
    // An aborted call says nothing about its target.
    if (signal.aborted) throw error;
    return { failure: error };
  }
}

/** The target no longer exists: it is disabled, and the delivery is dead. */
export class TargetGone extends Error {
  override readonly name = "TargetGone";
  /** Epoch ms at which the provider noticed, if it says so. */
  readonly since: number | undefined;

  constructor(message: string, { since, ...options }: ErrorOptions & { readonly since?: number } = {}) {
    super(message, options);
    this.since = since;
  }
}

/** How far a call came: `answer` is after the request, which the other side may have taken. */
export type CallPhase = "dns" | "connect" | "tls" | "answer";

interface NoAnswerOptions extends ErrorOptions {
  readonly phase?: CallPhase | undefined;
  readonly timedOut?: boolean;
}

/** The host did not answer: unreachable or too slow. The message holds no address and no secret. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  readonly phase: CallPhase | undefined;
  /** The call took its whole time. */
  readonly timedOut: boolean;

  constructor(message: string, { phase, timedOut = false, ...options }: NoAnswerOptions = {}) {
    super(message, options);
    this.phase = phase;
    this.timedOut = timedOut;
  }
}

/** A service that says "now" is not asked over and over. */
const LEAST_WAIT_MS = 1000;

/** The provider named a time: the message waits for it, at least a second, without using up attempts. */
export class Throttled extends RetryLater {
  override readonly name = "Throttled";
  /** The rate of Prism's own limit is used up; nothing was sent. */
  readonly isOwnRate: boolean;
  /** The answer has no time: this one is usual for the service. A page is tried sooner. */
  readonly isGuess: boolean;

  constructor(message: string, retryAfterMs: number, options: ThrottledOptions = {}) {
    const { isOwnRate = false, isGuess = false, ...rest } = options;
    super(message, isOwnRate ? retryAfterMs : Math.max(retryAfterMs, LEAST_WAIT_MS), rest);
    this.isOwnRate = isOwnRate;
    this.isGuess = isGuess;
  }
}

/** The service asks to send this message later, and says nothing about others: greylisting, a full mailbox. */
export class Deferred extends RetryLater {
  override readonly name = "Deferred";
}

interface ThrottledOptions extends ErrorOptions {
  readonly isOwnRate?: boolean;
  readonly isGuess?: boolean;
}

/**
 * The target refuses every message, because of its credentials or address, which its owner may mend:
 * it is paused, and its deliveries wait.
 */
export class Refused extends PermanentError {
  override readonly name = "Refused";
}

/**
 * The target's own server refuses, as with 401 or 404, which its owner may mend: a job is retried as
 * after any error; for a page the way has failed.
 */
export class RefusedNow extends Error {
  override readonly name = "RefusedNow";
}

/** The provider is misconfigured or refuses everything: it is paused, and the message waits. */
export class ProviderDown extends Error {
  override readonly name = "ProviderDown";
}

/** Channels have shorter limits; this one ends calls that hang anyway. */
const LIMIT_MS = 60_000;
/** Extra time for calls at a stop: an answer now avoids a duplicate after the restart. */
const GRACE_MS = 2000;

/**
 * A call was abandoned because this process is stopping: its job is released, and it is unknown
 * whether the provider has the message.
 */
export class StoppedCall extends Error {
  override readonly name = "StoppedCall";
}

/**
 * Makes a call with a time limit, shortened when this process is asked to stop.
 * @throws errors of the call, StoppedCall, and Error for the limit
 */
export async function callWithin<T>(call: (signal: AbortSignal) => Promise<T>, stop: AbortSignal): Promise<T> {
  const held = untilMayAct();
  if (held) await unlessAborted(held, stop);
  const controller = new AbortController();
  const { signal } = controller;
  const timers: NodeJS.Timeout[] = [];
  const abortIn = (ms: number, error: () => Error): void => {
    timers.push(setTimeout(() => controller.abort(error()), ms));
  };
  const onStop = (): void => abortIn(GRACE_MS, () => new StoppedCall("the process is stopping"));
  abortIn(LIMIT_MS, () => new NoAnswer(`no answer within ${LIMIT_MS / 1000} s`, { phase: "answer", timedOut: true }));
  if (stop.aborted) onStop();
  else stop.addEventListener("abort", onStop, { once: true });
  try {
    return await unlessAborted(call(signal), signal);
  } finally {
    stop.removeEventListener("abort", onStop);
    for (const timer of timers) clearTimeout(timer);
  }
}

/** Limit of a delay in seconds. */
const MAX_WAIT_MS = DAY_MS;
/** Limit of a delay until a date: one of the two clocks may be wrong. */
const MAX_DATE_WAIT_MS = HOUR_MS;

/**
 * Parses Retry-After, seconds or a date, as whole milliseconds from now (RFC 9110 section
 * 10.2.3): at most a day, of a date at most an hour.
 * @returns undefined for a missing or invalid field.
 */
export function readRetryAfter(field: string | undefined, now: EpochMs): number | undefined {
  const text = field?.trim() ?? "";
  if (/^\d{1,10}$/.test(text)) return Math.min(Number(text) * 1000, MAX_WAIT_MS);
  const waitMs = /[A-Za-z]/.test(text) ? untilDate(Date.parse(text), now) : Number.NaN;
  return Number.isNaN(waitMs) ? undefined : waitMs;
}

/** Whole milliseconds until an instant that another clock named: 0 to an hour; NaN stays NaN. */
export function untilDate(at: EpochMs, now: EpochMs): number {
  return Math.min(Math.max(0, Math.ceil(at - now)), MAX_DATE_WAIT_MS);
}

/** All channels of a notification; `in_app` is the recipient's own row. */
export type AnyChannel = OutsideChannel | "in_app";

/** Accepted on every server: rules without channels use them, unconfigured ones have no effect. */
const ALWAYS_ACCEPTED: ReadonlySet<string> = new Set(["in_app", "pusher", "fcm", "apns", "webpush", "service"]);

/** The external channels by name. All are added before the server listens. */
export class Channels {
  readonly #byName = new Map<OutsideChannel, DeliveryChannel>();
  /** By the JSON text of the channels: rules use few combinations. */
  readonly #external = new Map<string, boolean>();
  /** Those that this server or remote workers can use; null: to be found again. */
  #usable: ReadonlyMap<OutsideChannel, DeliveryChannel> | null = null;
  readonly #workers: ReadonlySet<OutsideChannel>;

  /** @param workers channels of remote workers (`delivery.workers`), which this process skips */
  constructor(workers: readonly WorkerChannel[] = []) {
    this.#workers = new Set(workers);
  }

  /** @throws TypeError for a duplicate name. */
  add(channel: DeliveryChannel): void {
    if (this.#byName.has(channel.name)) throw new TypeError(`the channel ${channel.name} was added already`);
    this.#byName.set(channel.name, channel);
    this.reload();
  }

  /** In the order in which they were added. */
  get names(): readonly OutsideChannel[] {
    return [...this.#byName.keys()];
  }

  /** A channel that can be used, by this server or by remote workers. */
  get(name: OutsideChannel): DeliveryChannel | undefined {
    return this.#findUsable().get(name);
  }

  /** Whether one that can be used reaches people outside of the app, whatever they have set up. */
  get reachPeople(): boolean {
    for (const name of this.#findUsable().keys()) if (name !== "webhook" && name !== "pusher") return true;
    return false;
  }

  of(name: OutsideChannel): DeliveryChannel | undefined {
    return this.#byName.get(name);
  }

  /** Whether remote workers make the calls of the channel. */
  isForWorkers(channel: OutsideChannel): channel is WorkerChannel {
    return this.#workers.has(channel);
  }

  queueOf(channel: OutsideChannel): QueueName {
    return this.isForWorkers(channel) && isWorkerChannel(channel) ? `workers:${channel}` : deliveryQueue(channel);
  }

  /** Whether a rule or a request may name the channel. */
  accepts(name: AnyChannel): boolean {
    return ALWAYS_ACCEPTED.has(name) || (name !== "in_app" && this.get(name) !== undefined);
  }

  /** Whether these channels may need external delivery. @param names a JSON list, as stored */
  hasExternalChannel(names: string | null): boolean {
    if (names === null) return false;
    let isExternal = this.#external.get(names);
    if (isExternal === undefined) {
      isExternal = this.forChannels(names).length > 0;
      if (this.#external.size < MAX_REMEMBERED) this.#external.set(names, isExternal);
    }
    return isExternal;
  }

  /** The usable channels of a notification. @param names a JSON list, as stored */
  forChannels(names: string | null): readonly DeliveryChannel[] {
    if (names === null) return [];
    const named = new Set(JSON.parse(names) as AnyChannel[]);
    return [...this.#findUsable().values()].filter(({ name }) => named.has(name));
  }

  /** A channel may now be usable, or no longer: settings have changed, or a browser subscribed. */
  reload(): void {
    this.#external.clear();
    this.#usable = null;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byName.values()].map(async (channel) => channel.close?.()));
  }

  #findUsable(): ReadonlyMap<OutsideChannel, DeliveryChannel> {
    this.#usable ??= new Map(
      [...this.#byName].filter(([name, { isConfigured }]) => isConfigured || this.isForWorkers(name)),
    );
    return this.#usable;
  }
}

/** Only few orders of the eight names are in use. */
const MAX_REMEMBERED = 1000;
