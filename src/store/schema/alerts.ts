/** Alerts, incidents, silences, policies and routing; heartbeats, receivers, integrations, status pages. */
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

/** A rule's decision about an alert, until the alerts have handled it. */
export interface AlertSignalsTable {
  eventSeq: number;
  ruleId: string;
  action: "fire" | "resolve";
  projectId: string;
  input: string;
  at: number;
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

/** Notices of incidents, one for each target. */
export interface PagesTable {
  id: string;
  incidentId: string;
  projectId: string;
  kind: "delivery" | "channel" | "webhook";
  /** The way within the incident. */
  way: string;
  /** Group of pages that are sent in order, and share a probe. */
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
  /** The recipient's answer when it accepted. */
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

export interface IncidentLogTable {
  incidentId: string;
  seq: number;
  at: number;
  kind: string;
  actor: string | null;
  data: Generated<string>;
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

export interface HeartbeatKeysTable {
  projectId: string;
  /** Keyed hash of the secret in ping URLs with a slug, the plain one while `sealedPingKey` is null; null: there are none. */
  pingKeyHash: string | null;
  badgeKey: string;
  badgeSecret: string;
  updatedAt: number;
  sealedPingKey: Uint8Array | null;
}

/** State of a component on a status page, from best to worst. */
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

/** The state of a component that subscribers know. */
export interface StatusSentTable {
  componentId: string;
  projectId: string;
  state: ComponentState;
  at: number;
}

/**
 * accepted: stored; replayed: known before, so not stored; unmapped: stored as an event without
 * meaning; ignored: the mapping leaves it out; handshake: a check of the URL; refused: not stored.
 */
export type RequestResult = "accepted" | "replayed" | "unmapped" | "ignored" | "handshake" | "refused";

export type IntegrationKind = "pagerduty" | "opsgenie";

export interface AlertTables {
  /** The events of receivers that notify, until the events are removed. */
  receiver_events: {
    eventSeq: Generated<number>;
    receiverId: string;
  };
  receiver_replays: {
    receiverId: string;
    replayId: string;
    at: number;
  };
  alerts: AlertsTable;
  alert_signals: AlertSignalsTable;
  alert_routing: {
    projectId: string;
    document: string;
    version: number;
    updatedBy: string | null;
    updatedAt: number;
  };
  policies: PoliciesTable;
  /** The last user of each round-robin step. */
  policy_turns: {
    policyId: string;
    step: number;
    userId: string;
  };
  pages: PagesTable;
  /** Targets of a project's pages that accept nothing. */
  failed_ways: {
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
  };
  /** A warning of paging that people were notified of; deleted with its cause. */
  paging_warnings: {
    cause: string;
    projectId: string;
    /** Several, with blanks between, when people have it in different notices. */
    notificationId: string;
    sentAt: number;
  };
  /** The last notice of failed ways to a person who looks after a project. */
  way_notices: {
    projectId: string;
    userId: string;
    notificationId: string;
    sentAt: number;
    /** The ways accept messages again, and the person has a notice of it. */
    endedAt: number | null;
  };
  /** A test page to a person. */
  drills: {
    id: string;
    userId: string;
    /** A user's id, or `operator`; null: the weekly plan. */
    startedBy: string | null;
    notificationId: string;
    startedAt: number;
  };
  /** A way of a drill; its page has the same id. */
  drill_ways: {
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
  };
  drill_people: DrillPeopleTable;
  incident_alerts: {
    incidentId: string;
    alertId: string;
    addedAt: number;
    firingNotifiedAt: number | null;
    resolvedNotifiedAt: number | null;
    /** The highest reported severity, and when that was. */
    severity: "critical" | "error" | "warning" | "info" | null;
    severityAt: number | null;
    /** Its route is another one since then: here it has ended. */
    leftAt: number | null;
    /** JSON: labels by which webhooks have named it before. */
    former: string | null;
  };
  incident_acks: {
    incidentId: string;
    userId: string;
    at: number;
    expiresAt: number | null;
    via: string;
  };
  incident_log: IncidentLogTable;
  /** The alerts that a silence withheld, each with the first time. */
  silence_hits: {
    silenceId: string;
    alertId: string;
    incidentId: string;
    at: number;
  };
  contact_rules: {
    userId: string;
    urgency: Urgency;
    position: number;
    afterMs: number;
    channels: string;
  };
  heartbeat_pings: HeartbeatPingsTable;
  heartbeat_keys: HeartbeatKeysTable;
  status_pages: StatusPagesTable;
  /** From `at` on a component has this state. */
  status_changes: {
    componentId: string;
    at: number;
    projectId: string;
    state: ComponentState;
  };
  status_sent: StatusSentTable;
  status_notice_updates: {
    noticeId: string;
    n: number;
    at: number;
    state: string;
    text: string;
  };
}
