import { unknownPreset } from "../../config/nearest.ts";
import type { PermissionHolder } from "../../core/caller.ts";
import { UnsealError } from "../../core/crypto/sealed-box.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { RowOwner } from "../../http/api/listing.ts";
import { hasTokenScope, requireAccount } from "../../http/server/access.ts";
import type { Uses } from "../../module/feature.ts";
import type { Trx } from "../../store/database.ts";
import type { EffectOf } from "../../store/effect.ts";
import { recordAction } from "../records/audit/index.ts";
import { Channel, type ChannelRow } from "./channel.ts";
import { fieldsAfter, requireUsable } from "./fields.ts";
import type { Preset } from "./preset.ts";
import type { CreateChannel, UpdateChannel } from "./schema.ts";
import type { ChannelsContext } from "./sending/sender.ts";
import type { Texts } from "./store.ts";
import * as store from "./store.ts";

/** Services of the channels' API, besides sending. */
export interface ChannelsApi extends ChannelsContext, Uses<"projects" | "users" | "storage" | "idempotency"> {
  /** Names of the policies that send to a channel. */
  readonly policiesWith: (trx: Trx, channelId: string) => Promise<readonly string[]>;
}

export function openedOrNull(box: ChannelsApi["box"], row: store.SealedFields): Texts | null {
  try {
    return store.openFields(box, row);
  } catch (error) {
    if (error instanceof UnsealError) return null;
    throw error;
  }
}

/** Origin of the URL of a channel with the preset `http`; null if no key opens it. */
export function originOfChannel(box: ChannelsApi["box"], row: store.SealedFields): string | null {
  const { url = "" } = openedOrNull(box, row) ?? {};
  return URL.canParse(url) ? new URL(url).origin : null;
}

/** The row of a channel, checked and not stored. @throws VALIDATION_FAILED, URL_REFUSED */
export async function newChannel(
  context: ChannelsApi,
  principal: PermissionHolder,
  owner: RowOwner,
  input: CreateChannel,
  id = uuidv7(),
  hasStandIns = false,
): Promise<ChannelRow> {
  const preset = await presetOf(context, input.preset);
  const fields = fieldsAfter(preset, input.fields);
  const now = context.clock.now();
  const { fields: _f, projectId: _p, userId: _u, ...settings } = input;
  const row: ChannelRow = {
    ...Channel.initial,
    ...Channel.columns(settings),
    id,
    ...owner,
    ...store.storedFields(context.box, id, preset, fields),
    ...{ name: input.name, preset: preset.name, createdBy: principal.userId, createdAt: now, updatedAt: now },
  };
  if (hasStandIns) requireUsable(preset, row, fields);
  else await requireReachable(context, preset, row, fields);
  return row;
}

/** A change of a channel as it was read: absent secrets keep their value. @throws VALIDATION_FAILED, URL_REFUSED */
export async function changeOf(context: ChannelsApi, old: ChannelRow, input: UpdateChannel) {
  const preset = await presetOf(context, old.preset);
  const fields = fieldsAfter(preset, input.fields ?? {}, openedOrNull(context.box, old) ?? {});
  const next = (row: ChannelRow): ChannelRow => {
    const { fields: given, ...settings } = input;
    return {
      ...row,
      ...store.storedFields(context.box, old.id, preset, fields),
      ...Channel.columns(settings),
      ...(given === undefined && input.template === undefined ? {} : { acceptedAt: null }),
      ...(input.active === true ? { failures: 0, disabledAt: null, disabledReason: null } : {}),
      version: row.version + 1,
      updatedAt: context.clock.now(),
    };
  };
  await requireReachable(context, preset, next(old), fields);
  return { next, members: Object.keys(input), version: old.version };
}

/** Pages that wait for it are tried now: also to say that it is disabled or gone. */
export function changedWay({ id, userId }: ChannelRow): EffectOf<"ways-changed"> {
  return { type: "ways-changed", channelId: id, ...(userId !== null && { userId }) };
}

/** @throws VALIDATION_FAILED */
export async function presetOf({ book }: ChannelsApi, name: string): Promise<Preset> {
  const preset = await book.get(name);
  if (preset) return preset;
  const message = `There is no preset ${name}; GET /api/v1/channels/presets lists them`;
  const names = (await book.list()).map((each) => each.name);
  throw new PrismError("VALIDATION_FAILED", message, { details: [unknownPreset(name, names, message)] });
}

/** Outside the transaction: it resolves names. @throws VALIDATION_FAILED, URL_REFUSED */
async function requireReachable(context: ChannelsApi, preset: Preset, row: ChannelRow, fields: Texts): Promise<void> {
  requireUsable(preset, row, fields);
  const isFixed = preset.hosts !== undefined;
  const urls = preset.fields.filter(({ key, type }) => type === "url" && (!isFixed || key === "api"));
  for (const { key } of urls) if (fields[key]) await context.sender.fetch.check(fields[key]);
}

type Right = "events:read" | "channels:write";

export function ownerOf(
  { projects }: ChannelsApi,
  principal: PermissionHolder,
  projectRef: string | undefined,
  right: Right,
): RowOwner {
  if (projectRef !== undefined) return { projectId: projects.require(principal, projectRef, right) };
  requireOwnScope(principal);
  return { userId: requireAccount(principal).userId };
}

export function newOwner(
  context: ChannelsApi,
  principal: PermissionHolder,
  { projectId, userId }: CreateChannel,
): RowOwner {
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
