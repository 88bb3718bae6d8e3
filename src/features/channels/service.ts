import { limitReached, PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import { UnsealError } from "../../core/sealed-box.ts";
import { hasTokenScope, missingPermission, requireAccount } from "../../http/access.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import { requireVersion } from "../../http/negotiation.ts";
import { pageBody, readPage } from "../../http/pagination.ts";
import { addEffect, type ReadDb, type Trx } from "../../store/database.ts";
import type { EffectOf } from "../../store/effect.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import { findProject, type Projects, type UserDirectory } from "../access/index.ts";
import type { ChannelsContext } from "./context.ts";
import { fieldsAfter, requireUsable } from "./fields.ts";
import type { Preset } from "./preset.ts";
import { type ChannelView, type CreateChannel, channelView, type ListChannels, type UpdateChannel } from "./schema.ts";
import type { ChannelOwner, ChannelRow, Texts } from "./store.ts";
import * as store from "./store.ts";

/** What the API of channels needs besides sending. */
export interface ManageContext extends ChannelsContext {
  readonly projects: Projects;
  readonly users: Pick<UserDirectory, "find">;
  readonly storage: StorageGuard;
  readonly live: LiveSettings;
  /** Names of the policies that send to a channel. */
  readonly policiesWith: (trx: Trx, channelId: string) => Promise<readonly string[]>;
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, SCOPE_MISSING, INVALID_CURSOR */
export async function listChannels(
  context: ManageContext,
  principal: PermissionHolder,
  { projectId, scope = "own", ...query }: ListChannels,
) {
  if (scope === "all" && !principal.permissions.has("projects:all")) throw missingPermission("projects:all");
  const owner =
    scope === "all" && projectId === undefined ? null : ownerOf(context, principal, projectId, "events:read");
  const request = readPage(query, ["string"]);
  const { read } = context.database;
  const rows = await store.listChannels(read, owner, request);
  const total = request.wantsTotal ? await store.countChannels(read, owner) : undefined;
  const views: ChannelView[] = [];
  for (const row of rows) views.push(await viewOf(context, row));
  return pageBody(
    request,
    views,
    (view) => view,
    ({ id }) => [id],
    total,
  );
}

/** @throws CHANNEL_NOT_FOUND, also for one that the caller may not see */
export async function getChannel(context: ManageContext, principal: PermissionHolder, id: string): Promise<ChannelRow> {
  return existing(context, principal, id, context.database.read, "events:read");
}

export async function viewOf({ book, box }: ManageContext, row: ChannelRow): Promise<ChannelView> {
  return channelView(row, await book.get(row.preset), openedOrNull(box, row));
}

export function openedOrNull(box: ManageContext["box"], row: store.SealedFields): Texts | null {
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
  context: ManageContext,
  principal: PermissionHolder,
  input: CreateChannel,
): Promise<ChannelRow> {
  const { database, storage } = context;
  storage.requireSpace();
  const owner = newOwner(context, principal, input);
  const row = await newChannel(context, principal, owner, input);
  await database.write((trx) => insertNew(context, owner, row, trx));
  context.changed();
  return row;
}

/** The row of a channel, checked and not stored. @throws VALIDATION_FAILED, URL_REFUSED */
export async function newChannel(
  context: ManageContext,
  principal: PermissionHolder,
  owner: ChannelOwner,
  input: CreateChannel,
): Promise<ChannelRow> {
  const preset = await presetOf(context, input.preset);
  const fields = fieldsAfter(preset, input.fields);
  const now = context.clock.now();
  const id = uuidv7();
  const row: ChannelRow = {
    id,
    name: input.name,
    preset: preset.name,
    projectId: "projectId" in owner ? owner.projectId : null,
    userId: "userId" in owner ? owner.userId : null,
    ...storedFields(context, id, preset, fields),
    eventTypes: JSON.stringify(input.eventTypes ?? ["*"]),
    minPriority: input.minPriority ?? 0,
    sendResolved: input.sendResolved === false ? 0 : 1,
    acknowledgeLink: input.acknowledgeLink === false ? 0 : 1,
    template: input.template ? JSON.stringify(input.template) : null,
    active: input.active === false ? 0 : 1,
    ...{ failures: 0, disabledAt: null, disabledReason: null, createdBy: principal.userId, version: 1 },
    ...{ acceptedAt: null, createdAt: now, updatedAt: now },
  };
  await requireReachable(context, preset, row, fields);
  return row;
}

/** @throws PROJECT_NOT_FOUND, LIMIT_REACHED */
export async function insertNew(context: ManageContext, owner: ChannelOwner, row: ChannelRow, trx: Trx): Promise<void> {
  await requireRoom(context, owner, row.createdBy, trx);
  await store.insertChannel(trx, row);
  addEffect(trx, changedWay(row));
  await recordAudit(context, "channel.create", row, trx);
}

/** Absent secrets keep their value. @throws CHANNEL_NOT_FOUND, VERSION_CONFLICT, VALIDATION_FAILED, URL_REFUSED */
export async function updateChannel(
  context: ManageContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateChannel,
): Promise<ChannelRow> {
  const { database, storage } = context;
  storage.requireSpace();
  const before = await existing(context, principal, id, database.read, "channels:write");
  requireVersion(ifMatch, before.version);
  const preset = await presetOf(context, before.preset);
  const fields = fieldsAfter(preset, input.fields ?? {}, openedOrNull(context.box, before) ?? {});
  await requireReachable(context, preset, after(context, before, preset, fields, input), fields);
  const row = await database.write(async (trx) => {
    const current = await existing(context, principal, id, trx, "channels:write");
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

function after(
  context: ManageContext,
  row: ChannelRow,
  preset: Preset,
  fields: Texts,
  input: UpdateChannel,
): ChannelRow {
  const { name, eventTypes, minPriority, sendResolved, acknowledgeLink, template, active } = input;
  return {
    ...row,
    ...storedFields(context, row.id, preset, fields),
    name: name ?? row.name,
    eventTypes: eventTypes ? JSON.stringify(eventTypes) : row.eventTypes,
    minPriority: minPriority ?? row.minPriority,
    sendResolved: sendResolved === undefined ? row.sendResolved : sendResolved ? 1 : 0,
    acknowledgeLink: acknowledgeLink === undefined ? row.acknowledgeLink : acknowledgeLink ? 1 : 0,
    template: template === undefined ? row.template : template === null ? null : JSON.stringify(template),
    active: active === undefined ? row.active : active ? 1 : 0,
    ...(input.fields === undefined && template === undefined ? {} : { acceptedAt: null }),
    ...(active === true ? { failures: 0, disabledAt: null, disabledReason: null } : {}),
    version: row.version + 1,
    updatedAt: context.clock.now(),
  };
}

/** @throws CHANNEL_NOT_FOUND, CHANNEL_IN_USE */
export async function deleteChannel(context: ManageContext, principal: PermissionHolder, id: string): Promise<void> {
  await context.database.write(async (trx) => {
    const row = await existing(context, principal, id, trx, "channels:write");
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
async function presetOf({ book }: ManageContext, name: string): Promise<Preset> {
  const preset = await book.get(name);
  if (preset) return preset;
  const message = `There is no preset ${name}; GET /api/v1/channels/presets lists them`;
  throw new PrismError("VALIDATION_FAILED", message, { details: [{ path: "preset", code: "INVALID", message }] });
}

function storedFields({ box }: ManageContext, id: string, preset: Preset, fields: Texts) {
  const isSecret = (key: string): boolean => preset.fields.some((field) => field.key === key && field.secret);
  const part = (secret: boolean): Texts =>
    Object.fromEntries(Object.entries(fields).filter(([key]) => isSecret(key) === secret));
  return { fields: JSON.stringify(part(false)), secrets: store.sealSecrets(box, id, part(true)) };
}

/** Outside the transaction: it resolves names. @throws VALIDATION_FAILED, URL_REFUSED */
async function requireReachable(context: ManageContext, preset: Preset, row: ChannelRow, fields: Texts): Promise<void> {
  requireUsable(preset, row, fields);
  const isFixed = preset.hosts !== undefined;
  const urls = preset.fields.filter(({ key, type }) => type === "url" && (!isFixed || key === "api"));
  for (const { key } of urls) if (fields[key]) await context.sender.fetch.check(fields[key]);
}

async function requireRoom(
  { live, projects }: ManageContext,
  owner: ChannelOwner,
  createdBy: string | null,
  trx: Trx,
): Promise<void> {
  if ("projectId" in owner && !(await findProject(trx, owner.projectId)))
    throw new PrismError("PROJECT_NOT_FOUND", "No such project");
  if ("projectId" in owner) return projects.quotas.requireRoom(trx, "channels", { ...owner, createdBy });
  const { channelsPerOwner } = live.limits;
  if ((await store.countChannels(trx, owner)) >= channelsPerOwner)
    throw limitReached("A user has too many channels", "limits.channelsPerOwner", channelsPerOwner);
}

type Right = "events:read" | "channels:write";

function ownerOf(
  { projects }: ManageContext,
  principal: PermissionHolder,
  projectRef: string | undefined,
  right: Right,
): ChannelOwner {
  if (projectRef !== undefined) return { projectId: projects.require(principal, projectRef, right) };
  requireOwnScope(principal);
  return { userId: requireAccount(principal).userId };
}

function newOwner(
  context: ManageContext,
  principal: PermissionHolder,
  { projectId, userId }: CreateChannel,
): ChannelOwner {
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

async function existing(
  context: ManageContext,
  principal: PermissionHolder,
  id: string,
  db: ReadDb | Trx,
  right: Right,
): Promise<ChannelRow> {
  const row = isUuid(id) ? await store.findChannel(db, id) : undefined;
  if (!row || !mayUse(context, principal, row, "events:read"))
    throw new PrismError("CHANNEL_NOT_FOUND", "No such channel");
  if (!mayUse(context, principal, row, right)) throw missingPermission(right);
  return row;
}

function mayUse(
  { projects }: ManageContext,
  principal: PermissionHolder,
  { projectId, userId }: ChannelRow,
  right: Right,
): boolean {
  if (projectId !== null) return projects.has(principal, projectId, right);
  if (principal.kind === "operator") return true;
  return userId === principal.userId && hasTokenScope(principal, ["account:own"]);
}

/** Whether the caller may test a channel. @throws CHANNEL_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function requireTest(context: ManageContext, principal: PermissionHolder, id: string): Promise<void> {
  await existing(context, principal, id, context.database.read, "channels:write");
}

/** A channel that the caller tests. @throws CHANNEL_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function channelToTest(
  context: ManageContext,
  principal: PermissionHolder,
  id: string,
  dryRun: boolean,
): Promise<ChannelRow> {
  return context.database.write(async (trx) => {
    const row = await existing(context, principal, id, trx, "channels:write");
    if (!dryRun) await recordAudit(context, "channel.test", row, trx);
    return row;
  });
}

export async function recordAudit(
  { audit }: ManageContext,
  action: "channel.create" | "channel.update" | "channel.delete" | "channel.test",
  { id, projectId, version, preset }: ChannelRow,
  trx: Trx,
  more: Readonly<Record<string, string[]>> = {},
): Promise<void> {
  const metadata = { version, projectId, preset, ...more };
  await audit.record({ action, resourceType: "channel", resourceId: id, metadata }, { trx });
}
