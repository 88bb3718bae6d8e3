import type { Principal } from "../../../core/caller.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { Projects } from "../../access/index.ts";
import type { AlertInput } from "../types.ts";
import type { StoredAlert } from "./alert-book.ts";

/** The credential of a caller as the sender of alerts: `key:<id>`, `token:<id>:<user>` or `user:<id>`. */
function senderOf(principal: Principal): string {
  if (principal.kind === "apiKey") return `key:${principal.keyId}`;
  if (principal.tokenId !== null) return `token:${principal.tokenId}:${principal.userId}`;
  return principal.key;
}

/** Whether both are one sender: all tokens of a user are. */
export function isSameSender(one: string | null, other: string | null): boolean {
  if (one === other) return true;
  if (one === null || other === null) return false;
  const [kind, id, user = kind === "user" ? id : undefined] = one.split(":");
  const [otherKind, otherId, otherUser = otherKind === "user" ? otherId : undefined] = other.split(":");
  // Tokens had no user before.
  return (kind === otherKind && id === otherId) || (user !== undefined && user === otherUser);
}

/**
 * The caller as the source of alerts. A key of the project ends what it reports, a user needs
 * `incidents:act`.
 */
export function reporterOf(
  projects: Projects,
  principal: Principal,
  projectId: string,
): Required<Pick<AlertInput, "sender" | "mayEnd">> {
  const mayEnd = principal.kind === "apiKey" || projects.has(principal, projectId, "incidents:act");
  return { sender: senderOf(principal), mayEnd };
}

/** Key of the alert that reports that a sender is silent. */
export function silentKey(sender: string): string {
  return `silent:${sender}`;
}

/** Credentials are few. Of a sender that is forgotten the alerts know their last input. */
const MAX_SENDERS = 10_000;

/**
 * When each sender last reported an alert, and the alerts that report its silence. Both are in
 * memory only, built from the live alerts at a start: a repetition costs no write.
 */
export class Senders {
  readonly #lastAt = new Map<string, EpochMs>();
  readonly #reports = new Map<string, Set<StoredAlert>>();

  /** @returns the alerts that reported its silence, which is over */
  heard(sender: string, now: EpochMs): Iterable<StoredAlert> {
    if (!this.#lastAt.has(sender) && this.#lastAt.size >= MAX_SENDERS) {
      const [oldest] = this.#lastAt.keys();
      if (oldest !== undefined) this.#lastAt.delete(oldest);
    }
    this.#lastAt.set(sender, now);
    return this.#reports.get(sender) ?? [];
  }

  /** @returns null: unknown */
  lastAt(sender: string): EpochMs | null {
    return this.#lastAt.get(sender) ?? null;
  }

  /** An alert that was loaded, with its last input. */
  loaded({ sender, lastAt }: StoredAlert): void {
    if (sender !== null && lastAt > (this.#lastAt.get(sender) ?? 0)) this.heard(sender, lastAt);
  }

  /** A live alert; only those that report a silence are kept. */
  opened(alert: StoredAlert): void {
    const sender = silentSenderOf(alert);
    if (sender === null) return;
    const reports = this.#reports.get(sender) ?? new Set();
    this.#reports.set(sender, reports.add(alert));
  }

  ended(alert: StoredAlert): void {
    const sender = silentSenderOf(alert);
    const reports = sender === null ? undefined : this.#reports.get(sender);
    reports?.delete(alert);
    if (sender !== null && reports?.size === 0) this.#reports.delete(sender);
  }

  /** Those whose silence is reported, since when. */
  silent(): { readonly sender: string; readonly since: EpochMs }[] {
    return [...this.#reports].map(([sender, reports]) => {
      return { sender, since: Math.min(...[...reports].map(({ startsAt }) => startsAt)) };
    });
  }

  /** Reports whose sender was heard after them, such as while they were stored. */
  outdated(): StoredAlert[] {
    const found: StoredAlert[] = [];
    for (const [sender, reports] of this.#reports)
      for (const alert of reports) if ((this.lastAt(sender) ?? 0) > alert.lastAt) found.push(alert);
    return found;
  }
}

function silentSenderOf({ source, sourceId }: StoredAlert): string | null {
  return source === "prism" ? sourceId : null;
}
