/** Alerts, incidents, silences, policies and routing; heartbeats, integrations, status pages. */
import type { Generated } from "kysely";
import type { Flag } from "./system.ts";

/** `prism`: the server itself, such as of a source that fell silent. */
export type AlertSource =
  | "alertmanager"
  | "rule"
  | "heartbeat"
  | "pagerduty"
  | "opsgenie"
  | "receiver"
  | "api"
  | "prism";
/** `pending`: the condition has to hold for some time before the alert fires. */
export type AlertState = "pending" | "firing" | "resolved";
export type IncidentState = "open" | "acknowledged" | "resolved";
export type Urgency = "high" | "low";
export type IncidentSeverity = "critical" | "error" | "warning" | "info";

export interface AlertsTable {
  id: string;
  projectId: string;
  /** The identity at the source, such as `fp:<fingerprint>`. */
  key: string;
  fingerprint: string;
  labels: string;
  annotations: string;
  generatorUrl: string | null;
  severity: string | null;
  source: AlertSource;
  /** The rule, heartbeat or integration; of the source `prism` the sender that fell silent. */
  sourceId: string | null;
  state: AlertState;
  startsAt: number;
  /** While pending: when it fires. */
  firesAt: number | null;
  /** While firing: when it times out; null: when the source says so. */
  endsAt: number | null;
  isTimeoutEnd: Generated<Flag>;
  timedOut: Generated<Flag>;
  lastAt: number;
  count: Generated<number>;
  resolvedAt: number | null;
  /** The credential of the last input, such as `key:<id>`; null: rules and heartbeats have none. */
  sender: string | null;
}

/** What a rule decided about an alert, until the alerts have taken it. */
export interface AlertSignalsTable {
  eventSeq: number;
  ruleId: string;
  action: "fire" | "resolve";
  projectId: string;
  input: string;
  at: number;
}

export interface AlertRoutingTable {
  projectId: string;
  document: string;
  version: number;
  updatedBy: string | null;
  updatedAt: number;
}

export interface AlertRoutingVersionsTable {
  projectId: string;
  version: number;
  document: string;
  createdBy: string | null;
  createdAt: number;
}

export interface PoliciesTable {
  id: string;
  projectId: string;
  name: string;
  definition: string;
  version: number;
  createdBy: string | null;
  createdAt: number;
  updatedAt: number;
  deletedAt: number | null;
}

export interface PolicyVersionsTable {
  policyId: string;
  version: number;
  definition: string;
  createdBy: string | null;
  createdAt: number;
}

/** The last user of each round-robin step. */
export interface PolicyTurnsTable {
  policyId: string;
  step: number;
  userId: string;
}

export interface IncidentsTable {
  id: string;
  number: number;
  projectId: string;
  policyId: string;
  policyVersion: number;
  groupKey: string;
  groupLabels: string;
  /** The route's settings when the incident was opened. */
  route: string;
  title: string;
  urgency: Generated<Urgency>;
  state: IncidentState;
  openedAt: number;
  acknowledgedAt: number | null;
  resolvedAt: number | null;
  resolvedBy: string | null;
  snoozedUntil: number | null;
  step: Generated<number>;
  round: Generated<number>;
  /** Number of notifications so far, for their dedupe keys. */
  notices: Generated<number>;
  /** Number of alerts that joined, and of those that fire. */
  alerts: Generated<number>;
  firing: Generated<number>;
  lastFlushAt: number | null;
  notifiedAt: number | null;
  flushAt: number | null;
  stepAt: number | null;
  repeatAt: number | null;
  ackExpiresAt: number | null;
  autoResolveAt: number | null;
  version: Generated<number>;
  updatedAt: number;
  /** When a page was first accepted outside of the app, or a person acknowledged or opened one. */
  reachedAt: number | null;
  /** When the last step that notifies was executed. */
  steppedAt: number | null;
  /** The incident that reports that its source is silent: its own end notifies no person. */
  sourceIncidentId: string | null;
  /** JSON text: what a person wrote who opened it without alerts. */
  direct: string | null;
  /** JSON text: people who are paged before the steps of the policy. */
  assigned: string | null;
  /** The highest of its alerts; null: they name none. */
  severity: IncidentSeverity | null;
  /** Start of its earliest alert. */
  firingSince: Generated<number>;
  /** 0: its policy only calls webhooks. */
  forPeople: Generated<Flag>;
}

/** Notices of incidents, one for each target. */
export interface PagesTable {
  id: string;
  incidentId: string;
  projectId: string;
  kind: "delivery" | "channel" | "webhook";
  /** The way within the incident. */
  way: string;
  /** What is sent in order, and what shares a probe. */
  target: string;
  provider: string;
  /** The user or project that named the target. */
  owner: string;
  userId: string | null;
  channel: string | null;
  step: number | null;
  notificationId: string | null;
  reason: string;
  urgency: Urgency;
  severity: Generated<number>;
  isEnd: Generated<Flag>;
  content: Generated<string>;
  outcome: Generated<"queued" | "trying" | "held" | "delivered" | "failed" | "overtaken" | "skipped">;
  /** Why it is held, skipped or overtaken. */
  note: string | null;
  attempts: Generated<number>;
  firstAttemptAt: number | null;
  failedAt: number | null;
  heldUntil: number | null;
  lastError: string | null;
  /** What the other side said when it accepted. */
  answer: string | null;
  deliveredAt: number | null;
  createdAt: number;
  updatedAt: number;
  /** Nothing more is sent. */
  endedAt: number | null;
  /** It rings or costs. */
  rings: Generated<Flag>;
  /** Of such a page: attempts whose answer was lost after the message was sent, with the one that runs. */
  lostAnswers: Generated<number>;
  /** Start of the last of them. */
  lostAt: number | null;
}

/** Targets of a project's pages that accept nothing. */
export interface FailedWaysTable {
  target: string;
  projectId: string;
  kind: PagesTable["kind"];
  provider: string;
  /** The policy of the incident whose page failed first. */
  policyId: string;
  error: string;
  since: number;
  /** When a page to it failed last. */
  failedAt: number;
}

/** A warning of paging of which people have a notice; gone when its cause is. */
export interface PagingWarningsTable {
  cause: string;
  projectId: string;
  notificationId: string;
  sentAt: number;
}

/** The last notice of failed ways to a person who looks after a project. */
export interface WayNoticesTable {
  projectId: string;
  userId: string;
  notificationId: string;
  sentAt: number;
  /** The ways accept messages again, and the person has a notice of it. */
  endedAt: number | null;
}

/** A test page to a person. */
export interface DrillsTable {
  id: string;
  userId: string;
  /** A user's id, or `operator`; null: the weekly plan. */
  startedBy: string | null;
  notificationId: string;
  startedAt: number;
}

/** A way of a drill; its page has the same id. */
export interface DrillWaysTable {
  id: string;
  drillId: string;
  userId: string;
  /** Key of the target, as in `pages.target`. */
  target: string;
  /** Hash of where the target led then. */
  address: string;
  name: string;
  /** As in `pages.channel`. */
  channel: string;
  startedAt: number;
  confirmedAt: number | null;
}

/** When a person has the weekly drill. */
export interface DrillPeopleTable {
  userId: string;
  /** 0 is Sunday; null: that of the configuration. */
  day: number | null;
  hour: number | null;
  takesPart: Generated<Flag>;
  /** The next drill is at the first chosen time after this instant; null: not planned. */
  plannedAfter: number | null;
  /** The drill that is due waits until then. */
  deferredUntil: number | null;
}

export interface IncidentAlertsTable {
  incidentId: string;
  alertId: string;
  addedAt: number;
  firingNotifiedAt: number | null;
  resolvedNotifiedAt: number | null;
}

export interface IncidentAcksTable {
  incidentId: string;
  userId: string;
  at: number;
  expiresAt: number | null;
  via: string;
}

export interface IncidentLogTable {
  incidentId: string;
  seq: number;
  at: number;
  kind: string;
  actor: string | null;
  data: Generated<string>;
}

/** The alerts that a silence withheld, each with the first time. */
export interface SilenceHitsTable {
  silenceId: string;
  alertId: string;
  incidentId: string;
  at: number;
}

export interface ContactRulesTable {
  userId: string;
  urgency: Urgency;
  position: number;
  afterMs: number;
  channels: string;
}

export type HeartbeatStatus = "new" | "up" | "down" | "paused";
export type PingKind = "success" | "start" | "fail" | "log" | "ignored";

export interface HeartbeatPingsTable {
  heartbeatId: string;
  n: number;
  at: number;
  kind: PingKind;
  exitStatus: number | null;
  rid: string | null;
  durationMs: number | null;
  scheme: string;
  method: string;
  userAgent: string;
  address: string | null;
  body: Uint8Array | null;
}

export interface HeartbeatFlipsTable {
  id: string;
  heartbeatId: string;
  /** When the status changed; for an overdue heartbeat its due time. */
  at: number;
  foundAt: number;
  fromStatus: HeartbeatStatus;
  status: HeartbeatStatus;
  reason: string;
}

export interface HeartbeatKeysTable {
  projectId: string;
  /** Keyed hash of the secret in ping URLs with a slug, the plain one while `sealedPingKey` is null; null: there are none. */
  pingKeyHash: string | null;
  badgeKey: string;
  badgeSecret: string;
  updatedAt: number;
  sealedPingKey: Uint8Array | null;
}

/** What a status page shows of a component, from best to worst. */
export type ComponentState = "operational" | "maintenance" | "degraded" | "partial" | "outage";

export interface StatusPagesTable {
  projectId: string;
  document: string;
  version: Generated<number>;
  updatedBy: string | null;
  createdAt: number;
  updatedAt: number;
  /** 1: it had confirmed subscribers before the operator could forbid subscriptions, and takes more. */
  keepsSubscriptions: Generated<Flag>;
}

/** From `at` on a component has this state. */
export interface StatusChangesTable {
  componentId: string;
  at: number;
  projectId: string;
  state: ComponentState;
}

/** The state of a component that subscribers know. */
export interface StatusSentTable {
  componentId: string;
  projectId: string;
  state: ComponentState;
  at: number;
}

export interface StatusNoticesTable {
  id: string;
  projectId: string;
  kind: "incident" | "maintenance";
  title: string;
  /** JSON: ids of components. */
  components: Generated<string>;
  startsAt: number;
  /** The planned end of a maintenance. */
  endsAt: number | null;
  resolvedAt: number | null;
  createdBy: string | null;
  createdAt: number;
  updatedAt: number;
  version: Generated<number>;
}

export interface StatusNoticeUpdatesTable {
  noticeId: string;
  n: number;
  at: number;
  state: string;
  text: string;
}

export interface StatusSubscribersTable {
  id: string;
  projectId: string;
  /** Keyed hash of the address: one subscription per page and address. */
  hash: string;
  /** Sealed. */
  address: Uint8Array;
  createdAt: number;
  /** When the last mail that asks for a confirmation was sent. */
  mailedAt: number;
  confirmedAt: number | null;
}
