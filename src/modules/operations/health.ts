import { Reply } from "../../http/route.ts";
import type { CoreServices } from "../../services/module.ts";

const PROBE_EVERY_MS = 1000;

interface Probe {
  readonly ok: boolean;
  readonly latencyMs: number;
  readonly at: number;
}

/** The answer to a probe: 503 where the thing does not work, with the time after which asking again is worth it. */
export function probeReply(isWell: boolean, body: unknown): Reply {
  return isWell ? new Reply(200, body) : new Reply(503, body, { "Retry-After": "1" });
}

/** Whether the server can do its work. The database is asked at most once a second, however often somebody wants to know. */
export class Health {
  readonly #services: CoreServices;
  #lastProbe: Promise<Probe> | null = null;
  #probedAt = 0;

  constructor(services: CoreServices) {
    this.#services = services;
  }

  /** No host names, no paths, no secrets. */
  async summary(): Promise<Reply> {
    const { system, clock } = this.#services;
    const db = await this.database();
    const isReady = db.ok && !system.kernel.isDraining;
    return probeReply(isReady, {
      status: !isReady ? "unavailable" : system.storage.isFull ? "degraded" : "ok",
      version: system.version,
      uptimeMs: Math.max(0, clock.now() - system.startedAt),
      db: db.ok ? "ok" : "failed",
      redis: "ok",
      checks: {
        database: db.ok ? "ok" : "failed",
        storage: system.storage.isFull ? "full" : "ok",
        ruleEngine: system.backlog.isBehind ? "behind" : "ok",
        accepting: !system.kernel.isDraining,
      },
    });
  }

  database(): Promise<Probe> {
    const now = Date.now();
    if (!this.#lastProbe || now - this.#probedAt >= PROBE_EVERY_MS) {
      this.#probedAt = now;
      this.#lastProbe = this.#probe();
    }
    return this.#lastProbe;
  }

  async #probe(): Promise<Probe> {
    const startedAt = performance.now();
    const ok = await this.#services.system.store.canWrite();
    return { ok, latencyMs: Math.round((performance.now() - startedAt) * 100) / 100, at: Date.now() };
  }
}
