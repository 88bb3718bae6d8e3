import type { Selectable } from "kysely";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { DeliveriesTable, NotificationsTable, OutsideChannel } from "../../store/schema.ts";

export type NotificationFacts = Selectable<NotificationsTable>;

/** Whose a delivery is that goes to a project and no recipient: nobody's preferences, hours and limits are asked for it. */
export const NOBODY = "";

/** One place where a user can be reached by a channel: a device, a webhook, a mail address. */
export interface Target {
  /** Of a project's own place {@link NOBODY}. */
  readonly userId: string;
  /** Id of the device or webhook; '' where a user has one place only. Stored as `deliveries.target`. */
  readonly target: string;
}

/** One attempt at one delivery. */
export interface Attempt {
  readonly delivery: Selectable<DeliveriesTable>;
  readonly notification: NotificationFacts;
  /** Offset of the recipient's own entry, which the message carries so that the app can catch up. */
  readonly offset: number;
  readonly signal: AbortSignal;
}

/** What the provider said when it took the message. */
export interface Accepted {
  /** The provider's own id of it. */
  readonly providerId?: string;
}

/**
 * Makes the calls of one channel: it has the provider's settings, and neither a database nor anything else of the server's. So a worker elsewhere
 * makes them as the server does (D35).
 */
export interface Caller<M extends object = object> {
  /** Whether this process has what the provider asks for. */
  readonly isConfigured: boolean;
  /** @param message as {@link PreparedSender.prepare} made it, once it was JSON. @throws as {@link Sender.send} */
  call(message: M, signal: AbortSignal): Promise<Accepted>;
  close?(): Promise<void> | void;
}

/**
 * A channel that leads out of the program. It knows where a user can be reached and how to reach him; when, how often and whether at all is
 * decided elsewhere. One contract suite runs over all of them (test/delivery/contract-*.test.ts).
 *
 * `send` resolves when the provider has taken responsibility. It throws RetryLater when the provider names a time, PermanentError when trying
 * again cannot help, {@link DeadTarget} when the place is gone, {@link ProviderDown} when it is not about this message at all, and anything else to be tried
 * again with backoff; several of those in a row say that the provider is down, an answer about one message such as RetryLater does not.
 * The delivery's id is sent along as the message's id, the same for every attempt (at least once).
 */
export interface Sender {
  readonly channel: OutsideChannel;
  /** Whether this server can use the channel at all; without that nothing is planned for it. */
  readonly isConfigured: boolean;
  /** Whether each place is a provider of its own, such as a webhook's host: one that is down then says nothing of the others. */
  readonly isProviderEach?: boolean;
  /** The places of these users for this notification. Short look-ups by index: it runs while others wait for the writer. */
  targets(userIds: readonly string[], notification: NotificationFacts, db: ReadDb | Trx): Promise<readonly Target[]>;
  send(attempt: Attempt): Promise<Accepted>;
  /** Where targets belong to users: whose this one is, and its host. @returns undefined when the target is gone */
  sourceOf?(target: string): Promise<TargetSource | undefined>;
  /** Makes a place that is gone unusable, in the transaction that notes it. */
  disable?(target: string, trx: Trx): Promise<void>;
  /** Reaches the provider without telling anybody; for `prism doctor --deep`. @throws what is wrong */
  check?(): Promise<void>;
  close?(): Promise<void> | void;
}

/** Who can make a channel's calls slow, besides the provider that the operator has configured. */
export interface TargetSource {
  /** Name and port of the host that is called. */
  readonly host: string;
  /** The user or the project whose target it is. */
  readonly owner: string;
}

/** The place does not exist any more: it is disabled, and the delivery is dead. */
export class DeadTarget extends Error {
  override readonly name = "DeadTarget";
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

/** The provider cannot be used as it is configured, or refuses everything: it is paused, and the message waits. */
export class ProviderDown extends Error {
  override readonly name = "ProviderDown";
}
