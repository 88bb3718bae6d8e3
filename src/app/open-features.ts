import { publicUrlOf } from "../config/public-url.ts";
import { heartbeats } from "../features/heartbeats/feature.ts";
import type { Feature, FeatureCore, Offers, OpenableFeature } from "../module/feature.ts";
import type { Effect, EffectType } from "../store/effect.ts";
import type { Http } from "./open-http.ts";
import type { Services } from "./open-services.ts";
import type { Base } from "./open-store.ts";
import type { Core } from "./start-core.ts";

/** The features that declare themselves, in any order. */
export const FEATURES: readonly OpenableFeature[] = [heartbeats];

/** The open features, and all that they offer. */
export class OpenFeatures {
  readonly offers: Offers;
  readonly #core: FeatureCore;
  /** Each after those that it needs. */
  readonly #open: OpenableFeature[] = [];
  readonly #effects: Partial<Record<EffectType, ((effect: never) => void)[]>> = {};

  /**
   * @param given offers that do not come from a declared feature. @throws TypeError for a need that
   * nothing offers, or features that need each other
   */
  constructor(core: FeatureCore, given: Partial<Offers>, features = FEATURES) {
    this.#core = core;
    // Complete once all are open.
    const offers: Partial<Offers> = { ...given };
    this.offers = offers as Offers;
    const waiting = new Set(features);
    while (waiting.size > 0) {
      const next = [...waiting].find(({ needs }) => needs.every((need) => offers[need] !== undefined));
      if (!next)
        throw new TypeError(`nothing offers what these need: ${[...waiting].map(({ name }) => name).join(", ")}`);
      waiting.delete(next);
      Object.assign(offers, next.open(this.#contextOf(next)));
      this.#open.push(next);
      for (const [type, apply] of Object.entries(next.effects?.(this.#contextOf(next)) ?? {})) {
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
    if (upgrades) for (const each of this.#open) await each.upgrade?.(this.#contextOf(each));
    for (const each of this.#open) await each.load?.(this.#contextOf(each));
  }

  /** The features with routes, for the list of all. */
  get withRoutes(): Feature[] {
    const found = this.#open.filter((each) => each.register);
    return found.map((each) => ({
      name: each.name,
      version: "1.0.0",
      register: (server) => each.register?.(server, this.#contextOf(each)),
    }));
  }

  start(): void {
    for (const each of this.#open) each.start?.(this.#contextOf(each));
  }

  /** The last one first. */
  async stop(): Promise<void> {
    for (const each of this.#open.toReversed()) await each.stop?.(this.#contextOf(each));
  }

  /** Of one feature: its log has its name. */
  #contextOf({ name }: OpenableFeature): never {
    return { ...this.#core, ...this.offers, log: this.#core.log.namespace(name) } as never;
  }
}

export function openFeatures(base: Base, core: Core, http: Http, services: Services): OpenFeatures {
  const { database: db, reader, clock, log, metrics, config, settings, audit, storage, box, listening } = base;
  const { principals, projects } = core.access;
  const { idempotency, alerting } = services;
  return new OpenFeatures(
    {
      ...{ db, reader, clock, log, metrics, config, settings, audit, idempotency, storage, box },
      auditKey: base.store.auditKey,
      kernel: http.kernel,
      publicUrl: () => publicUrlOf(settings.current, listening.port),
    },
    { principals, projects, alerts: alerting.alerts },
  );
}
