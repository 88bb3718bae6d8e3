import type { Selectable } from "kysely";
import type { PrismError } from "../../core/errors.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import type { Trx } from "../../store/database.ts";
import type { AlertSource, AlertsTable } from "../../store/schema.ts";
import type { LabelRecord, Labels } from "./model/labels.ts";

/** A row of `alerts`. */
export type AlertRow = Selectable<AlertsTable>;

/** A source's report about one alert. */
export interface AlertInput {
  readonly projectId: string;
  readonly source: AlertSource;
  /** Id of the rule, heartbeat or integration; of the source `prism` the sender that fell silent. */
  readonly sourceId: string | null;
  /** The credential by which it arrived, see `reporterOf`. Default: null, as of rules and heartbeats. */
  readonly sender?: string | null;
  /**
   * The identity at the source; default: `fp:<fingerprint>`. Others are `rule:<ruleId>:<key>`, `hb:<id>`,
   * `pd:<integrationId>:<dedup_key>`, `og:<integrationId>:<alias>`, `api:<key>`.
   */
  readonly key?: string;
  /** Empty values are removed. An input that resolves needs none. */
  readonly labels: LabelRecord;
  readonly annotations?: LabelRecord;
  readonly generatorUrl?: string | null;
  /** Default: the label `severity`. */
  readonly severity?: string | null;
  /** Default: now. */
  readonly startsAt?: EpochMs;
  /**
   * By the sender's clock. In the future: when a firing alert times out; null or absent: it fires
   * until it is resolved; not in the future: it resolves.
   */
  readonly endsAt?: EpochMs | null;
  /** `endsAt` was computed from a time-out; a later explicit end is kept. */
  readonly isTimeoutEnd?: boolean;
  /** A new alert stays `pending` for this long, and fires if it is not resolved meanwhile. */
  readonly holdMs?: number;
  /** The source says that it is over: the incident does not wait for its group interval. */
  readonly resolvesAtOnce?: boolean;
  /** False: it does not resolve the alert, and does not shorten it. Default: it may. */
  readonly mayEnd?: boolean;
}

/** The result of one input, in the order of the inputs. */
export type AlertOutcome =
  | { readonly status: "opened" | "pending" | "repeated" | "changed" | "resolved"; readonly alert: AlertView }
  /** It resolves an alert that does not fire. */
  | { readonly status: "unchanged"; readonly alert: null }
  | { readonly status: "refused"; readonly alert: null; readonly error: PrismError };

/** Members that an alert has in memory as in its row. */
type SharedMember =
  | ("id" | "projectId" | "key" | "fingerprint" | "generatorUrl" | "severity" | "source" | "sourceId" | "state")
  | ("startsAt" | "resolvedAt");

/** An alert as others read it. One that lives is current; one from a table is as it was read. */
export interface AlertView extends Readonly<Pick<AlertRow, SharedMember>> {
  /** For matching. */
  readonly labelSet: Labels;
  /** A new object for each access. */
  readonly labels: LabelRecord;
  /** A new object for each access. */
  readonly annotations: LabelRecord;
  /** The credential of its last input; null: it has none. */
  readonly sender: string | null;
  /** While it fires: when it times out; null: when its source resolves it. */
  readonly endsAt: EpochMs | null;
  /** The last input. */
  readonly lastAt: EpochMs;
  /** Number of inputs. */
  readonly count: number;
  /** It was resolved because no input came in time. */
  readonly timedOut: boolean;
  /** The value of a label; "" if the alert has none of this name. */
  label(name: string): string;
}

/** Why an alert changed. */
export type TransitionReason = "input" | "held" | "timeout" | "person" | "signal";

export interface Transition {
  /** `changed`: labels or severity differ, or the routing does, so that routes may differ. */
  readonly kind: "opened" | "resolved" | "changed";
  readonly alert: AlertView;
  /** Of a changed alert: as it was. */
  readonly before?: AlertView;
  readonly reason: TransitionReason;
  /** The incident does not wait for its group interval. */
  readonly isAtOnce: boolean;
}

/**
 * Routes transitions into incidents, in the transaction of the alerts. All transitions of one call
 * happen at `now`.
 */
export type JoinIncidents = (trx: Trx, transitions: readonly Transition[], now: EpochMs) => Promise<void>;
