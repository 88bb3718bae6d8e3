import { UnsealError } from "../../core/crypto/sealed-box.ts";
import { limitReached, PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import { ofOwner, type RowOwner } from "../../http/api/listing.ts";
import { requireVersion } from "../../http/body/negotiation.ts";
import { hasTokenScope, missingPermission, requireAccount } from "../../http/server/access.ts";
import type { Uses } from "../../module/feature.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import type { EffectOf } from "../../store/effect.ts";
import { countOf } from "../../store/sqlite/list-queries.ts";
import { findProject } from "../access/index.ts";
import { recordAction } from "../records/audit/index.ts";
import { Channel, type ChannelRow, channelAccess, channelList } from "./channel.ts";
import type { ChannelsContext } from "./context.ts";
import { fieldsAfter, requireUsable } from "./fields.ts";
import type { Preset } from "./preset.ts";
import { type ChannelView, type CreateChannel, channelView, type ListChannels, type UpdateChannel } from "./schema.ts";
import type { Texts } from "./store.ts";
import * as store from "./store.ts";

/** Services of the channels' API, besides sending. */
export interface ChannelsApi extends ChannelsContext, Uses<"projects" | "users" | "storage"> {
  /** Names of the policies that send to a channel. */
  readonly policiesWith: (trx: Trx, channelId: string) => Promise<readonly string[]>;
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, SCOPE_MISSING, INVALID_CURSOR */
export async function listChannels(
  context: ChannelsApi,
  principal: PermissionHolder,
  { projectId, scope = "own", ...query }: ListChannels,
) {
  if (scope === "all" && !principal.permissions.has("projects:all")) throw missingPermission("projects:all");
  const owner =
    scope === "all" && projectId === undefined ? null : ownerOf(context, principal, projectId, "events:read");
  return channelList.page(context.db, { visible: ofOwner(owner), state: undefined }, query, async (rows) => {
    const presets = new Map<string, Preset | undefined>();
    for (const { preset } of rows) presets.set(preset, await context.book.get(preset));
    return (row) => channelView(row, presets.get(row.preset), openedOrNull(context.box, row));
  });
}

export async function viewOf({ book, box }: ChannelsApi, row: ChannelRow): Promise<ChannelView> {
  return channelView(row, await book.get(row.preset), openedOrNull(box, row));
}

export function openedOrNull(box: ChannelsApi["box"], row: store.SealedFields): Texts | null {
  try {
    return store.openFields(box, row);
  } catch (error) {
    if (error instanceof UnsealError) return null;
    throw error;
  }
}

/**
 * @throws VALIDATION_FAILED, PROJECT_NOT_FOUND, RECIPIENT_NOT_FOUND, UNAUTHORIZED_ROLE, FORBIDDEN,
 * URL_REFUSED, LIMIT_REACHED
 */
export async function createChannel(
  context: ChannelsApi,
  principal: PermissionHolder,
  input: CreateChannel,
): Promise<ChannelRow> {
  const { db, storage } = context;
  storage.requireSpace();
  const owner = newOwner(context, principal, input);
  const row = await newChannel(context, principal, owner, input);
  await db.write((trx) => insertNew(context, owner, row, trx));
  context.changed();
  return row;
}

/** The row of a channel, checked and not stored. @throws VALIDATION_FAILED, URL_REFUSED */
export async function newChannel(
  context: ChannelsApi,
  principal: PermissionHolder,
  owner: RowOwner,
  input: CreateChannel,
): Promise<ChannelRow> {
  const preset = await presetOf(context, input.preset);
  const fields = fieldsAfter(preset, input.fields);
  const now = context.clock.now();
  const id = uuidv7();
  const { fields: _f, projectId: _p, userId: _u, ...settings } = input;
  const row: ChannelRow = {
    ...Channel.initial,
    ...Channel.columns(settings),
    id,
    ...owner,
    ...store.storedFields(context.box, id, preset, fields),
    ...{ name: input.name, preset: preset.name, createdBy: principal.userId, createdAt: now, updatedAt: now },
  };
  await requireReachable(context, preset, row, fields);
  return row;
}

/** @throws PROJECT_NOT_FOUND, LIMIT_REACHED */
export async function insertNew(context: ChannelsApi, owner: RowOwner, row: ChannelRow, trx: Trx): Promise<void> {
  await requireRoom(context, owner, row.createdBy, trx);
  await trx.insertInto("channels").values(row).execute();
  addEffect(trx, changedWay(row));
  await recordAudit(context, "channel.create", row, trx);
}

/** Absent secrets keep their value. @throws CHANNEL_NOT_FOUND, VERSION_CONFLICT, VALIDATION_FAILED, URL_REFUSED */
export async function updateChannel(
  context: ChannelsApi,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateChannel,
): Promise<ChannelRow> {
  const { db, storage } = context;
  storage.requireSpace();
  const before = await channelAccess.writable(context.projects, principal, id, db.read);
  requireVersion(ifMatch, before.version);
  const preset = await presetOf(context, before.preset);
  const fields = fieldsAfter(preset, input.fields ?? {}, openedOrNull(context.box, before) ?? {});
  await requireReachable(context, preset, after(context, before, preset, fields, input), fields);
  const row = await db.write(async (trx) => {
    const current = await channelAccess.writable(context.projects, principal, id, trx);
    // The fields were checked against the version that was read.
    if (current.version !== before.version) requireVersion(`"${before.version}"`, current.version);
    const next = after(context, current, preset, fields, input);
    const { id: _, ...values } = next;
    await store.updateChannel(trx, id, values);
    addEffect(trx, changedWay(next));
    await recordAudit(context, "channel.update", next, trx, { members: Object.keys(input) });
    return next;
  });
  context.changed();
  return row;
}

/** Pages that wait for it are tried now: also to say that it is disabled or gone. */
export function changedWay({ id, userId }: ChannelRow): EffectOf<"ways-changed"> {
  return { type: "ways-changed", channelId: id, ...(userId !== null && { userId }) };
}

function after(context: ChannelsApi, row: ChannelRow, preset: Preset, fields: Texts, input: UpdateChannel): ChannelRow {
  const { fields: given, ...settings } = input;
  return {
    ...row,
    ...store.storedFields(context.box, row.id, preset, fields),
    ...Channel.columns(settings),
    ...(given === undefined && input.template === undefined ? {} : { acceptedAt: null }),
    ...(input.active === true ? { failures: 0, disabledAt: null, disabledReason: null } : {}),
    version: row.version + 1,
    updatedAt: context.clock.now(),
  };
}

/** @throws CHANNEL_NOT_FOUND, CHANNEL_IN_USE */
export async function deleteChannel(context: ChannelsApi, principal: PermissionHolder, id: string): Promise<void> {
  await context.db.write(async (trx) => {
    const row = await channelAccess.writable(context.projects, principal, id, trx);
    const policies = await context.policiesWith(trx, id);
    if (policies.length > 0)
      throw new PrismError("CHANNEL_IN_USE", `Policies send to this channel: ${policies.join(", ")}`);
    await store.deleteChannel(trx, id);
    addEffect(trx, changedWay(row));
    await recordAudit(context, "channel.delete", row, trx);
  });
  context.sender.rates.forget(id);
  context.changed();
}

/** @throws VALIDATION_FAILED */
async function presetOf({ book }: ChannelsApi, name: string): Promise<Preset> {
  const preset = await book.get(name);
  if (preset) return preset;
  const message = `There is no preset ${name}; GET /api/v1/channels/presets lists them`;
  throw new PrismError("VALIDATION_FAILED", message, { details: [{ path: "preset", code: "INVALID", message }] });
}

/** Outside the transaction: it resolves names. @throws VALIDATION_FAILED, URL_REFUSED */
async function requireReachable(context: ChannelsApi, preset: Preset, row: ChannelRow, fields: Texts): Promise<void> {
  requireUsable(preset, row, fields);
  const isFixed = preset.hosts !== undefined;
  const urls = preset.fields.filter(({ key, type }) => type === "url" && (!isFixed || key === "api"));
  for (const { key } of urls) if (fields[key]) await context.sender.fetch.check(fields[key]);
}

async function requireRoom(
  { settings, projects }: ChannelsApi,
  owner: RowOwner,
  createdBy: string | null,
  trx: Trx,
): Promise<void> {
  if ("projectId" in owner && !(await findProject(trx, owner.projectId)))
    throw new PrismError("PROJECT_NOT_FOUND", "No such project");
  if ("projectId" in owner) return projects.quotas.requireRoom(trx, "channels", { ...owner, createdBy });
  const { channelsPerOwner } = settings.limits;
  if ((await countOf(trx.selectFrom("channels").where(ofOwner(owner)))) >= channelsPerOwner)
    throw limitReached("A user has too many channels", "limits.channelsPerOwner", channelsPerOwner);
}

type Right = "events:read" | "channels:write";

function ownerOf(
  { projects }: ChannelsApi,
  principal: PermissionHolder,
  projectRef: string | undefined,
  right: Right,
): RowOwner {
  if (projectRef !== undefined) return { projectId: projects.require(principal, projectRef, right) };
  requireOwnScope(principal);
  return { userId: requireAccount(principal).userId };
}

function newOwner(context: ChannelsApi, principal: PermissionHolder, { projectId, userId }: CreateChannel): RowOwner {
  if (userId === undefined) {
    if (principal.kind === "operator" && projectId === undefined)
      throw new PrismError("FORBIDDEN", "The operator has no account; name a user (--user) or a project (--project)");
    return ownerOf(context, principal, projectId, "channels:write");
  }
  if (projectId !== undefined) throw new PrismError("VALIDATION_FAILED", "A channel has a user or a project, not both");
  const owner = context.users.find(userId);
  if (principal.kind !== "operator" && owner !== principal.userId)
    throw new PrismError("FORBIDDEN", "Only the operator of the machine creates channels of other users");
  if (owner === undefined) throw new PrismError("RECIPIENT_NOT_FOUND", `There is no active user ${userId}`);
  requireOwnScope(principal);
  return { userId: owner };
}

/** A service token without this scope acts for projects only. */
function requireOwnScope(principal: PermissionHolder): void {
  if (!hasTokenScope(principal, ["account:own"]))
    throw new PrismError("SCOPE_MISSING", "The service token lacks the scope account:own");
}

export async function recordAudit(
  context: ChannelsApi,
  action: "channel.create" | "channel.update" | "channel.delete" | "channel.test",
  { id, projectId, version, preset }: ChannelRow,
  trx: Trx,
  more: Readonly<Record<string, string[]>> = {},
): Promise<void> {
  await recordAction(context, trx, action, id, { version, projectId, preset, ...more });
}
