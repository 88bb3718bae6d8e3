import { publicConfig } from "../config/load.ts";
import { once } from "../core/once.ts";
import { liveSockets } from "../features/events/streams/index.ts";
import { moduleServer } from "../features/plugins/index.ts";
import { refusingLocked } from "../features/records/configuration/index.ts";
import { route } from "../http/api/route.ts";
import type { Feature, FeatureServer } from "../module/feature.ts";
import type { CoreServices } from "../module/module-api.ts";
import type { Parts } from "./parts.ts";

/** Registers the features with their routes, and the sockets, before the server answers. */
export async function registerFeatures(parts: Parts): Promise<void> {
  const { core, offers, features } = parts;
  const { listener, kernel } = core;
  offers.builtIn.push(...features.withRoutes);
  for (const feature of offers.builtIn) await registerFeature(feature, parts);
  listener.mount(liveSockets(features.context));
  listener.serve((res, req, entrance) => kernel.handle(res, req, entrance));
}

/** A failed registration is a defect and ends the start. */
export async function registerFeature(feature: Feature, parts: Parts): Promise<void> {
  await feature.register(serverOf(feature.name, parts), servicesOf(feature.name, parts));
}

/** The services of every module, for a feature or part with this name. */
export function servicesOf(name: string, { core, offers }: Parts): CoreServices {
  const { db, audit, events, log, settings } = core;
  const { time, notify, timer, realtime, modules } = offers;
  const { scheduler, kv } = modules.own(name);
  const { current } = settings;
  const config = once(() => publicConfig(current));
  return {
    ...{ time, notify, scheduler, timer, events, db, audit, realtime, log, kv },
    // Most features do not read it.
    get config() {
      return config();
    },
  };
}

function serverOf(name: string, { core: { clock, router, bodies }, offers }: Parts): FeatureServer {
  const server = moduleServer({
    ...{ module: name, clock },
    hold: (exchange, bytes) => bodies.hold(exchange, bytes),
    add: (route) => router.add(route),
    addChannel: (channel) => offers.serviceChannels.addModuleChannel(channel),
    enter: (work) => work(),
    call: (code) => code(),
  });
  return { ...server, route: (definition) => router.add(refusingLocked(route(definition), offers)) };
}
