import type { ChangedSettings } from "../config/changes.ts";
import type { LoadedConfig } from "../config/load.ts";
import { within } from "../core/promises.ts";
import type { DueWork } from "../core/time/due-times.ts";
import type { ConfigKind } from "../module/config-kind.ts";
import type {
  DeletedRows,
  Deletions,
  Feature,
  FeatureCore,
  FeatureServer,
  Offers,
  OpenableFeature,
} from "../module/feature.ts";
import { findingsOf } from "../module/findings.ts";
import type { Effect, EffectType } from "../store/effect.ts";
import type { NamedSweep } from "../store/retention.ts";
import type { SealedColumn } from "../store/sealed-column.ts";
import { FEATURES } from "./feature-list.ts";
import type { Base } from "./open-store.ts";

/** Offers of the app itself. */
interface AppOffers extends Pick<Base, "bus" | "cluster" | "clockTrust" | "configuration" | "emergency"> {
  readonly reloadSettings: (next: LoadedConfig) => ChangedSettings;
  /** Problems of settings, files and proxies. */
  readonly ownWarnings: () => readonly string[];
  /** The built-in features, once they are registered. */
  readonly builtIn: Feature[];
  /** Everything that is encrypted at rest. */
  readonly sealedColumns: readonly SealedColumn[];
}
declare module "../module/feature.ts" {
  interface Offers extends AppOffers {
    readonly deletions: Deletions;
    /** Old rows of all features. What takes long comes last. */
    readonly sweeps: () => readonly NamedSweep[];
    /** What configuration files may have. @param overlay members of the context in place of its own */
    readonly configKinds: (overlay: Partial<Offers>) => Promise<readonly ConfigKind[]>;
    /** What they make once, in the order in which it is made. */
    readonly runtimeKinds: (overlay: Partial<Offers>) => Promise<readonly ConfigKind[]>;
  }
}

type Step = "upgrade" | "load" | "prepare" | "start";

/** The open features, and all that they offer. */
export class OpenFeatures {
  readonly core: FeatureCore;
  /** What steps of features get: the core, and all offers once all are open. */
  readonly context: FeatureCore & Offers;
  /** Each after those that it needs. */
  readonly #open: OpenableFeature[] = [];
  readonly #dueWork = new Map<OpenableFeature, readonly DueWork[]>();
  readonly #effects: Partial<Record<EffectType, ((effect: never) => void)[]>> = {};

  constructor(core: FeatureCore, given: AppOffers) {
    this.core = core;
    this.context = {
      ...given,
      deletions: this.#deletions,
      sweeps: this.#sweeps,
      configKinds: (overlay) => this.#kinds("configKinds", overlay),
      runtimeKinds: (overlay) => this.#kinds("runtimeKinds", overlay),
      findings: this.#findings,
      ...core,
    } as FeatureCore & Offers;
  }

  /** Complete once all are open. */
  get offers(): Offers {
    return this.context;
  }

  get #deletions(): Deletions {
    return {
      user: async (trx, ...which) => {
        for (const each of this.#open) await each.onUserDeleted?.(trx, ...which);
      },
      project: async (trx, ...which) => {
        const deleted: DeletedRows[] = [];
        for (const { onProjectDeleted } of this.#open)
          if (onProjectDeleted) deleted.push(await onProjectDeleted(trx, ...which));
        return deleted;
      },
    };
  }

  readonly #findings: Offers["findings"] = findingsOf(
    () => this.#open,
    () => this.context,
  );

  readonly #sweeps: Offers["sweeps"] = () => {
    const sweeps = this.#open.flatMap((each) => each.sweeps?.(this.context) ?? []);
    return [...sweeps.filter(({ isLong }) => !isLong), ...sweeps.filter(({ isLong }) => isLong)];
  };

  async #kinds(of: "configKinds" | "runtimeKinds", overlay: Partial<Offers>): Promise<readonly ConfigKind[]> {
    const context = { ...this.context, ...overlay };
    const kinds = await Promise.all(this.#open.map((each) => each[of]?.(context) ?? []));
    return kinds.flat();
  }

  /** @throws TypeError for a need that nothing offers, or features that need each other */
  async open(): Promise<void> {
    const waiting = new Set(FEATURES);
    while (waiting.size > 0) {
      const next = [...waiting].find(({ needs }) => needs.every((need) => this.context[need] !== undefined));
      if (!next)
        throw new TypeError(`nothing offers what these need: ${[...waiting].map(({ name }) => name).join(", ")}`);
      waiting.delete(next);
      Object.assign(this.context, await next.open?.(this.context, () => this.context));
      this.#open.push(next);
    }
    for (const each of this.#open) {
      this.#dueWork.set(each, each.dueWork?.(this.context) ?? []);
      for (const [type, apply] of Object.entries(each.effects?.(this.context) ?? {})) {
        const known = this.#effects[type as EffectType] ?? [];
        this.#effects[type as EffectType] = [...known, apply];
      }
    }
  }

  /** Applies a commit to the memory of the features. */
  readonly apply = (effect: Effect): void => {
    for (const apply of this.#effects[effect.type] ?? []) apply(effect as never);
  };

  /** One step of all features, in the order in which they opened. */
  async all(step: Step): Promise<void> {
    for (const each of this.#open) {
      await each[step]?.(this.context);
      if (step === "load" || step === "start") for (const due of this.#dueWork.get(each) ?? []) due[step]();
    }
  }

  reload(): void {
    for (const each of this.#open) each.reload?.(this.context);
  }

  /** The features with routes, in the order of their names: that of the API description. */
  get withRoutes(): Feature[] {
    const found = this.#open.flatMap(({ name, register }) =>
      register ? [{ name, version: "1.0.0", register: (server: FeatureServer) => register(server, this.context) }] : [],
    );
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * The last one first. @param leftMs what remains of the time to stop. @param limitMs how long a
   * step may take
   */
  async end(step: "stop" | "close", leftMs: () => number, limitMs = leftMs): Promise<void> {
    for (const each of this.#open.toReversed()) {
      const stopped = step === "stop" ? (this.#dueWork.get(each) ?? []).map((due) => due.stop()) : [];
      if (stopped.length > 0) await within(limitMs(), Promise.all(stopped));
      const ended = each[step]?.(this.context, leftMs);
      if (ended) await within(limitMs(), ended);
    }
  }
}
