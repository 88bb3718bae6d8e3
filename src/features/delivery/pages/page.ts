import type { Selectable } from "kysely";
import type { Trx } from "../../../store/database.ts";
import type { OpenPageFacts } from "../../../store/effect.ts";
import type { PagesTable } from "../../../store/schema/alerts.ts";

/*
 * A page is a notice of an incident: to a target of a person, a room, a keyed service or a webhook.
 * docs/delivery.md has the rules. The row is the message: its id is the message id of every attempt.
 */

export type PageRow = Selectable<PagesTable>;
export type PageKindName = PageRow["kind"];

/** Where a page goes: what shares queues, probes and limits with it. */
export interface Place {
  /** Messages to one target are sent in order: urgency, severity, age. */
  readonly target: string;
  /** Targets of one provider share the probe while it cannot be reached. */
  readonly provider: string;
  /** The user or project that named the target. */
  readonly owner: string;
  /** A message rings or costs, such as a call or an SMS: it is repeated a few times only. */
  readonly rings?: boolean | undefined;
}

/** A page to add. */
export interface NewPage extends Place {
  readonly id: string;
  readonly incidentId: string;
  readonly projectId: string;
  readonly kind: PageKindName;
  /** The way within the incident: a later page of the same way replaces a waiting one. */
  readonly way: string;
  readonly userId?: string | null;
  readonly channel?: string | null;
  readonly step?: number | null;
  readonly notificationId?: string | null;
  readonly reason: string;
  readonly urgency: PageRow["urgency"];
  /** 0 is the most severe. */
  readonly severity?: number;
  /** It reports the end of the incident. */
  readonly isEnd?: boolean;
  /** Data of the kind. */
  readonly content?: object;
  /** Quiet hours of a person: it is not sent before. */
  readonly heldUntil?: number | null;
  /** Nothing is sent; why. */
  readonly skipped?: string | null;
}

/** The other side's answer when it accepted a page. */
export interface AcceptedPage {
  /** For people, such as "250 queued" or an id. */
  readonly answer: string | null;
  /** Stores what the answer says, in the transaction that records it. The target's next page waits for it. */
  readonly record?: (trx: Trx) => Promise<void>;
}

/** The note of pages of a mirror project, which are not sent: for its incident they have arrived. */
export const MIRROR = "mirror";

/** A page that is not to be sent any more. */
export interface NotSent {
  readonly skipped: string;
  readonly record?: (trx: Trx) => Promise<void>;
}

export const MIRRORED: NotSent = { skipped: MIRROR };

export interface PageSendOptions {
  readonly signal: AbortSignal;
}

/** One message in place of many pages of a target. */
export interface Folding {
  /** How many pages may wait until they are combined. @param isBack the target works again after an outage */
  above(target: string, isBack: boolean): number;
  /** How many ends of incidents that have moved may wait until they are, without the others. */
  aboveMoves(target: string): number;
  /** The pages are in the order in which they would be sent. @throws as {@link PageKind.send} */
  send(pages: readonly PageRow[], options: PageSendOptions): Promise<AcceptedPage>;
}

/** How pages of one kind are sent. */
export interface PageKind {
  /** Calls to one target at the same time, once it has answered. */
  readonly atOnce: number;
  /**
   * Makes one attempt. @throws as a channel's call: TargetGone, PermanentError, Throttled,
   * ProviderDown, NoAnswer, and any other error for a retry
   */
  send(page: PageRow, options: PageSendOptions): Promise<AcceptedPage | NotSent>;
  readonly fold?: Folding;
  /** The next page of the incident needs the outcome of this one. */
  readonly needsRecord?: boolean;
  /** Follows a page whose outcome changes, in the same transaction. */
  changed?(trx: Trx, page: PageRow): Promise<void>;
  /** The service's own word that the target no longer exists. */
  gone?(trx: Trx, page: PageRow): Promise<unknown>;
}

/**
 * Result of a bounce. `unknown`: no page by mail that was sent. `early`: its acceptance is not
 * stored yet.
 */
export type BounceResult = "failed" | "repeated" | "unknown" | "early";

/** Handlers of incidents for outcomes, in the transaction that records them. */
export interface PageFollower {
  /**
   * Reads what the acceptance of these pages needs. Best before the transaction writes: later it costs a
   * message to the writer's thread. @returns what stores it, for those of them that were accepted
   */
  accepting?(trx: Trx, pages: readonly PageRow[]): Promise<(pages: readonly PageRow[]) => Promise<void>>;
  /** Nothing leaves their project: they would have been sent. */
  mirrored?(trx: Trx, pages: readonly PageRow[]): Promise<void>;
  /** They count as failed from now on, and go on being tried. */
  failed(trx: Trx, pages: readonly PageRow[]): Promise<void>;
  /** An accepted page was returned. `failed` follows. */
  returned?(trx: Trx, page: PageRow): Promise<void>;
}

/** The reason of pages of a drill: they are about no incident. */
export const DRILL = "drill";
/** The reason of pages that report where the alerts of an incident are now. A changed document makes many at once. */
export const MOVED = "moved";
/** More of them are sent as one message. */
export const MOVES_ONE_BY_ONE = 5;

/** Order of two waiting pages of a target. */
export function comparePages(a: OpenPageFacts, b: OpenPageFacts): number {
  return (
    Number(a.urgency === "low") - Number(b.urgency === "low") ||
    a.isEnd - b.isEnd ||
    a.severity - b.severity ||
    a.createdAt - b.createdAt ||
    (a.id < b.id ? -1 : Number(a.id > b.id))
  );
}
