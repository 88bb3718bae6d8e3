import * as v from "valibot";
import { invalidField } from "../../core/errors.ts";
import { doc } from "../../http/api/shapes.ts";
import {
  type ConfigKind,
  changedMembers,
  configKind,
  type ObjectOwner,
  type StoredObject,
} from "../../module/config-kind.ts";
import { byId } from "../../module/resource-kind.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { valuesOf } from "../../store/sqlite/list-queries.ts";
import { Channel, type ChannelRow } from "./channel.ts";
import { channels } from "./manage.ts";
import { type CreateChannel, FieldText } from "./schema.ts";
import { type ChannelsApi, changeOf, newChannel, openedOrNull, presetOf } from "./service.ts";
import type { Texts } from "./store.ts";

interface ChannelSpec extends Omit<CreateChannel, "fields" | "projectId" | "userId"> {
  /** Those of the file; secret ones that are absent stay. */
  readonly fields: Texts;
}

/** @param row of the channel, if it was read */
type Prepared = (trx: Trx, row: unknown) => Promise<unknown>;

/** The channels of projects. */
export function channelsKind(context: ChannelsApi): ConfigKind {
  return configKind<ChannelSpec, Prepared>({
    ...{ kind: "channels", noun: "channel", resourceType: "channel", scope: "project", after: ["projects"] },
    rights: { read: "events:read", write: "channels:write" },
    secrets: ["fields.*"],
    async secretPaths({ preset }) {
      const known = typeof preset === "string" ? await context.book.get(preset) : undefined;
      return known?.fields.flatMap(({ key, secret }) => (secret ? [`fields.${key}`] : [])) ?? [];
    },
    async addresses() {
      const all = (await context.book.list()).map(({ name, fields }) => {
        const urls = fields.filter(({ type }) => type === "url");
        return [name, urls.map(({ key, secret }) => ({ path: `fields.${key}`, secret }))] as const;
      });
      return Object.fromEntries(all.filter(([, urls]) => urls.length > 0));
    },
    entries: () => ({
      ...Channel.forCreate,
      fields: v.optional(doc(v.record(v.string(), FieldText), "Values of the preset's fields")),
    }),
    defaults: { ...Channel.defaults, fields: {} },
    async secretExamples({ preset, fields = {} }) {
      const known = (await context.book.get(String(preset)))?.fields ?? [];
      const asked = known.filter(
        ({ key, secret, required }) => secret && (required || Object.hasOwn(fields as object, key)),
      );
      return Object.fromEntries(asked.map(({ key, example }) => [`fields.${key}`, example]));
    },
    async list(db, projectId, ids) {
      const all = db.selectFrom("channels").selectAll().where("projectId", "=", projectId).orderBy("id");
      const rows = await (ids ? all.where("id", "in", valuesOf(ids)) : all).execute();
      return Promise.all(rows.map((row) => storedOf(context, row)));
    },
    versions: (db, projectId) =>
      db.selectFrom("channels").select(["id", "version"]).where("projectId", "=", projectId).execute(),
    rows: async (trx, ids) =>
      byId(await trx.selectFrom("channels").selectAll().where("id", "in", valuesOf(ids)).execute()),
    async prepare({ caller, projectId, hasStandIns }, spec, stored, id) {
      context.storage.requireSpace();
      if (!stored) {
        const row = await newChannel(context, caller, { projectId: projectId ?? "" }, spec, id, hasStandIns);
        return (trx) => channels.insert(context, trx, caller, row);
      }
      const { preset, fields: _, ...changed } = changedMembers(spec, stored);
      if (preset !== undefined) {
        await presetOf(context, preset);
        throw invalidField("body", "preset", "a channel keeps its preset; give the new one another name");
      }
      const fields = changedFields(spec.fields, stored);
      const old = await channelOf(context.db.read, stored.id);
      const change = await changeOf(context, old, { ...changed, ...(fields && { fields }) });
      return async (trx, known) => {
        const row = (known as ChannelRow | undefined) ?? (await channelOf(trx, stored.id));
        return channels.change(context, trx, row, change, caller);
      };
    },
    ...{ create: store, update: store },
    remove: async (trx, { caller }, { id }) =>
      channels.remove(context, trx, await channelOf(trx, id), caller, undefined),
  });
}

const store = async (trx: Trx, { row }: ObjectOwner, _stored: unknown, _spec: unknown, change: Prepared) => {
  await change(trx, row);
  return undefined;
};

const channelOf = (db: ReadDb | Trx, id: string) => Channel.require(db, id, "CHANNEL_NOT_FOUND", "channel");

async function storedOf({ book, box }: ChannelsApi, row: ChannelRow): Promise<StoredObject> {
  const known = (await book.get(row.preset))?.fields ?? [];
  const isPlain = (key: string) => known.some((field) => field.key === key && !field.secret);
  const sealed = known.filter(({ key }) => !isPlain(key)).map(({ key }) => [key, null] as const);
  const unopened = { ...(JSON.parse(row.fields) as Texts), ...Object.fromEntries(sealed) };
  const all = Object.entries<string | null>(openedOrNull(box, row) ?? unopened);
  const plain = Object.fromEntries(all.filter(([key]) => isPlain(key)));
  const secrets = all.filter(([key]) => !isPlain(key)).map(([key, value]) => [`fields.${key}`, value] as const);
  const { id, name, version } = row;
  return { id, name, version, spec: { ...Channel.settable(row), fields: plain }, secrets: Object.fromEntries(secrets) };
}

/** The fields to change, null: to remove; undefined: none. */
function changedFields(given: Texts, { spec, secrets = {} }: StoredObject) {
  const before = { ...(spec["fields"] as Texts) };
  const dropped = Object.keys(before).filter((key) => !Object.hasOwn(given, key));
  const isSet = Object.entries(given).some(([key, value]) => value !== (before[key] ?? secrets[`fields.${key}`]));
  if (!isSet && dropped.length === 0) return undefined;
  return { ...Object.fromEntries(dropped.map((key) => [key, null])), ...given };
}
