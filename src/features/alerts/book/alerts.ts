import type { EpochMs } from "../../../core/clock.ts";
import type { Database, InTransaction, Trx } from "../../../store/database.ts";
import type { AlertInput, AlertOutcome, AlertRow, AlertView, JoinIncidents, TransitionReason } from "../types.ts";

export interface AlertsParts {
  readonly db: Database;
  readonly joinIncidents: JoinIncidents;
}

/** Selects alerts of {@link Alerts.list}. */
export type AlertFilter = (alert: AlertView) => boolean;

/**
 * The alerts of all projects: firing and pending ones in memory, every change of state in the
 * tables and the event log.
 */
export class Alerts {
  readonly #parts: AlertsParts;

  constructor(parts: AlertsParts) {
    this.#parts = parts;
  }

  /**
   * Takes what a source reports. A repetition changes memory only. Resolves after the commit if any
   * input changes a state. Invalid inputs are `refused`; the others of the call are stored.
   * @param options trx: a transaction without `sharesCommit`, which decides and stores everything
   */
  async submit(_inputs: readonly AlertInput[], _options: InTransaction = {}): Promise<AlertOutcome[]> {
    this.#parts.db.requireOutside();
    return [];
  }

  /**
   * Resolves firing alerts, for a person who resolved their incident. Ids of other alerts are
   * ignored. @returns the resolved alerts
   */
  async resolve(_trx: Trx, _ids: readonly string[], _reason: TransitionReason): Promise<AlertView[]> {
    return [];
  }

  /** Firing alerts of a project, from memory, in no order. */
  list(_projectId: string, _filter?: AlertFilter): readonly AlertView[] {
    return [];
  }

  /** A firing or pending alert, from memory. */
  find(_id: string): AlertView | null {
    return null;
  }

  byKey(_projectId: string, _key: string): AlertView | null {
    return null;
  }

  /** Alerts by id, from memory or the table; missing ones are left out. */
  async read(_ids: readonly string[], _trx?: Trx): Promise<AlertView[]> {
    return [];
  }

  /** Number of firing and pending alerts, of one project or of all. */
  counts(_projectId?: string): { readonly firing: number; readonly pending: number } {
    return { firing: 0, pending: 0 };
  }

  /** A commit has changed these alerts. */
  changed(_rows: readonly AlertRow[]): void {}

  /** A commit has added rows to `alert_signals`. */
  signalled(): void {}

  /** The clock of alerts, incidents and silences, which never goes back. */
  now(): EpochMs {
    return 0;
  }
}
