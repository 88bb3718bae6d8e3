/** The event log, the rules, and what these decided. */
import type { Generated } from "kysely";
import type { Level } from "../../core/levels.ts";
import type { Flag } from "./flag.ts";

export type DecisionOutcome = "fired" | "suppressed" | "deduped" | "cooled" | "no recipients";

export interface EventsTable {
  seq: number;
  id: string;
  projectId: string;
  type: string;
  level: Level;
  source: string | null;
  payload: string;
  dedupeKey: string | null;
  occurredAt: number;
  receivedAt: number;
  processedAt: number | null;
  correlationId: string | null;
}

export interface EventFailuresTable {
  consumer: string;
  eventSeq: number;
  attempts: number;
  lastError: string | null;
  jobId: string | null;
  createdAt: number;
  resolvedAt: number | null;
}

/** How far the rules of an event have been asked that is decided in slices. */
export interface EventSlicesTable {
  eventSeq: Generated<number>;
  priority: number;
  createdAt: number;
  ruleId: string;
}

export interface EventConsumersTable {
  name: string;
  cursor: number;
  updatedAt: number;
}

export interface RulesTable {
  id: string;
  projectId: string | null;
  name: string;
  description: Generated<string>;
  condition: string;
  targetRoles: string;
  targetUsers: string;
  channels: string;
  titleTemplate: string;
  messageTemplate: string;
  sound: string | null;
  action: string | null;
  priority: Generated<number>;
  active: Generated<Flag>;
  version: Generated<number>;
  createdBy: string | null;
  deletedAt: number | null;
  createdAt: number;
  updatedAt: number;
  suppression: string | null;
  dedupe: string | null;
  cooldownMs: Generated<number>;
  /** The version that was found too costly; it is not evaluated. */
  tooCostlyVersion: number | null;
}

export interface RuleVersionsTable {
  ruleId: string;
  version: number;
  definition: string;
  createdBy: string | null;
  createdAt: number;
}

export interface RuleStatsTable {
  ruleId: string;
  matched: Generated<number>;
  fired: Generated<number>;
  noRecipients: Generated<number>;
  errors: Generated<number>;
  lastMatchedAt: number | null;
  lastError: string | null;
  suppressed: Generated<number>;
  deduped: Generated<number>;
  cooled: Generated<number>;
}

export interface DecisionsTable {
  eventSeq: number;
  ruleId: string;
  ruleVersion: number;
  outcome: DecisionOutcome;
  notificationId: string | null;
  at: number;
}

export interface SuppressionWindowsTable {
  ruleId: string;
  key: string;
  bucketStart: number;
  count: number;
}

export interface SuppressedKeysTable {
  batchId: string;
  key: string;
}

export interface SuppressedBatchesTable {
  id: string;
  ruleId: string;
  key: string;
  count: number;
  firstSeq: number;
  lastSeq: number;
  samples: string;
  startedAt: number;
  lastAt: number;
  jobId: string;
  noticeId: string | null;
  toldCount: Generated<number>;
  closedAt: number | null;
}
