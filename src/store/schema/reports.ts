/** What reports are made of. */
import type { Flag } from "./system.ts";

export type IncidentEnd = "person" | "alerts" | "timeout" | "auto" | "policy";

/** An ended incident. Without drills, mirrors, and what only called webhooks. */
export interface IncidentFactsTable {
  incidentId: string;
  projectId: string;
  number: number;
  /** Its name then. */
  policy: string;
  /** The highest that it had. */
  severity: string;
  /** The name of its alert with up to two labels of its group: what happened. */
  key: string;
  labels: string;
  openedAt: number;
  /** The first page; null: no one was notified. */
  pagedAt: number | null;
  reachedAt: number | null;
  /** The first response: an acknowledgement, a snooze, a reassignment, or the end by a person. */
  firstAckAt: number | null;
  /** The user; null: none, or one that is deleted. */
  firstAckBy: string | null;
  resolvedAt: number;
  end: IncidentEnd;
  alerts: number;
  /** Accepted ones, to people and rooms. */
  pages: number;
  people: number;
  steps: number;
  /** The same ended at most 30 minutes before. */
  reopened: Flag;
  isDirect: Flag;
  isReassigned: Flag;
}

/** Up to which time incidents and pages are counted. */
export interface ReportMarksTable {
  name: string;
  at: number;
}

export interface ReportTables {
  incident_facts: IncidentFactsTable;
  /** Sums of {@link IncidentFactsTable}; `day`: days since 1970 in UTC. */
  incident_days: {
    projectId: string;
    day: number;
    policy: string;
    severity: string;
    key: string;
    incidents: number;
    paged: number;
    acknowledged: number;
    brief: number;
    reopened: number;
    pages: number;
    ackMs: number;
    resolveMs: number;
    acks: string;
    resolves: string;
  };
  /** Pages to a person; `day`: the date in the person's time zone. */
  person_days: {
    userId: string;
    projectId: string;
    day: string;
    pagesDay: number;
    pagesNight: number;
    /** Of both: on weekends and holidays. */
    pagesWeekend: number;
    sleepBreaks: number;
  };
  report_marks: ReportMarksTable;
}
