import type { Database as Sqlite } from "better-sqlite3";
import type { Clock } from "../../base/clock.ts";
import type { JobRunner } from "../../jobs/runner.ts";
import type { Announcer } from "../../pipeline/announcer.ts";
import type { IngestService } from "../../pipeline/ingest-service.ts";
import type { Hub } from "../../realtime/hub.ts";
import type { Presence } from "../../realtime/presence.ts";
import type { Database } from "../../store/database.ts";
import type { Principals } from "../access/principals.ts";
import type { UserDirectory } from "../access/user-directory.ts";
import type { AuditService } from "../audit/audit.ts";
import type { Senders } from "../delivery/senders.ts";
import type { Bus } from "../events/bus.ts";
import type { JobControl } from "../jobs/job-control.ts";
import type { JobService } from "../jobs/job-service.ts";
import { Notifier } from "../notifications/notifier.ts";
import type { ChannelAuthorizers } from "../pusher/channel-authorizers.ts";
import { RealtimeService } from "../realtime/realtime.ts";
import type { Schedules } from "../schedules/schedules.ts";
import { PendingTimers } from "./pending-timers.ts";
import { TimeService } from "./time.ts";
import type { TimerSettings } from "./timer-limits.ts";
import { TimerService } from "./timers.ts";

export interface TimersParts {
  readonly database: Database;
  readonly reader: Sqlite;
  readonly clock: Clock;
  readonly audit: AuditService;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly jobControl: JobControl;
  readonly schedules: Schedules;
  readonly principals: Principals;
  readonly directory: UserDirectory;
  readonly announcer: Announcer;
  readonly ingest: IngestService;
  readonly bus: Bus;
  readonly hub: Hub;
  readonly presence: Presence;
  readonly senders: Senders;
  readonly channelAuthorizers: ChannelAuthorizers;
  readonly defaultProjectId: string;
  /** The zone of the server's own times. */
  readonly timezone: string;
  limits(): TimerSettings;
}

export interface TimersServices {
  readonly time: TimeService;
  readonly notify: Notifier;
  readonly timer: TimerService;
  readonly realtime: RealtimeService;
  readonly pendingTimers: PendingTimers;
}

/** What tells somebody something, now or later: notifications, channels, and the timers that use both. */
export function openTimers(parts: TimersParts): TimersServices {
  const { database, hub, presence, clock, channelAuthorizers } = parts;
  const pendingTimers = new PendingTimers(parts);
  const realtime = new RealtimeService({ database, hub, presence, clock, channelAuthorizers });
  const notify = new Notifier({ ...parts, pending: pendingTimers });
  const timer = new TimerService({ ...parts, notifier: notify, realtime, pending: pendingTimers });
  return { time: new TimeService(parts), notify, timer, realtime, pendingTimers };
}
