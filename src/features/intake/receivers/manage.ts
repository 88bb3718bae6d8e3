import type { Config } from "../../../config/load.ts";
import { toRfc3339OrNull } from "../../../core/clock.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { PermissionHolder } from "../../../core/principal.ts";
import type { SealedBox } from "../../../core/sealed-box.ts";
import { listing, ofProjects } from "../../../http/listing.ts";
import type { LiveSettings } from "../../../http/live-settings.ts";
import { requireVersion } from "../../../http/negotiation.ts";
import type { AnswerOf } from "../../../http/resource.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { owned } from "../../access/index.ts";
import { checkLabels } from "../../alerts/index.ts";
import { compileMapping } from "./mapping.ts";
import type { VerifyRow } from "./preset.ts";
import type { Presets } from "./presets.ts";
import { Receiver, type ReceiverRow, type ReceiverSettings } from "./receiver.ts";
import { boundedBy, createReceiverToken, mergedMapping, receiverSealContext } from "./receivers.ts";
import type { CreateReceiver, ListReceivers, RotateReceiver, UpdateReceiver } from "./schema.ts";
import { isUsableSecret } from "./verify.ts";

export interface ReceiverParts extends Uses<"db" | "clock" | "box" | "projects" | "audit"> {
  readonly presets: Presets;
  readonly settings: Pick<LiveSettings, "receivers">;
  /** The URL of this server for clients. */
  publicUrl(): string;
  /** The domain of mail addresses; null if no mail is received. */
  mailDomain(): string | null;
}

export const receiverAccess = owned<ReceiverRow>(Receiver, {
  see: "project:read",
  read: "events:read",
  write: "receivers:write",
  missing: "RECEIVER_NOT_FOUND",
  noun: "receiver",
});

const receiverList = listing(Receiver, () => ({}), { order: { name: "string" }, isAscending: true });

/** By name. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, INVALID_CURSOR */
export function listReceivers({ db, projects }: ReceiverParts, principal: PermissionHolder, query: ListReceivers) {
  const projectIds = [projects.requireOrDefault(principal, query.projectId, "events:read")];
  return receiverList.page(db, { visible: ofProjects(projectIds), state: undefined }, query, async (rows) => {
    const lasts = await lastRequests(db.read, rows);
    return (row) => receiverView(row, lasts.get(row.id) ?? null);
  });
}

/** @throws RECEIVER_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function getReceiver(context: ReceiverParts, principal: PermissionHolder, id: string) {
  const row = await receiverAccess.visible(context.projects, principal, id, context.db.read);
  return shown(context.db.read, row);
}

/**
 * @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, NAME_TAKEN, LIMIT_REACHED, VALIDATION_FAILED,
 * INVALID_CONDITION, INVALID_TEMPLATE
 */
export async function createReceiver(context: ReceiverParts, principal: PermissionHolder, input: CreateReceiver) {
  const { db, projects, clock } = context;
  const projectId = projects.requireOrDefault(principal, input.projectId, "receivers:write");
  await checkSettings(context, input.preset, input, { mapping: null, verify: null, hasSecret: false });
  const { token, prefix, hash } = createReceiverToken();
  const now = clock.now();
  const id = uuidv7();
  const row: ReceiverRow = {
    ...Receiver.initial,
    ...boundedBy(context.settings.receivers, Receiver.initial),
    ...settingsOf(context, id, input),
    ...{ id, projectId, name: input.name, preset: input.preset, prefix, hash },
    ...{ createdBy: principal.userId, createdAt: now, updatedAt: now },
  };
  await db.write(async (trx) => {
    await projects.quotas.requireRoom(trx, "receivers", row);
    await requireFreeName(trx, projectId, input.name, null);
    await trx.insertInto("receivers").values(row).execute();
    await changed(context, trx, "create", row, { preset: row.preset, name: row.name });
  });
  return { ...receiverView(row, null), ...issuedOf(context, row, token) };
}

/** Absent members keep their values. @throws as above, RECEIVER_NOT_FOUND, VERSION_CONFLICT */
export async function updateReceiver(
  context: ReceiverParts,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateReceiver,
): Promise<AnswerOf<typeof Receiver>> {
  const known = await receiverAccess.visible(context.projects, principal, id, context.db.read);
  const state = { mapping: known.mapping, verify: known.verify, hasSecret: known.secret !== null };
  await checkSettings(context, input.preset ?? known.preset, input, state);
  return context.db.write(async (trx) => {
    const old = await receiverAccess.writable(context.projects, principal, id, trx);
    requireVersion(ifMatch, old.version);
    const { name = old.name, preset = old.preset } = input;
    if (name !== old.name) await requireFreeName(trx, old.projectId, name, id);
    const row = await replace(context, trx, { ...old, name, preset, ...settingsOf(context, id, input) });
    await changed(context, trx, "update", row, { name, members: Object.keys(input) });
    return shown(trx, row);
  });
}

/** @throws RECEIVER_NOT_FOUND, UNAUTHORIZED_ROLE */
export function setActive(context: ReceiverParts, principal: PermissionHolder, id: string, isActive: boolean) {
  return context.db.write(async (trx) => {
    const old = await receiverAccess.writable(context.projects, principal, id, trx);
    if ((old.isActive === 1) === isActive) return shown(trx, old);
    const row = await replace(context, trx, { ...old, isActive: isActive ? 1 : 0 });
    await changed(context, trx, isActive ? "resume" : "pause", row, { name: row.name });
    return shown(trx, row);
  });
}

/**
 * Replaces the URL, or the secret if one is given; the old one works for `graceMs` more.
 * @returns with `url` if that is new. @throws RECEIVER_NOT_FOUND, UNAUTHORIZED_ROLE
 */
export async function rotateReceiver(
  context: ReceiverParts,
  principal: PermissionHolder,
  id: string,
  { graceMs = 0, secret }: RotateReceiver,
) {
  if (secret !== undefined) {
    const known = await receiverAccess.visible(context.projects, principal, id, context.db.read);
    const state = { mapping: known.mapping, verify: known.verify, hasSecret: true };
    await checkSettings(context, known.preset, { secret }, state);
  }
  return context.db.write(async (trx) => {
    const old = await receiverAccess.writable(context.projects, principal, id, trx);
    const until = context.clock.now() + graceMs;
    if (secret !== undefined) {
      const row = await replace(context, trx, { ...old, ...replacedSecret(context, old, secret, graceMs, until) });
      await changed(context, trx, "rotate", row, { graceMs, of: "secret" });
      return { ...(await shown(trx, row)), url: null, mailAddress: null };
    }
    const { token, prefix, hash } = createReceiverToken();
    const previous = graceMs === 0 ? NO_PREVIOUS : { previousHash: old.hash, previousUntil: until };
    const row = await replace(context, trx, { ...old, prefix, hash, ...previous });
    await changed(context, trx, "rotate", row, { graceMs, of: "url" });
    return { ...(await shown(trx, row)), ...issuedOf(context, row, token) };
  });
}

const NO_PREVIOUS = { previousHash: null, previousUntil: null };

/** Its alerts and events stay. @throws RECEIVER_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function deleteReceiver(context: ReceiverParts, principal: PermissionHolder, id: string): Promise<void> {
  await context.db.write(async (trx) => {
    const row = await receiverAccess.writable(context.projects, principal, id, trx);
    await trx.deleteFrom("receiver_requests").where("receiverId", "=", id).execute();
    await trx.deleteFrom("receivers").where("id", "=", id).execute();
    addEffect(trx, { type: "texts-changed", projectIds: [row.projectId] });
    addEffect(trx, { type: "receivers-changed", deleted: [id] });
    await record(context, trx, "delete", row, { preset: row.preset, name: row.name });
  });
}

type Settings = Omit<UpdateReceiver, "name" | "preset">;

/** Columns of the given settings. */
function settingsOf({ box }: ReceiverParts, id: string, { secret, ...input }: Settings): ReceiverSettings & Secrets {
  if (secret === undefined) return Receiver.columns(input);
  const sealedSecret = { secret: sealed(box, "secret", id, secret), previousSecret: null, previousSecretUntil: null };
  return { ...Receiver.columns(input), ...sealedSecret };
}

type Secrets = Partial<Pick<ReceiverRow, "secret" | "previousSecret" | "previousSecretUntil">>;

function sealed(box: SealedBox, column: "secret" | "previousSecret", id: string, text: string | null): Buffer | null {
  return text === null ? null : box.seal(receiverSealContext(column, id), Buffer.from(text));
}

function replacedSecret({ box }: ReceiverParts, old: ReceiverRow, secret: string, graceMs: number, until: number) {
  const { id } = old;
  const current = old.secret && box.open(receiverSealContext("secret", id), old.secret).toString("utf8");
  const isKept = graceMs > 0 && current !== null;
  return {
    secret: sealed(box, "secret", id, secret),
    previousSecret: isKept ? sealed(box, "previousSecret", id, current) : null,
    previousSecretUntil: isKept ? until : null,
  };
}

/** @throws VALIDATION_FAILED, INVALID_CONDITION, INVALID_TEMPLATE */
async function checkSettings(
  { presets, settings }: ReceiverParts,
  name: string,
  { mapping, labels, secret, verify, ...limits }: Settings,
  old: { readonly mapping: string | null; readonly verify: string | null; readonly hasSecret: boolean },
): Promise<void> {
  requireWithin(settings.receivers, limits);
  const preset = (await presets.all()).get(name);
  if (!preset)
    throw invalidField("body", "preset", `there is no preset ${name}; GET /api/v1/receivers/presets lists them`);
  const hasSecret = secret === undefined ? old.hasSecret : secret !== null;
  if (preset.secret === "required" && !hasSecret)
    throw invalidField(
      "body",
      "secret",
      `${preset.title} needs one: ${preset.secretTitle ?? "the secret of its signatures"}`,
    );
  const ownRows = verify === undefined ? old.verify && (JSON.parse(old.verify) as VerifyRow[]) : verify;
  if (secret) requireUsableSecret(ownRows || preset.verify, secret);
  if (labels) checkLabels(labels);
  const own = mapping === undefined ? old.mapping && (JSON.parse(old.mapping) as typeof mapping) : mapping;
  compileMapping(mergedMapping(preset, own || null));
}

/** @throws VALIDATION_FAILED for a limit above the operator's */
function requireWithin(bounds: Config["receivers"], { perSecond, burst, maxBodyBytes }: Settings): void {
  const refuse = (name: string, given: number | undefined, limit: number): void => {
    if (given !== undefined && given > limit)
      throw invalidField("body", name, `must be at most ${limit}, which the operator has set`);
  };
  refuse("perSecond", perSecond, bounds.maxPerSecond);
  refuse("burst", burst, bounds.maxBurst);
  refuse("maxBodyBytes", maxBodyBytes, bounds.maxBodyBytes);
}

/** @throws VALIDATION_FAILED */
function requireUsableSecret(rows: readonly VerifyRow[], secret: string): void {
  if (!isUsableSecret(rows, secret))
    throw invalidField("body", "secret", "a signing secret is whsec_ and at least 16 bytes in base64");
}

async function replace({ clock }: ReceiverParts, trx: Trx, next: ReceiverRow): Promise<ReceiverRow> {
  const row = { ...next, updatedAt: clock.now(), version: next.version + 1 };
  await trx.updateTable("receivers").set(row).where("id", "=", row.id).execute();
  return row;
}

async function changed(
  context: ReceiverParts,
  trx: Trx,
  action: string,
  row: ReceiverRow,
  metadata: Readonly<Record<string, unknown>>,
): Promise<void> {
  addEffect(trx, { type: "receivers-changed", changed: [row] });
  await record(context, trx, action, row, metadata);
}

function record(
  { audit }: ReceiverParts,
  trx: Trx,
  action: string,
  { id, projectId }: ReceiverRow,
  metadata: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const entry = { action: `receiver.${action}`, resourceType: "receiver", resourceId: id };
  return audit.record({ ...entry, metadata: { projectId, ...metadata } }, { trx });
}

async function requireFreeName(trx: Trx, projectId: string, name: string, except: string | null): Promise<void> {
  const taken = await trx
    .selectFrom("receivers")
    .select("id")
    .where("projectId", "=", projectId)
    .where("name", "=", name)
    .executeTakeFirst();
  if (taken && taken.id !== except)
    throw new PrismError("NAME_TAKEN", "The project has a receiver with this name already");
}

/** Secrets, which are shown only once. */
function issuedOf({ publicUrl, mailDomain }: ReceiverParts, { preset }: Pick<ReceiverRow, "preset">, token: string) {
  const domain = preset === "mail" ? mailDomain() : null;
  return {
    url: `${publicUrl().replace(/\/$/, "")}/in/${token}`,
    mailAddress: domain === null ? null : `${token}@${domain}`,
  };
}

async function shown(db: ReadDb | Trx, row: ReceiverRow): Promise<AnswerOf<typeof Receiver>> {
  return receiverView(row, (await lastRequests(db, [row])).get(row.id) ?? null);
}

/** When the last request of each receiver arrived, as its log knows. */
async function lastRequests(db: ReadDb | Trx, rows: readonly ReceiverRow[]): Promise<ReadonlyMap<string, number>> {
  const lasts = new Map<string, number>();
  for (const { id } of rows) {
    const last = await db
      .selectFrom("receiver_requests")
      .select("at")
      .where("receiverId", "=", id)
      .orderBy("id", "desc")
      .limit(1)
      .executeTakeFirst();
    if (last) lasts.set(id, last.at);
  }
  return lasts;
}

function receiverView(row: ReceiverRow, lastRequestAt: number | null): AnswerOf<typeof Receiver> {
  return Receiver.view(row, { hasSecret: row.secret !== null, lastRequestAt: toRfc3339OrNull(lastRequestAt) });
}
