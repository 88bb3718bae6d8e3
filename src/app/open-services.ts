import type { Circuits, DeliveryMemory } from "../features/delivery/index.ts";
import { type DeliveryServices, openDelivery } from "../features/delivery/index.ts";
import { handleStorms, type Notifier } from "../features/notifications/index.ts";
import { type ModulesServices, openModules } from "../features/plugins/index.ts";
import type { Schedules } from "../features/schedules/index.ts";
import { openSchedules } from "../features/schedules/index.ts";
import type { RealtimeService } from "../features/streams/index.ts";
import type { PendingTimers, TimerService, TimeService } from "../features/timers/index.ts";
import { openTimers } from "../features/timers/index.ts";
import { Idempotency } from "../http/idempotency.ts";
import type { Feature } from "../module/feature.ts";
import type { Http } from "./open-http.ts";
import type { Base } from "./open-store.ts";
import type { Core } from "./start-core.ts";

/** What notifies, now or later, and by which channel; and what loads modules. */
export interface Services {
  readonly time: TimeService;
  readonly schedules: Schedules;
  readonly notify: Notifier;
  readonly timer: TimerService;
  readonly pendingTimers: PendingTimers;
  readonly realtime: RealtimeService;
  readonly circuits: Circuits;
  readonly delivery: DeliveryMemory;
  readonly idempotency: Idempotency;
  readonly modules: ModulesServices;
  /** The features of Prism, once they are registered. */
  readonly features: Feature[];
}

type Notifying = Pick<Services, "schedules" | "time" | "notify" | "timer" | "pendingTimers" | "realtime">;

export function openServices(base: Base, core: Core, http: Http): Services {
  const notifying = openNotifying(base, core);
  const channels = openChannels(base, core, notifying);
  const features: Feature[] = [];
  return {
    ...notifying,
    circuits: channels.circuits,
    delivery: channels.memory,
    idempotency: new Idempotency(base.reader, base.clock, base.store.auditKey),
    modules: openModuleFolder(base, core, http, notifying, features),
    features,
  };
}

function openNotifying(base: Base, { access, live, jobs: queues, pipeline }: Core): Notifying {
  const { config, database, reader, clock, audit, bus, settings } = base;
  const { runner, jobs, jobControl } = queues;
  const { announcer, ingest, senders } = pipeline;
  const { principals, defaultProjectId, users } = access;
  const { hub, presence, channelAuthorizers } = live;
  const { timezone } = config;
  const log = base.log.namespace("schedules");
  const schedules = openSchedules({
    database,
    reader,
    clock,
    log,
    runner,
    ingest,
    settings,
    defaultProjectId,
    timezone,
  });
  const timers = openTimers({
    database,
    reader,
    clock,
    audit,
    runner,
    jobs,
    jobControl,
    schedules,
    principals,
    directory: users,
    announcer,
    ingest,
    bus,
    hub,
    presence,
    senders,
    channelAuthorizers,
    defaultProjectId,
    timezone,
    limits: () => settings.limits,
  });
  return { schedules, ...timers };
}

function openChannels(base: Base, { live, jobs: queues, pipeline }: Core, notifying: Notifying): DeliveryServices {
  const { config, database, audit, box, clock, metrics, log, bus, settings } = base;
  const { runner, jobs, jobControl, workerLeases } = queues;
  const { sounds, pusher, presence } = live;
  const { rules, throttle, senders } = pipeline;
  const { notify, realtime } = notifying;
  const delivery = openDelivery({
    config,
    database,
    audit,
    box,
    clock,
    metrics,
    log,
    sounds,
    pusher,
    jobs,
    runner,
    jobControl,
    workerLeases,
    presence,
    channels: senders,
    settings,
    notify,
  });
  handleStorms({ database, audit, clock, bus, jobs, runner, jobControl, realtime, notifier: notify, rules, throttle });
  return delivery;
}

function openModuleFolder(
  base: Base,
  { access, live, jobs: queues, pipeline }: Core,
  { router, bodies }: Http,
  { schedules, time, notify, timer, realtime }: Notifying,
  features: readonly Feature[],
): ModulesServices {
  const { config, log, clock, database, reader, bus, audit } = base;
  const { runner, jobs, jobControl } = queues;
  return openModules({
    config,
    log,
    clock,
    database,
    reader,
    time,
    notify,
    timer,
    bus,
    audit,
    realtime,
    directory: access.users,
    runner,
    jobs,
    jobControl,
    schedules,
    router,
    bodies,
    ingest: pipeline.ingest,
    announcer: pipeline.announcer,
    projects: access.projects,
    hub: live.hub,
    builtIn: features,
  });
}
