import type { Config } from "../../config/load.ts";
import type { Clock, EpochMs } from "../../core/clock.ts";
import type { Projects } from "../access/index.ts";
import type { Alerts, Policies, Silences, Withholding } from "../alerts/index.ts";

/** What Alertmanager's API shows and changes. */
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
  readonly policies: Pick<Policies, "routingOf" | "of">;
  readonly withholding: Pick<Withholding, "withheldBy">;
}
