import type { Database as Sqlite } from "better-sqlite3";
import type { Bus } from "../../core/bus.ts";
import type { Clock } from "../../core/clock.ts";
import type { Hub } from "../../live/hub.ts";
import type { Presence } from "../../live/presence.ts";
import type { Database } from "../../store/database.ts";
import type { Principals, UserDirectory } from "../access/index.ts";
import type { AuditService } from "../audit/index.ts";
import type { Channels } from "../delivery/index.ts";
import type { IngestService } from "../events/index.ts";
import type { JobControl, JobRunner, JobService } from "../jobs/index.ts";
import type { Announcer } from "../notifications/index.ts";
import { Notifier } from "../notifications/index.ts";
import type { ChannelAuthorizers } from "../pusher/index.ts";
import type { Schedules } from "../schedules/index.ts";
import { RealtimeService } from "../streams/index.ts";
import { type PendingTimers, pendingTimers } from "./pending-timers.ts";
import { TimeService } from "./time.ts";
import type { TimerSettings } from "./timer-creator.ts";
import { type TimerService, timerService } from "./timers.ts";

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
  readonly senders: Channels;
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
  const { database, presence, clock, channelAuthorizers } = parts;
  const pending = pendingTimers(parts);
  const realtime = new RealtimeService({ database, presence, clock, channelAuthorizers });
  const notify = new Notifier({ ...parts, pending });
  const timer = timerService({ ...parts, notifier: notify, realtime, pending });
  return { time: new TimeService(parts), notify, timer, realtime, pendingTimers: pending };
}
