import type { Selectable } from "kysely";
import { unlessAborted } from "../../core/promises.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { DeliveriesTable, NotificationsTable, OutsideChannel } from "../../store/schema.ts";

export type NotificationFacts = Selectable<NotificationsTable>;

/** User id of project-level deliveries. They skip preferences, quiet hours and per-user limits. */
export const PROJECT_RECIPIENT = "";

/** Where a user is reached by a channel: a device, a webhook, a mail address. */
export interface Target {
  /** {@link PROJECT_RECIPIENT} for a target of a project. */
  readonly userId: string;
  /**
   * Id of the device or webhook; '' where a user has one target only. Stored as
   * `deliveries.target`.
   */
  readonly target: string;
}

/** One attempt at one delivery. */
export interface Attempt {
  readonly delivery: Selectable<DeliveriesTable>;
  readonly notification: NotificationFacts;
  /**
   * Offset of the recipient's own entry, which the message carries so that the app can catch up.
   */
  readonly offset: number;
}

/** What the provider said when it took the message. */
export interface Accepted {
  /** The provider's own id of it. */
  readonly providerId?: string;
}

/** How a call ended. */
export type Answer = { readonly accepted: Accepted } | { readonly failure: unknown };

/**
 * A channel that leads out of the program: it knows where a user is reached, and how. When, how
 * often and whether at all is decided by plan.ts and attempt.ts. An attempt has three steps:
 * `prepare` puts the message together, `call` hands it to the provider, `interpret` notes what the
 * answer says of the target. One contract suite runs over all channels
 * (test/features/delivery/contract-*.test.ts).
 *
 * `call` resolves when the provider has taken responsibility. It throws RetryLater when the
 * provider names a time, PermanentError when trying again cannot help, {@link TargetGone} when the
 * target is gone, {@link ProviderDown} when it is not about this message at all, and anything else
 * to be tried again with backoff; several of those in a row say that the provider is down, an
 * answer about one message such as RetryLater does not. The delivery's id is sent along as the
 * message's id, the same for every attempt (at least once).
 */
export interface Channel<M extends object = object> extends ChannelCalls<M> {
  readonly name: OutsideChannel;
  /**
   * Whether each target is a provider of its own, such as a webhook's host: one that is down then
   * says nothing of the others.
   */
  readonly perTargetCircuit?: boolean;
  /**
   * The targets of these users for this notification. Short look-ups by index: it runs while others
   * wait for the writer.
   */
  targets(userIds: readonly string[], notification: NotificationFacts, db: ReadDb | Trx): Promise<readonly Target[]>;
  /**
   * All that the call needs besides the provider's settings, as JSON. @throws TargetGone,
   * PermanentError, Error to be tried again
   */
  prepare(attempt: Attempt): Promise<M>;
  /**
   * Notes what an answer says of the target. @returns what the attempt ends with, which may be more
   * than the call knew
   */
  interpret?(attempt: Attempt, answer: Answer): Promise<Answer>;
  /**
   * Where targets belong to users: the owner of this one, and its host. @returns undefined when the
   * target is gone
   */
  sourceOf?(target: string): Promise<TargetSource | undefined>;
  /** Makes a target that is gone unusable, in the transaction that records it. */
  disable?(target: string, trx: Trx): Promise<void>;
}

/**
 * The part of a channel that talks to the provider: it has the provider's settings, and nothing of
 * the server's. A worker elsewhere makes the calls with the same code.
 */
export interface ChannelCalls<M extends object = object> {
  /**
   * Whether this process has the settings of the provider; without them nothing is planned for the
   * channel.
   */
  readonly isConfigured: boolean;
  /** @param message as {@link Channel.prepare} made it, once it was JSON */
  call(message: M, signal: AbortSignal): Promise<Accepted>;
  close?(): Promise<void> | void;
}

/** Who can make a channel's calls slow, besides the provider that the operator has configured. */
export interface TargetSource {
  /** Name and port of the host that is called. */
  readonly host: string;
  /** The user or the project that owns the target. */
  readonly owner: string;
}

/** Makes an attempt in this process. @throws what it has failed with */
export async function callChannel(channel: Channel, attempt: Attempt, signal: AbortSignal): Promise<Accepted> {
  const message = await channel.prepare(attempt);
  const answer = await answerOf(channel, message, signal);
  const ended = (await channel.interpret?.(attempt, answer)) ?? answer;
  if ("failure" in ended) throw ended.failure;
  return ended.accepted;
}

async function answerOf(channel: Channel, message: object, signal: AbortSignal): Promise<Answer> {
  try {
    return { accepted: await channel.call(message, signal) };
  } catch (error) {
    // A call that was given up says nothing of its target.
    if (signal.aborted) throw error;
    return { failure: error };
  }
}

/** The target does not exist any more: it is disabled, and the delivery is dead. */
export class TargetGone extends Error {
  override readonly name = "TargetGone";
  /** Epoch ms at which the provider knew, where it says so. */
  readonly since: number | undefined;

  constructor(message: string, { since, ...options }: ErrorOptions & { readonly since?: number } = {}) {
    super(message, options);
    this.since = since;
  }
}

/** The host did not answer at all: it could not be reached, or not in time. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/**
 * The provider cannot be used as it is configured, or refuses everything: it is paused, and the
 * message waits.
 */
export class ProviderDown extends Error {
  override readonly name = "ProviderDown";
}

/** Channels have shorter limits of their own; this one is for what hangs all the same. */
const LIMIT_MS = 60_000;
/**
 * What a provider is left with when this process stops: an answer that comes now saves a second
 * message after the next start.
 */
const GRACE_MS = 2000;

/**
 * A call was given up because this process stops: its job is handed back, and whether the provider
 * has the message is not known.
 */
export class StoppedCall extends Error {
  override readonly name = "StoppedCall";
}

/**
 * Makes a call, and gives up when it takes too long, or soon after this process has been asked to
 * stop.
 * @throws what it throws, StoppedCall, and Error for the limit
 */
export async function callWithin<T>(call: (signal: AbortSignal) => Promise<T>, stop: AbortSignal): Promise<T> {
  const controller = new AbortController();
  const { signal } = controller;
  const timers: NodeJS.Timeout[] = [];
  const abortIn = (ms: number, error: Error): void => {
    timers.push(setTimeout(() => controller.abort(error), ms));
  };
  const onStop = (): void => abortIn(GRACE_MS, new StoppedCall("the process is stopping"));
  abortIn(LIMIT_MS, new Error(`no answer within ${LIMIT_MS / 1000} seconds`));
  if (stop.aborted) onStop();
  else stop.addEventListener("abort", onStop, { once: true });
  try {
    return await unlessAborted(call(signal), signal);
  } finally {
    stop.removeEventListener("abort", onStop);
    for (const timer of timers) clearTimeout(timer);
  }
}
