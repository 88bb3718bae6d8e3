import type { Clock } from "../../../core/time/clock.ts";
import type { SteadyClock } from "../../../core/time/due-times.ts";
import type { Turns } from "../../../http/limits/work-budget.ts";
import type { Uses } from "../../../module/feature.ts";
import type { ProjectStorage } from "../../access/index.ts";
import type { JoinIncidents } from "../types.ts";

/** What the alerts of all projects need of others. */
export interface AlertsParts extends Uses<"db" | "reader" | "log" | "metrics"> {
  /** The time as senders see it; `clock` never goes back. */
  readonly wall: Clock;
  readonly clock: SteadyClock;
  readonly joinIncidents: JoinIncidents;
  /** Shares the main thread among projects that submit many alerts at once. */
  readonly turns: Pick<Turns, "run">;
  /** `limits.alertsPerProject` */
  maxAlerts(): number;
  readonly storage: Pick<ProjectStorage, "roomForAlert" | "alertRefusal">;
  /** Whether a project is not deleted. */
  projectExists(projectId: string): boolean;
  /** Whether a rule is active and opens alerts in this project. */
  ruleOpensAlerts(ruleId: string, projectId: string): boolean;
}
