import type { Config } from "../../config/load.ts";
import type { Clock, EpochMs } from "../../core/clock.ts";
import type { Projects } from "../access/index.ts";
import type { Alerts, LabelRecord, Silences, Withholding } from "../alerts/index.ts";

/** A route that takes an alert, and the alert's group. */
export interface RouteMatch {
  readonly settings: {
    readonly policy: string;
    readonly muteIntervals: readonly string[];
    readonly activeIntervals: readonly string[];
    readonly path: readonly string[];
  };
  readonly groupKey: string;
  readonly groupLabels: LabelRecord;
}

/** A node of the routing document. */
export interface RouteNode {
  readonly policy?: string | undefined;
  readonly matchers?: readonly string[] | undefined;
  readonly continue?: boolean | undefined;
  readonly groupBy?: readonly string[] | undefined;
  readonly groupWaitMs?: number | undefined;
  readonly groupIntervalMs?: number | undefined;
  readonly repeatMs?: number | undefined;
  readonly muteIntervals?: readonly string[] | undefined;
  readonly activeIntervals?: readonly string[] | undefined;
  readonly routes?: readonly RouteNode[] | undefined;
}

export interface RoutingDocument {
  readonly route: RouteNode;
  readonly inhibitRules?:
    | readonly {
        readonly sourceMatchers: readonly string[];
        readonly targetMatchers: readonly string[];
        readonly equal?: readonly string[] | undefined;
      }[]
    | undefined;
  readonly timeIntervals?:
    | readonly { readonly name: string; readonly intervals: readonly Readonly<Record<string, unknown>>[] }[]
    | undefined;
}

/** The routing of a project as it is now. */
export interface Routing {
  readonly document: RoutingDocument;
  match(labels: LabelRecord): readonly RouteMatch[];
}

export interface AlertmanagerOwn {
  readonly config: Config;
  /** That of senders and silences. */
  readonly clock: Clock;
  /** That of alerts in memory, which never goes back. */
  readonly steadyClock: { now(): EpochMs };
  readonly startedAt: EpochMs;
  readonly projects: Projects;
  readonly alerts: Pick<Alerts, "submit" | "list">;
  readonly silences: Pick<Silences, "kept" | "find" | "set" | "expireSpan">;
  readonly routingOf: (projectId: string) => Routing;
  /** The names of a project's policies. */
  readonly policiesOf: (projectId: string) => Promise<readonly string[]>;
  readonly withholding: Pick<Withholding, "withheldBy">;
}
