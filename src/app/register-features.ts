import { publicConfig } from "../config/load.ts";
import { handleEventJobs } from "../features/events/index.ts";
import { DeliveryMarks, handleRecipients } from "../features/notifications/index.ts";
import { moduleServer } from "../features/plugins/index.ts";
import { liveSockets } from "../features/streams/index.ts";
import type { Feature, FeatureServer } from "../module/feature.ts";
import type { CoreServices } from "../module/module-api.ts";
import type { Parts } from "./parts.ts";

/** Registers the features with their jobs, metrics and sockets, before the server answers. */
export async function registerFeatures(parts: Parts): Promise<void> {
  handleOwnJobs(parts);
  const { features } = parts.services;
  // In the order of their names, which is that of their routes in the router and the API description.
  features.push(...parts.features.withRoutes.sort((a, b) => (a.name < b.name ? -1 : 1)));
  for (const feature of features) await registerFeature(feature, parts);
  mountSockets(parts);
}

/** A failed registration is a defect and ends the start. */
export async function registerFeature(feature: Feature, parts: Parts): Promise<void> {
  await feature.register(serverOf(feature.name, parts), servicesOf(feature.name, parts));
}

/** The services of every module, for a feature or part with this name. */
export function servicesOf(name: string, { base, services }: Parts): CoreServices {
  const { scheduler, kv } = services.modules.own(name);
  return {
    time: services.time,
    notify: services.notify,
    scheduler,
    timer: services.timer,
    events: base.bus,
    db: base.database,
    audit: base.audit,
    realtime: services.realtime,
    log: base.log,
    config: publicConfig(base.settings.current),
    kv,
  };
}

function serverOf(name: string, { base, http: { router, bodies }, services }: Parts): FeatureServer {
  const server = moduleServer({
    module: name,
    clock: base.clock,
    hold: (exchange, bytes) => bodies.hold(exchange, bytes),
    add: (route) => router.add(route),
    addChannel: (channel) => services.serviceChannels.addModuleChannel(channel),
    enter: (work) => work(),
    call: (code) => code(),
  });
  return { ...server, route: (definition) => router.add(definition) };
}

function handleOwnJobs({ base, core, services }: Parts): void {
  const { database: db, clock, audit } = base;
  const { runner, jobs } = core.jobs;
  const { backlog, rules, channels } = core.pipeline;
  handleEventJobs(db, runner, backlog);
  handleRecipients(runner, { db, clock, audit, jobs, rules, channels, notify: services.notify });
}

function mountSockets(parts: Parts): void {
  const { base, core, http, services } = parts;
  const { config, clock, log } = base;
  const { kernel, router, listener } = http;
  const { hub, realtimeAccess, connections, pusher, pusherRegistry } = core.live;
  const { principals, projects } = core.access;
  const mount = liveSockets({
    config,
    clock,
    log,
    kernel,
    router,
    hub,
    realtimeAccess,
    connections,
    principals,
    projects,
    pusher,
    pusherRegistry,
    markRead: (id, userId) => services.notify.markRead(id, userId),
    marks: new DeliveryMarks(base.database, base.committer, clock),
    allowsOrigin: (origin) => parts.features.core.allowsOrigin(origin),
  });
  listener.mount(mount);
  listener.serve((res, req, entrance) => kernel.handle(res, req, entrance));
}
