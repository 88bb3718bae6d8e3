import type { Delivery } from "../inbox/notification-types.ts";

/** What `GET /api/v1/explain/…` returns, as far as the story shows it (docs/explain.md). */
export interface Explanation {
  readonly subject: { readonly kind: "event" | "notification"; readonly id: string };
  /** `own`: only the part of the caller. */
  readonly scope: "full" | "own";
  readonly answer: string;
  readonly event: ExplainedEvent | null;
  readonly counts: Readonly<Record<string, number>>;
  readonly rules: readonly ExplainedRule[];
  readonly rulesLeftOut: number;
  readonly notifications: readonly ExplainedNotification[];
  /** What led to a notification of an incident; null for others, and for who may not read incidents. */
  readonly incident: ExplainedIncident | null;
  readonly user: ExplainedUser | null;
}

export interface ExplainedIncident {
  readonly incidentId: string;
  readonly number: number;
  readonly state: "open" | "acknowledged" | "resolved";
  readonly acknowledgements: readonly { readonly userId: string; readonly name: string; readonly at: string }[];
  /** Alerts, route, policy, step with its people, contact rules, acknowledgements. */
  readonly lines: readonly { readonly at: string | null; readonly kind: string; readonly text: string }[];
}

export interface ExplainedEvent {
  readonly id: string;
  readonly projectId: string;
  readonly type: string;
  readonly level: string;
  readonly source: string | null;
  readonly occurredAt: string;
  readonly receivedAt: string;
  readonly state: "decided" | "waiting" | "failed";
  readonly failure: { readonly attempts: number; readonly lastError: string | null } | null;
}

export type RuleOutcome =
  | "fired"
  | "suppressed"
  | "deduped"
  | "cooled"
  | "counted"
  | "alert-opened"
  | "alert-resolved"
  | "no recipients"
  | "condition false"
  | "error"
  | "inactive"
  | "later"
  | "undecided";

export interface Step {
  readonly pos: number;
  readonly text: string;
  /** Absent when the event does not have the value. */
  readonly value?: unknown;
}

export interface ExplainedRule {
  readonly ruleId: string;
  readonly name: string;
  readonly version: number | null;
  readonly outcome: RuleOutcome;
  readonly reason: string;
  readonly at: string | null;
  readonly notificationId: string | null;
  readonly condition: string | null;
  /** Null in the part of a recipient. */
  readonly targets: { readonly roles: readonly string[]; readonly users: number } | null;
  readonly trace: { readonly matched: boolean; readonly trace: readonly Step[]; readonly error?: string } | null;
  readonly suppression: {
    readonly limit: number;
    readonly windowMs: number;
    readonly key: string;
    readonly storm: Storm | null;
  } | null;
  readonly earlier: {
    readonly notificationId: string;
    readonly createdAt: string;
    readonly title: string;
    readonly aggregateCount: number;
  } | null;
  readonly user: { readonly told: boolean; readonly reason: string; readonly reach: string | null } | null;
}

export interface Storm {
  readonly heldBack: number;
  readonly startedAt: string;
  readonly noticeId: string | null;
}

export interface ExplainedNotification {
  readonly id: string;
  readonly ruleId: string | null;
  readonly kind: string;
  readonly title: string;
  readonly createdAt: string;
  readonly aggregateCount: number;
  readonly counts: {
    readonly recipients: number;
    readonly delivered: number;
    readonly read: number;
    readonly acknowledged: number;
  };
  readonly storm: Storm | null;
  readonly channels: readonly ChannelCount[];
  readonly recipients: readonly ExplainedRecipient[];
  readonly recipientsLeftOut: number;
}

export interface ChannelCount {
  readonly channel: string;
  readonly state: string;
  readonly reason: string | null;
  readonly count: number;
}

export interface ExplainedRecipient {
  readonly userId: string;
  readonly name: string;
  readonly delivered: boolean;
  readonly deliveredAt: string | null;
  readonly readAt: string | null;
  readonly acknowledgedAt: string | null;
  readonly acknowledgeNote: string | null;
  readonly deletedAt: string | null;
  readonly deliveries: readonly ExplainedDelivery[];
}

export interface ExplainedDelivery extends Delivery {
  readonly history: readonly {
    readonly attempt: number;
    readonly startedAt: string;
    readonly endedAt: string | null;
    readonly outcome: string;
    readonly error: string | null;
  }[];
}

export interface ExplainedUser {
  readonly id: string;
  readonly name: string;
  readonly told: boolean;
  readonly reasons: readonly string[];
}
