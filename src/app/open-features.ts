import type { ChangedSettings } from "../config/changes.ts";
import { serverWarnings } from "../config/checks.ts";
import type { LoadedConfig } from "../config/load.ts";
import { ownOrigins, publicUrlOf } from "../config/public-url.ts";
import { within } from "../core/promises.ts";
import { passwordOwner } from "../features/access/index.ts";
import { type AlertView, policiesWithChannel, policiesWithSchedule, type Withheld } from "../features/alerts/index.ts";
import { channelsOfImport, type ManageContext } from "../features/channels/index.ts";
import { type SafeFetch, type SafeFetchOptions, safeFetchOf, type WebPushSender } from "../features/delivery/index.ts";
import { type EventPipeline, trialEvent } from "../features/events/index.ts";
import type { JobServices } from "../features/jobs/index.ts";
import type { ModulesServices } from "../features/plugins/index.ts";
import { scheduledRoutes } from "../features/timers/index.ts";
import type { Route } from "../http/route.ts";
import type { Feature, FeatureCore, Offers, OpenableFeature } from "../module/feature.ts";
import type { Effect, EffectType } from "../store/effect.ts";
import { FEATURES } from "./feature-list.ts";
import type { Access } from "./open-access.ts";
import { type AlertServices, withheldNow } from "./open-alerts.ts";
import type { Http } from "./open-http.ts";
import type { Live } from "./open-live.ts";
import type { Pipeline } from "./open-pipeline.ts";
import type { Services } from "./open-services.ts";
import type { Base } from "./open-store.ts";
import type { Upkeep } from "./open-upkeep.ts";
import { maintenanceFeature } from "./operator-routes.ts";
import type { Core } from "./start-core.ts";

/** The open features, and all that they offer. */
export class OpenFeatures {
  readonly offers: Offers;
  readonly core: FeatureCore;
  /** Each after those that it needs. */
  readonly #open: OpenableFeature[] = [];
  readonly #effects: Partial<Record<EffectType, ((effect: never) => void)[]>> = {};

  /**
   * @param given offers that do not come from a declared feature. @throws TypeError for a need that
   * nothing offers, or features that need each other
   */
  constructor(core: FeatureCore, given: Partial<Offers>, features: readonly OpenableFeature[]) {
    this.core = core;
    // Complete once all are open.
    const offers: Partial<Offers> = { ...given };
    this.offers = offers as Offers;
    const waiting = new Set(features);
    while (waiting.size > 0) {
      const next = [...waiting].find(({ needs }) => needs.every((need) => offers[need] !== undefined));
      if (!next)
        throw new TypeError(`nothing offers what these need: ${[...waiting].map(({ name }) => name).join(", ")}`);
      waiting.delete(next);
      Object.assign(offers, next.open?.(this.#context));
      this.#open.push(next);
      for (const [type, apply] of Object.entries(next.effects?.(this.#context) ?? {})) {
        const known = this.#effects[type as EffectType] ?? [];
        this.#effects[type as EffectType] = [...known, apply];
      }
    }
  }

  /** Applies a commit to the memory of the features. */
  apply(effect: Effect): void {
    for (const apply of this.#effects[effect.type] ?? []) apply(effect as never);
  }

  /** Reads memory from the tables. @param upgrades whether an earlier version's work is done first: it writes */
  async load(upgrades: boolean): Promise<void> {
    if (upgrades) for (const each of this.#open) await each.upgrade?.(this.#context);
    for (const each of this.#open) await each.load?.(this.#context);
  }

  /** The features with routes, for the list of all. */
  get withRoutes(): Feature[] {
    const found = this.#open.filter((each) => each.register);
    return found.map((each) => ({
      name: each.name,
      version: "1.0.0",
      register: (server) => each.register?.(server, this.#context),
    }));
  }

  async start(): Promise<void> {
    for (const each of this.#open) await each.start?.(this.#context);
  }

  /** The last one first. @param leftMs what remains of the time to stop */
  async stop(leftMs: () => number): Promise<void> {
    for (const each of this.#open.toReversed()) if (each.stop) await within(leftMs(), each.stop(this.#context));
  }

  /** All that is open: the types say what a feature may use of it. */
  get #context(): never {
    return { ...this.offers, ...this.core } as never;
  }
}

declare module "../module/feature.ts" {
  interface Offers
    extends Access,
      Omit<Live, "hub" | "connections" | "presence">,
      JobServices,
      Omit<Pipeline, "events" | "metrics">,
      Omit<Services, "alerting" | "idempotency" | "features" | "onCall">,
      Omit<AlertServices, "clock" | "warnings">,
      Pick<Upkeep, "auditHead" | "watch">,
      Pick<ModulesServices, "loaded" | "consumers"> {
    readonly pipeline: EventPipeline;
    readonly pipelineMetrics: Pipeline["metrics"];
    readonly webPush: WebPushSender;
    readonly steadyClock: AlertServices["clock"];
    readonly pagingWarnings: AlertServices["warnings"];
    readonly withheldBy: (alert: AlertView) => Withheld;
    readonly trialEvent: typeof trialEvent;
    readonly scheduledRoutes: readonly Route[];
    readonly policiesWithSchedule: typeof policiesWithSchedule;
    readonly channelManagement: ManageContext;
    readonly channelsOfImport: ReturnType<typeof channelsOfImport>;
    readonly configuration: Base["configuration"];
    readonly reloadSettings: (next: LoadedConfig) => ChangedSettings;
    /** Problems of settings, files and proxies. */
    readonly ownWarnings: () => readonly string[];
    /** For requests to URLs that users give. */
    readonly outside: (options?: SafeFetchOptions) => SafeFetch;
    /** Whose name and password they are. @throws INVALID_CREDENTIALS, RATE_LIMITED */
    readonly passwordOwner: (login: string, password: string, ip: string) => ReturnType<typeof passwordOwner>;
  }
}

/** What does not come from a declared feature yet. */
function offered(
  base: Base,
  core: Core,
  http: Http,
  services: Services,
  upkeep: Upkeep,
  reloadSettings: Offers["reloadSettings"],
): Omit<Offers, "drills" | "heartbeats" | "mailIn" | "ntfy"> {
  const { settings, config, storage, store, clockTrust, configuration } = base;
  const { access, live, jobs, pipeline } = core;
  const { accounts, projects, users } = access;
  const { alerting, modules } = services;
  const { loaded, consumers } = modules;
  const channelManagement: ManageContext = {
    ...{ ...services.serviceChannels.context, projects, users, storage, live: settings },
    policiesWith: async (trx, id) => (await policiesWithChannel(trx, id)).map(({ name }) => name),
  };
  const warnings = () => [...base.warnings, ...serverWarnings(settings.current), ...store.warnings];
  return {
    ...{ ...access, ...live, ...jobs, ...pipeline, ...services, ...alerting, ...upkeep },
    ...{ loaded, consumers, configuration, reloadSettings, trialEvent, policiesWithSchedule, channelManagement },
    pipeline: pipeline.events,
    pipelineMetrics: pipeline.metrics,
    webPush: core.webPush,
    steadyClock: alerting.clock,
    pagingWarnings: alerting.warnings,
    withheldBy: (alert) => withheldNow(alerting, alert),
    scheduledRoutes: scheduledRoutes(services.pendingTimers),
    channelsOfImport: channelsOfImport(channelManagement),
    ownWarnings: () => [...warnings(), clockTrust.warning, http.forwards.warning].filter((text) => text !== null),
    outside: (options) => safeFetchOf(config, options),
    passwordOwner: (login, password, ip) => passwordOwner(accounts, login, password, ip),
  };
}

export function openFeatures(
  base: Base,
  core: Core,
  http: Http,
  services: Services,
  upkeep: Upkeep,
  reloadSettings: Offers["reloadSettings"],
): OpenFeatures {
  const { database: db, reader, committer, store, clock, startedAt, log, metrics, config, settings } = base;
  const { audit, storage, box, listening, bus: events } = base;
  const { hub, connections, presence } = core.live;
  const { kernel, router, listener, bodies, work, forwards } = http;
  const featureCore: FeatureCore = {
    ...{ db, reader, committer, store, clock, startedAt, log, metrics, config, settings, audit, storage, box, events },
    ...{ hub, connections, presence, kernel, router, listener, bodies, work, forwards },
    idempotency: services.idempotency,
    auditKey: store.auditKey,
    publicUrl: () => publicUrlOf(settings.current, listening.port),
    allowsOrigin: (origin) =>
      settings.cors.allows(origin) || ownOrigins(settings.current, listening.port).includes(origin),
  };
  const given = offered(base, core, http, services, upkeep, reloadSettings);
  return new OpenFeatures(featureCore, given, [...FEATURES, maintenanceFeature(base.readsOnly)]);
}
