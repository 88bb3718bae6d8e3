import { randomBytes } from "node:crypto";
import { hashToken, prefixOfToken } from "../../../core/crypto/tokens.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { periodic } from "../../../core/time/periodic.ts";
import type { Uses } from "../../../module/feature.ts";
import type { EffectOf } from "../../../store/effect.ts";
import type { IntegrationKind } from "../../../store/schema.ts";
import { TokenIndex } from "../../access/index.ts";
import type { LabelRecord } from "../../alerts/index.ts";
import type { IntegrationRow } from "./integration.ts";

/** An integration as requests with its key see it. */
export interface Integration {
  readonly id: string;
  readonly projectId: string;
  readonly kind: IntegrationKind;
  readonly name: string;
  readonly labels: LabelRecord;
  /** Where a mirror passes its requests on; sealed. */
  readonly forwardUrl: IntegrationRow["forwardUrl"];
  readonly forwardHeaders: string | null;
}

export type IntegrationsParts = Uses<"db" | "reader" | "clock" | "log" | "metrics" | "projects">;

/** Uses are written at most once a minute, all in one transaction. */
const FLUSH_EVERY_MS = 60_000;
/** PagerDuty's clients require 32 characters. */
const KEY_BYTES = 16;

/** The result of a request of an integration, as the metric shows it. */
export type InputResult = "accepted" | "kept" | "refused";

/** A new key; the database stores its hash. */
export function createIntegrationKey(key = randomBytes(KEY_BYTES).toString("hex")): {
  readonly key: string;
  readonly prefix: string;
  readonly hash: string;
} {
  return { key, prefix: prefixOfToken(key), hash: hashToken(key) };
}

interface Known {
  readonly integration: Integration;
  readonly row: IntegrationRow;
}

/** The integrations of all projects, in memory. */
export class Integrations {
  readonly #parts: IntegrationsParts;
  readonly #known = new TokenIndex<IntegrationRow, Known>((row) => {
    const { id, projectId, kind, name, labels, forwardUrl, forwardHeaders } = row;
    const integration = { id, projectId, kind, name, labels: JSON.parse(labels) as LabelRecord };
    return { row, integration: { ...integration, forwardUrl, forwardHeaders } };
  });
  /** Last uses that are not stored yet, by id. */
  readonly #used = new Map<string, EpochMs>();
  readonly #requests;
  readonly #flushes = periodic({
    everyMs: FLUSH_EVERY_MS,
    work: () => this.#flush(),
    onError: (err) => this.#parts.log.warn({ err }, "cannot store the last use of integrations"),
    atStop: true,
  });

  constructor(parts: IntegrationsParts) {
    this.#parts = parts;
    this.#requests = parts.metrics.counter(
      "prism_integration_requests_total",
      "Requests of integrations, by kind and result",
    );
  }

  /** Builds the memory from the table, before the server answers. */
  load(): void {
    this.changed({
      changed: this.#parts.reader.prepare<[], IntegrationRow>("select * from integrations").all(),
    });
  }

  start(): void {
    this.#flushes.start();
  }

  stop(): Promise<void> {
    return this.#flushes.stop();
  }

  /** A commit has changed integrations. */
  changed(change: Omit<EffectOf<"integrations-changed">, "type">): void {
    this.#known.changed(change);
  }

  /** The integration of a key; null for an unknown or replaced one. Counts the request. */
  use(kind: IntegrationKind, key: string): Integration | null {
    const found = this.find(kind, key);
    if (!found) this.count(kind, "refused");
    return found;
  }

  /** {@link use}, for a caller that counts an unknown key itself. */
  find(kind: IntegrationKind, key: string): Integration | null {
    const now = this.#parts.clock.now();
    const known = this.#known.find(key, now);
    if (known?.row.kind === kind && this.#parts.projects.exists(known.row.projectId)) {
      this.#used.set(known.row.id, now);
      return known.integration;
    }
    return null;
  }

  count(kind: IntegrationKind, result: InputResult): void {
    this.#requests({ kind, result }).add(1);
  }

  /** When its key was last used, if memory knows better than the row. */
  lastUsedAt({ id, lastUsedAt }: IntegrationRow): EpochMs | null {
    return this.#used.get(id) ?? lastUsedAt;
  }

  /** Stores the last uses. */
  async #flush(): Promise<void> {
    const used = [...this.#used];
    if (used.length === 0) return;
    await this.#parts.db.write(async (trx) => {
      for (const [id, lastUsedAt] of used)
        await trx.updateTable("integrations").set({ lastUsedAt }).where("id", "=", id).execute();
    });
    for (const [id, at] of used) if (this.#used.get(id) === at) this.#used.delete(id);
  }
}
