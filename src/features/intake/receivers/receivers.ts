import { randomBytes } from "node:crypto";
import type { Config } from "../../../config/load.ts";
import { hashToken, prefixOfToken } from "../../../core/crypto/tokens.ts";
import { Bucket } from "../../../core/limits/bucket.ts";
import { GIVEN_TOKEN } from "../../../http/api/shapes.ts";
import type { Uses } from "../../../module/feature.ts";
import type { EffectOf } from "../../../store/effect.ts";
import type { RequestResult } from "../../../store/schema.ts";
import { TokenIndex } from "../../access/index.ts";
import { type CompiledMapping, compileMapping, compilePlain } from "./mapping.ts";
import type { Mapping, VerifyRow } from "./preset.ts";
import type { LoadedPreset } from "./presets.ts";
import type { ReceiverRow } from "./receiver.ts";
import { type PresetShape, shapesOf } from "./shapes.ts";

type ReceiversParts = Uses<"reader" | "clock" | "metrics" | "box" | "receiverPresets" | "projects" | "settings">;

type ReceiverLimits = Pick<ReceiverRow, "perSecond" | "burst" | "maxBodyBytes">;

/** Limits of a receiver: its own within the operator's. */
export function boundedBy(bounds: Config["receivers"], row: ReceiverLimits): ReceiverLimits {
  return {
    perSecond: Math.min(row.perSecond, bounds.maxPerSecond),
    burst: Math.min(row.burst, bounds.maxBurst),
    maxBodyBytes: Math.min(row.maxBodyBytes, bounds.maxBodyBytes),
  };
}

/** A receiver as its requests see it, ready for use. */
export interface Receiver {
  readonly row: ReceiverRow;
  readonly preset: LoadedPreset;
  readonly mapping: CompiledMapping;
  /** The mapping as it is written. */
  readonly source: Mapping;
  readonly replayId: ReturnType<typeof compilePlain> | null;
  /** Forms of other presets, which it hands on; none with a mapping of its own. */
  readonly shapes: readonly PresetShape[];
  readonly verify: readonly VerifyRow[];
  /** The current secret, and a replaced one until its grace period ends. */
  readonly secrets: readonly string[];
}

const REFUSALS_EVERY_MS = 1000;
const TOKEN_LENGTH = 32;

/** Without case: programs write mail addresses in lower case. 32 letters have no bias. */
const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";

/** A new token of 160 bits; the database stores its hash. */
export function createReceiverToken(
  token = Array.from(randomBytes(TOKEN_LENGTH), (byte) => LETTERS.charAt(byte % LETTERS.length)).join(""),
): { readonly token: string; readonly prefix: string; readonly hash: string } {
  return { token, prefix: prefixOfToken(token), hash: hashToken(token) };
}

export function receiverSealContext(column: "secret" | "previousSecret", id: string): string {
  return `receivers.${column}.${id}`;
}

/**
 * The mapping of a preset with the members that a receiver overrides; null removes a member. Names
 * of `let` are added to the preset's, which other members of the preset read. With members of its
 * own, a receiver with the hook `known` reads the body as a whole, also one of Grafana.
 */
export function mergedMapping({ mapping, hook }: Pick<LoadedPreset, "mapping" | "hook">, own: Mapping | null): Mapping {
  if (own === null || Object.keys(own).length === 0) return mapping;
  const base = hook === "known" ? { ...mapping, split: null, cases: [] } : mapping;
  return { ...base, ...own, ...(own.let && { let: { ...mapping.let, ...own.let } }) };
}

interface Known {
  readonly row: ReceiverRow;
  /** Built at the first request. */
  ready: Promise<Receiver> | null;
  /** As {@link ready}, with the presets of other forms of its URL. */
  readonly shaped: Map<string, Promise<Receiver>>;
  bucket: Bucket | null;
  /** When a refused request was logged, in elapsed time. */
  refusedAt: number;
}

/** How a request ended, as the metric shows it. */
type CountedResult = RequestResult | "limited";

/** The receivers of all projects, in memory. */
export class Receivers {
  readonly #parts: ReceiversParts;
  readonly #known = new TokenIndex<ReceiverRow, Known>((row) => ({
    ...{ row, ready: null, shaped: new Map(), bucket: null, refusedAt: -Infinity },
  }));
  readonly #requests;

  constructor(parts: ReceiversParts) {
    this.#parts = parts;
    this.#requests = parts.metrics.counter(
      "prism_receiver_requests_total",
      "Requests at receivers, by preset and result",
    );
  }

  /** Builds the memory from the table, before the server answers. */
  load(): void {
    this.changed({ changed: this.#parts.reader.prepare<[], ReceiverRow>("select * from receivers").all() });
  }

  /** A commit has changed receivers. */
  changed(change: Omit<EffectOf<"receivers-changed">, "type">): void {
    this.#known.changed(change);
  }

  /** The row of the receiver with this token; null for an unknown or replaced one. */
  find(token: string): ReceiverRow | null {
    if (!GIVEN_TOKEN.test(token)) return null;
    const { clock, projects } = this.#parts;
    const row = this.#known.find(token, clock.now())?.row;
    return row && projects.exists(row.projectId) ? row : null;
  }

  /** The receiver of a row, with its preset and compiled mapping. @throws NOT_CONFIGURED */
  async ready(id: string): Promise<Receiver | null> {
    const known = this.#known.byId.get(id);
    if (!known) return null;
    known.ready ??= this.#build(known.row);
    const receiver = await known.ready.catch((error: unknown) => {
      // A preset file may be mended meanwhile.
      known.ready = null;
      throw error;
    });
    return { ...receiver, secrets: this.#secretsOf(known.row) };
  }

  /**
   * A receiver as if it had another preset: the form of the body changes, the proof of the sender
   * does not. @throws NOT_CONFIGURED
   */
  async shaped(receiver: Receiver, preset: string): Promise<Receiver> {
    const known = this.#known.byId.get(receiver.row.id);
    const built = known?.shaped.get(preset) ?? this.#build({ ...receiver.row, preset, mapping: null });
    known?.shaped.set(preset, built);
    built.catch(() => known?.shaped.delete(preset));
    return { ...(await built), verify: receiver.verify, secrets: receiver.secrets };
  }

  /** @throws NOT_CONFIGURED for a preset that is gone */
  async #build(row: ReceiverRow): Promise<Receiver> {
    const preset = await this.#parts.receiverPresets.require(row.preset);
    const own = row.mapping === null ? null : (JSON.parse(row.mapping) as Mapping);
    const source = mergedMapping(preset, own);
    const handsOn = preset.hook === "known" && source === preset.mapping;
    return {
      row,
      preset,
      source,
      mapping: compileMapping(source),
      replayId: preset.replayId === undefined ? null : compilePlain(preset.replayId, "replayId"),
      shapes: handsOn ? shapesOf((await this.#parts.receiverPresets.all()).values()) : [],
      verify: row.verify === null ? preset.verify : (JSON.parse(row.verify) as readonly VerifyRow[]),
      secrets: this.#secretsOf(row),
    };
  }

  /** The presets may have changed. */
  presetsChanged(): void {
    for (const known of this.#known.byId.values()) {
      known.ready = null;
      known.shaped.clear();
    }
  }

  /** Whether a refused request may be logged: one a second. */
  mayLogRefusal(id: string): boolean {
    const known = this.#known.byId.get(id);
    const now = this.#parts.clock.elapsed();
    if (!known || now - known.refusedAt < REFUSALS_EVERY_MS) return false;
    known.refusedAt = now;
    return true;
  }

  /** Takes one request of a receiver's rate. @returns the bucket */
  takeRate(row: ReceiverRow): Bucket {
    const known = this.#known.byId.get(row.id);
    const now = this.#parts.clock.elapsed();
    const { perSecond, burst } = this.limitsOf(row);
    const windowMs = (burst * 1000) / perSecond;
    const isSame = known?.bucket?.limit === burst && known.bucket.windowMs === windowMs;
    const bucket = isSame && known?.bucket ? known.bucket : new Bucket(burst, windowMs, now);
    if (known) known.bucket = bucket;
    bucket.take(1, now);
    return bucket;
  }

  limitsOf(row: ReceiverRow): ReceiverLimits {
    return boundedBy(this.#parts.settings.receivers, row);
  }

  count(preset: string, result: CountedResult): void {
    this.#requests({ preset, result }).add(1);
  }

  #secretsOf(row: ReceiverRow): string[] {
    const { box, clock } = this.#parts;
    const { id, secret, previousSecret, previousSecretUntil } = row;
    const isKept = previousSecret !== null && clock.now() < (previousSecretUntil ?? 0);
    return [
      ...(secret === null ? [] : [box.open(receiverSealContext("secret", id), secret)]),
      ...(isKept ? [box.open(receiverSealContext("previousSecret", id), previousSecret)] : []),
    ].map((bytes) => bytes.toString("utf8"));
  }
}
