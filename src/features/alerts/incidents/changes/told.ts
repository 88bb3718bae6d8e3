import type { EpochMs } from "../../../../core/time/clock.ts";
import type { AlertSeverity } from "../incident.ts";

/* Notices about alerts that have changed. */

export interface ToldSeverity {
  readonly alertId: string;
  readonly severity: AlertSeverity;
}

export interface Raised {
  /** The highest reported severity of the incident's firing alerts. */
  readonly from: AlertSeverity | null;
  /** That of each alert that got worse. */
  readonly alerts: ReadonlyMap<string, AlertSeverity>;
  /** Those of them that are in another incident now. */
  readonly left: ReadonlySet<string>;
}

/** The incident that an alert has moved to. */
export interface MovedTo {
  readonly id: string;
  readonly number: number;
  /** The alert came before that incident's first notice, which therefore includes it. */
  readonly isNew: boolean;
  /** Its first look is still to come, at this time. */
  readonly firstLookAt: EpochMs | null;
}
