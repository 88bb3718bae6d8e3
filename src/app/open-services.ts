import { openServiceChannels, type ServiceChannels } from "../features/channels/index.ts";
import {
  type Circuits,
  type DeliveryMemory,
  type DeliveryServices,
  openDelivery,
  type PagePeople,
  type PageSender,
  type WaysOfPeople,
} from "../features/delivery/index.ts";
import { handleStorms, Notifier } from "../features/notifications/index.ts";
import { ON_CALL_CHANGED, type OnCallPort, onCall } from "../features/oncall/index.ts";
import { type ModulesServices, openModules } from "../features/plugins/index.ts";
import { Preparing } from "../features/receivers/index.ts";
import { Schedules } from "../features/schedules/index.ts";
import { RealtimeService } from "../features/streams/index.ts";
import {
  handleScheduledNotifications,
  type PendingTimers,
  pendingTimers,
  scheduleNotification,
  type TimerService,
  type TimerSettings,
  TimeService,
  timerService,
} from "../features/timers/index.ts";
import { Idempotency } from "../http/idempotency.ts";
import type { Feature } from "../module/feature.ts";
import { type AlertServices, onCallChanged, openAlerts } from "./open-alerts.ts";
import type { Http } from "./open-http.ts";
import type { Base } from "./open-store.ts";
import type { Core } from "./start-core.ts";

/** Notifications now and later, their channels, and the loader of modules. */
export interface Services {
  readonly time: TimeService;
  readonly schedules: Schedules;
  readonly notify: Notifier;
  readonly timer: TimerService;
  readonly pendingTimers: PendingTimers;
  readonly realtime: RealtimeService;
  readonly circuits: Circuits;
  readonly delivery: DeliveryMemory;
  readonly pages: PageSender;
  readonly serviceChannels: ServiceChannels;
  readonly idempotency: Idempotency;
  readonly onCall: OnCallPort;
  readonly alerting: AlertServices;
  readonly pagePeople: PagePeople;
  readonly waysOf: WaysOfPeople;
  /** Reads what receivers are sent. */
  readonly preparing: Preparing;
  readonly modules: ModulesServices;
  /** The built-in features, once they are registered. */
  readonly features: Feature[];
}

type Notifying = Pick<Services, "schedules" | "time" | "notify" | "timer" | "pendingTimers" | "realtime">;

export function openServices(base: Base, core: Core, http: Http): Services {
  const notifying = openNotifying(base, core);
  const channels = openChannels(base, core, notifying);
  const serviceChannels = openServiceSending(base, core, notifying, channels);
  const features: Feature[] = [];
  const paging = { ...channels, channels: serviceChannels.incidents };
  const alerting = openAlerts(base, core, notifying.notify, paging, http.work.turns);
  base.bus.on(ON_CALL_CHANGED, (data) => onCallChanged(alerting, (data as { readonly id: string }).id));
  const preparing = new Preparing(http.work);
  return {
    ...notifying,
    preparing,
    circuits: channels.circuits,
    delivery: channels.memory,
    pages: channels.pages,
    serviceChannels,
    alerting,
    idempotency: new Idempotency(base.reader, base.clock, base.store.auditKey),
    onCall: (db, scheduleId, at) => onCall(core.access.users, db, scheduleId, at),
    pagePeople: channels.pagePeople,
    waysOf: channels.waysOf,
    modules: openModuleFolder(base, core, http, notifying, serviceChannels, features),
    features,
  };
}

function openNotifying(base: Base, core: Core): Notifying {
  const { config, database, reader, clock, audit, settings } = base;
  const { users, principals } = core.access;
  const { runner, jobs, jobControl } = core.jobs;
  const { announcer, channels } = core.pipeline;
  const { presence, channelAuthorizers } = core.live;
  const limits = (): TimerSettings => settings.limits;
  const schedules = openSchedules(base, core);
  const pending = pendingTimers({ database, audit, jobControl, schedules });
  const realtime = new RealtimeService({ database, presence, clock, channelAuthorizers });
  const sending = { database, jobs, runner, principals, directory: users, limits };
  const notify = new Notifier({
    database,
    directory: users,
    announcer,
    audit,
    clock,
    jobs,
    channels,
    realtime,
    scheduling: {
      schedule: (input, runAt, options) => scheduleNotification(sending, input, runAt, options),
      cancel: (jobId, options) => pending.cancelIfWaiting("notifications", jobId, () => true, options),
    },
  });
  handleScheduledNotifications({ ...sending, send: (input, options) => notify.send(input, options) });
  const timer = timerService({
    database,
    jobs,
    runner,
    principals,
    directory: users,
    notifier: notify,
    realtime,
    ingest: core.pipeline.ingest,
    bus: base.bus,
    clock,
    defaultProjectId: core.access.defaultProjectId,
    audit,
    jobControl,
    schedules,
    pending,
    channels,
    limits,
  });
  const time = new TimeService({ reader, clock, timezone: config.timezone });
  return { time, schedules, notify, timer, pendingTimers: pending, realtime };
}

function openSchedules({ config, database, reader, clock, log, settings }: Base, core: Core): Schedules {
  return new Schedules({
    database,
    reader,
    clock,
    log: log.namespace("schedules"),
    runner: core.jobs.runner,
    ingest: core.pipeline.ingest,
    defaultProjectId: core.access.defaultProjectId,
    timezone: config.timezone,
    settingsOf: (queue) => settings.queue(queue),
    maxCatchUp: () => settings.schedules.maxCatchUp,
    maxPerCreator: () => settings.limits.schedulesPerUser,
  });
}

function openChannels(
  base: Base,
  { live, webPush, jobs: queues, pipeline }: Core,
  notifying: Notifying,
): DeliveryServices {
  const { config, database, audit, box, clock, metrics, log, bus, settings } = base;
  const { runner, jobs, jobControl, workerLeases } = queues;
  const { sounds, pusher, presence } = live;
  const { rules, receiverRules, throttle, channels } = pipeline;
  const { notify } = notifying;
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
    webPush,
    jobs,
    runner,
    jobControl,
    workerLeases,
    presence,
    channels,
    settings,
    notify,
  });
  handleStorms({
    database,
    clock,
    bus,
    jobs,
    runner,
    jobControl,
    notifier: notify,
    rules,
    throttle,
    receivers: receiverRules,
  });
  return delivery;
}

function openServiceSending(
  base: Base,
  { jobs: queues, pipeline }: Core,
  { notify }: Notifying,
  { pages }: DeliveryServices,
): ServiceChannels {
  const { database, clock, log, box, audit, metrics, bus, settings } = base;
  const { runner, jobs } = queues;
  return openServiceChannels({
    ...{ database, clock, log, box, audit, metrics, bus, runner, jobs, notify, pages, channels: pipeline.channels },
    settings: () => settings.current,
  });
}

function openModuleFolder(
  base: Base,
  { access, live, jobs: queues, pipeline }: Core,
  { router, bodies }: Http,
  { schedules, time, notify, timer, realtime }: Notifying,
  { addModuleChannel: addChannel }: ServiceChannels,
  features: readonly Feature[],
): ModulesServices {
  const { config, log, clock, database, reader, bus, audit } = base;
  const { runner, jobs, jobControl } = queues;
  return openModules({
    config,
    addChannel,
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
