import { type Selectable, sql, type Updateable } from "kysely";
import type { SealedBox } from "../../core/crypto/sealed-box.ts";
import { readOwnFiles } from "../../core/data-dir.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { Logger } from "../../core/log.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { type ReadDb, type Trx, updateLater } from "../../store/database.ts";
import { daysBefore, sweepRows } from "../../store/retention.ts";
import type { ChannelMessagesTable } from "../../store/schema.ts";
import type { ChannelRow } from "./channel.ts";
import { type Preset, readPreset } from "./preset.ts";
import { checkedPreset } from "./preset-checks.ts";

/* The tables `channels` and `channel_messages`. */

export type SealedFields = Pick<ChannelRow, "id" | "fields" | "secrets">;
export type ChannelMessageRow = Selectable<ChannelMessagesTable>;
export type Texts = Readonly<Record<string, string>>;

const MESSAGE_DAYS = 30;

/** Seal context of a channel's secret fields. */
export function channelSealContext(channelId: string): string {
  return `channels.secrets.${channelId}`;
}

/** Seal context of the ids of a message. */
export function refSealContext(messageId: string): string {
  return `channel_messages.ref.${messageId}`;
}

export function sealSecrets(box: SealedBox, channelId: string, secrets: Texts): Buffer {
  return box.seal(channelSealContext(channelId), Buffer.from(JSON.stringify(secrets)));
}

/** The columns of a channel's fields: the secret ones are sealed. */
export function storedFields(box: SealedBox, channelId: string, preset: Pick<Preset, "fields">, fields: Texts) {
  const isSecret = (key: string): boolean => preset.fields.some((field) => field.key === key && field.secret);
  const part = (secret: boolean): Texts =>
    Object.fromEntries(Object.entries(fields).filter(([key]) => isSecret(key) === secret));
  return { fields: JSON.stringify(part(false)), secrets: sealSecrets(box, channelId, part(true)) };
}

/** All fields of a channel. @throws UnsealError */
export function openFields(box: SealedBox, { id, fields, secrets }: SealedFields): Texts {
  const opened = JSON.parse(box.open(channelSealContext(id), secrets).toString()) as Texts;
  return { ...(JSON.parse(fields) as Texts), ...opened };
}

export function findChannel(db: ReadDb | Trx, id: string): Promise<ChannelRow | undefined> {
  return db.selectFrom("channels").selectAll().where("id", "=", id).executeTakeFirst();
}

/** Active channels, with the fields that decide whether a notification goes to them. */
export function activeChannels(db: ReadDb | Trx) {
  return db.selectFrom("channels").select(["id", "userId", "eventTypes", "minPriority"]).where("active", "=", 1);
}

export async function hasActiveChannel(db: ReadDb | Trx): Promise<boolean> {
  // A literal, to match the partial index.
  const active = db.selectFrom("channels").select("id").where("active", "=", sql.lit(1)).where("id", ">", "");
  const row = await active.orderBy("id").limit(1).executeTakeFirst();
  return row !== undefined;
}

export async function updateChannel(trx: Trx, id: string, values: Partial<ChannelRow>): Promise<void> {
  updateLater(trx, "channels", id, values);
}

/** With what is known of its messages. */
export async function deleteChannel(trx: Trx, id: string): Promise<void> {
  await trx.deleteFrom("channel_messages").where("channelId", "=", id).execute();
  await trx.deleteFrom("channels").where("id", "=", id).execute();
}

export async function deleteChannelsOf(trx: Trx, projectId: string): Promise<void> {
  const rows = await trx.selectFrom("channels").select("id").where("projectId", "=", projectId).execute();
  for (const { id } of rows) await deleteChannel(trx, id);
}

export function findMessage(db: ReadDb | Trx, channelId: string, key: string): Promise<ChannelMessageRow | undefined> {
  return db
    .selectFrom("channel_messages")
    .selectAll()
    .where("channelId", "=", channelId)
    .where("key", "=", key)
    .executeTakeFirst();
}

/** The row of a message, added if it is new. */
export async function requireMessage(
  trx: Trx,
  channelId: string,
  key: string,
  now: EpochMs,
): Promise<ChannelMessageRow> {
  const values = { id: uuidv7(), channelId, key, state: "", createdAt: now, updatedAt: now };
  await trx
    .insertInto("channel_messages")
    .values({ ...values, ref: null, wanted: null, error: null })
    .onConflict((conflict) => conflict.columns(["channelId", "key"]).doNothing())
    .execute();
  const row = await findMessage(trx, channelId, key);
  if (!row) throw new TypeError("a row that was inserted is missing");
  return row;
}

export async function updateMessage(trx: Trx, id: string, values: Updateable<ChannelMessagesTable>): Promise<void> {
  await trx.updateTable("channel_messages").set(values).where("id", "=", id).execute();
}

/** The ids of a message. @returns undefined without, or when no key opens them */
export function openRef(box: SealedBox, row: Pick<ChannelMessageRow, "id" | "ref"> | undefined): Texts | undefined {
  if (!row?.ref) return undefined;
  try {
    return JSON.parse(box.open(refSealContext(row.id), row.ref).toString()) as Texts;
  } catch {
    return undefined;
  }
}

export function sealRef(box: SealedBox, messageId: string, ref: Texts): Buffer {
  return box.seal(refSealContext(messageId), Buffer.from(JSON.stringify(ref)));
}

/** Services no longer change messages that old. */
export const CHANNEL_SWEEPS = [
  sweepRows("channel_messages", (db, now) =>
    db.selectFrom("channel_messages").select("id").where("updatedAt", "<=", daysBefore(now, MESSAGE_DAYS)),
  ),
];

/** Deletes the channels. While incidents are open they stay until services have their ends: a job deletes them. */
export async function endChannels(trx: Trx, projectId: string) {
  const incident = await trx
    .selectFrom("incidents")
    .select("id")
    .where("projectId", "=", projectId)
    .where("state", "in", ["open", "acknowledged"])
    .limit(1)
    .executeTakeFirst();
  if (incident)
    return trx.selectFrom("channels").select(["id", "version"]).where("projectId", "=", projectId).execute();
  return trx.deleteFrom("channels").where("projectId", "=", projectId).returning(["id", "version"]).execute();
}

/**
 * All presets by name: the built-in ones, those of modules, and those in files of the operator,
 * which replace others of the same name. Loaded at the first use.
 */
export class PresetBook {
  readonly #folder: string;
  readonly #log: Logger;
  readonly #ofModules = new Map<string, Preset>();
  #loaded: Promise<ReadonlyMap<string, Preset>> | null = null;

  /** @param folder of JSON files, one preset each; it may be missing */
  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  async get(name: string): Promise<Preset | undefined> {
    return (await this.#all()).get(name);
  }

  /** By name. */
  async list(): Promise<readonly Preset[]> {
    return [...(await this.#all()).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Reads the files again at the next use. */
  reload(): void {
    this.#loaded = null;
  }

  /** @returns the removal. @throws TypeError if a preset of a module has this name */
  addOfModule(preset: Preset): () => void {
    const { name } = preset;
    if (this.#ofModules.has(name)) throw new TypeError(`the channel ${name} was added already`);
    this.#ofModules.set(name, preset);
    this.reload();
    return () => {
      if (this.#ofModules.get(name) === preset) this.#ofModules.delete(name);
      this.reload();
    };
  }

  #all(): Promise<ReadonlyMap<string, Preset>> {
    this.#loaded ??= this.#load();
    return this.#loaded;
  }

  async #load(): Promise<ReadonlyMap<string, Preset>> {
    const { PRESETS } = await import("./presets/index.ts");
    const presets = new Map<string, Preset>();
    for (const input of PRESETS) presets.set(input.name, toPreset(input));
    for (const preset of this.#ofModules.values()) presets.set(preset.name, preset);
    for (const preset of await readOwnFiles(this.#folder, toPreset, this.#log)) presets.set(preset.name, preset);
    return presets;
  }
}

function toPreset(input: unknown): Preset {
  return checkedPreset(readPreset(input));
}
