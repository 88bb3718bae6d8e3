import * as v from "valibot";
import type { Config } from "../../../config/load.ts";
import type { SealedBox } from "../../../core/crypto/sealed-box.ts";
import { invalidField } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { PermissionHolder } from "../../../core/principal.ts";
import type { Json } from "../../../core/text/json-text.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { listing, ofProjects } from "../../../http/api/listing.ts";
import { type AnswerOf, flag } from "../../../http/api/resource.ts";
import { type Route, route, withVersion } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { requireVersion } from "../../../http/body/negotiation.ts";
import { holderOf } from "../../../http/server/access.ts";
import type { LiveSettings } from "../../../http/server/live-settings.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { owned, requireFreeName } from "../../access/index.ts";
import { checkLabels } from "../../alerts/index.ts";
import { recordAction } from "../../records/audit/index.ts";
import { compileGiven, compileMapping } from "./mapping.ts";
import type { VerifyRow } from "./preset.ts";
import type { LoadedPreset, Presets } from "./presets.ts";
import { Receiver, type ReceiverRow, type ReceiverSettings } from "./receiver.ts";
import { boundedBy, createReceiverToken, mergedMapping, receiverSealContext } from "./receivers.ts";
import type { CreateReceiver, RotateReceiver, UpdateReceiver } from "./schema.ts";
import * as s from "./schema.ts";
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

const PATH = "/api/v1/receivers";
const tag = "Receivers";
const read = { tag, access: { permission: "events:read", within: "project" } } as const;
const write = { tag, access: { permission: "receivers:write", within: "project" } } as const;
const one = { path: `${PATH}/:id`, params: s.ReceiverParams };
const SETTING_ERRORS = ["NAME_TAKEN", "INVALID_CONDITION", "INVALID_TEMPLATE"] as const;

/** Receivers, without the log of their requests. */
export function receiverRoutes(context: ReceiverParts): Route[] {
  const { db, projects } = context;
  return [
    route({
      ...read,
      method: "GET",
      path: PATH,
      id: "listReceivers",
      summary: "List the receivers of a project by name",
      query: s.ListReceivers,
      response: () => pageOf(Receiver.View),
      errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
      handle(exchange, { query }) {
        const projectId = projects.requireOrDefault(holderOf(exchange), query.projectId, "events:read");
        const scope = { visible: ofProjects([projectId]), state: undefined };
        return receiverList.page(db, scope, query, async (rows) => {
          const lasts = await lastRequests(db.read, rows);
          return (row) => receiverView(row, lasts.get(row.id) ?? null);
        });
      },
    }),
    route({
      tag,
      access: { tokenScopes: ["events:read", "receivers:write"] },
      method: "GET",
      path: `${PATH}/presets`,
      id: "listReceiverPresets",
      summary: "List the presets: programs that can send to a receiver, and how to set them up",
      response: v.object({ data: v.array(s.PresetView) }),
      handle: async () => ({ data: Array.from((await context.presets.all()).values(), presetView) }),
    }),
    route({
      ...write,
      method: "POST",
      path: PATH,
      id: "createReceiver",
      summary: "Create a receiver; the answer has its URL",
      body: s.CreateReceiver,
      status: 201,
      response: s.IssuedReceiver,
      errors: ["PROJECT_NOT_FOUND", "LIMIT_REACHED", ...SETTING_ERRORS],
      handle: async (exchange, { body }) =>
        withVersion(await createReceiver(context, holderOf(exchange), body), { status: 201 }),
    }),
    route({
      ...read,
      ...one,
      method: "GET",
      id: "getReceiver",
      summary: "Get a receiver",
      response: () => Receiver.View,
      errors: ["RECEIVER_NOT_FOUND"],
      async handle(exchange, { params }) {
        const row = await receiverAccess.visible(projects, holderOf(exchange), params.id, db.read);
        const receiver = await shown(db.read, row);
        return withVersion(receiver, { state: receiver.lastRequestAt ?? "" });
      },
    }),
    route({
      ...write,
      ...one,
      method: "PATCH",
      id: "updateReceiver",
      summary: "Change a receiver; absent members keep their values",
      details: "`mapping`, `verify` and `secret` are replaced as a whole; null removes them.",
      body: s.UpdateReceiver,
      response: () => Receiver.View,
      errors: ["RECEIVER_NOT_FOUND", "VERSION_CONFLICT", ...SETTING_ERRORS],
      handle: async (exchange, { params, body }) =>
        withVersion(await updateReceiver(context, holderOf(exchange), params.id, exchange.header("if-match"), body)),
    }),
    route({
      ...write,
      ...one,
      method: "DELETE",
      id: "deleteReceiver",
      summary: "Delete a receiver and its log; its events and alerts stay, its URL answers 404",
      errors: ["RECEIVER_NOT_FOUND"],
      handle: (exchange, { params: { id } }) =>
        db.write(async (trx) => {
          const row = await receiverAccess.writable(projects, holderOf(exchange), id, trx);
          await trx.deleteFrom("receiver_requests").where("receiverId", "=", id).execute();
          await trx.deleteFrom("receivers").where("id", "=", id).execute();
          addEffect(trx, { type: "texts-changed", projectIds: [row.projectId] });
          addEffect(trx, { type: "receivers-changed", deleted: [id] });
          const metadata = { projectId: row.projectId, preset: row.preset, name: row.name };
          await recordAction(context, trx, "receiver.delete", id, metadata);
        }),
    }),
    route({
      ...write,
      ...one,
      path: `${PATH}/:id/rotate`,
      method: "POST",
      id: "rotateReceiver",
      summary: "Replace the URL, or the secret if one is given; the old one works until the grace period ends",
      body: s.RotateReceiver,
      status: 201,
      response: s.RotatedReceiver,
      errors: ["RECEIVER_NOT_FOUND"],
      handle: (exchange, { params, body }) => rotateReceiver(context, holderOf(exchange), params.id, body),
    }),
    ...[false, true].map((isActive) =>
      route({
        ...write,
        ...one,
        path: `${PATH}/:id/${isActive ? "resume" : "pause"}`,
        method: "POST",
        id: isActive ? "resumeReceiver" : "pauseReceiver",
        summary: isActive ? "Accept requests again" : "Refuse requests with 403 until it is resumed",
        response: () => Receiver.View,
        errors: ["RECEIVER_NOT_FOUND"],
        handle: (exchange, { params }) =>
          db.write(async (trx) => {
            const old = await receiverAccess.writable(projects, holderOf(exchange), params.id, trx);
            if ((old.isActive === 1) === isActive) return shown(trx, old);
            const next = { ...old, isActive: flag.encode(isActive) };
            const row = await replace(context, trx, isActive ? "resume" : "pause", next, { name: old.name });
            return shown(trx, row);
          }),
      }),
    ),
  ];
}

/**
 * @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, NAME_TAKEN, LIMIT_REACHED, VALIDATION_FAILED,
 * INVALID_CONDITION, INVALID_TEMPLATE
 */
async function createReceiver(context: ReceiverParts, principal: PermissionHolder, input: CreateReceiver) {
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
    await requireFreeName(trx, "receivers", "a receiver", row);
    await trx.insertInto("receivers").values(row).execute();
    addEffect(trx, { type: "receivers-changed", changed: [row] });
    await recordAction(context, trx, "receiver.create", id, { projectId, preset: row.preset, name: row.name });
  });
  return { ...receiverView(row, null), ...issuedOf(context, row, token) };
}

/** Absent members keep their values. @throws as above, RECEIVER_NOT_FOUND, VERSION_CONFLICT */
async function updateReceiver(
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
    if (name !== old.name) await requireFreeName(trx, "receivers", "a receiver", { ...old, name });
    const next = { ...old, name, preset, ...settingsOf(context, id, input) };
    const row = await replace(context, trx, "update", next, { name, members: Object.keys(input) });
    return shown(trx, row);
  });
}

/**
 * Replaces the URL, or the secret if one is given; the old one works for `graceMs` more.
 * @returns with `url` if that is new. @throws RECEIVER_NOT_FOUND, UNAUTHORIZED_ROLE
 */
async function rotateReceiver(
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
      const next = { ...old, ...replacedSecret(context, old, secret, graceMs, until) };
      const row = await replace(context, trx, "rotate", next, { graceMs, of: "secret" });
      return { ...(await shown(trx, row)), url: null, mailAddress: null };
    }
    const { token, prefix, hash } = createReceiverToken();
    const previous = graceMs === 0 ? NO_PREVIOUS : { previousHash: old.hash, previousUntil: until };
    const next = { ...old, prefix, hash, ...previous };
    const row = await replace(context, trx, "rotate", next, { graceMs, of: "url" });
    return { ...(await shown(trx, row)), ...issuedOf(context, row, token) };
  });
}

const NO_PREVIOUS = { previousHash: null, previousUntil: null };

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
  // One that is stored stays, whatever its size.
  const compile = mapping === undefined ? compileMapping : compileGiven;
  compile(mergedMapping(preset, own || null));
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

/** Stores the next version of a receiver. */
async function replace(
  context: ReceiverParts,
  trx: Trx,
  action: string,
  next: ReceiverRow,
  metadata: Readonly<Record<string, Json>>,
): Promise<ReceiverRow> {
  const row = { ...next, updatedAt: context.clock.now(), version: next.version + 1 };
  await trx.updateTable("receivers").set(row).where("id", "=", row.id).execute();
  addEffect(trx, { type: "receivers-changed", changed: [row] });
  await recordAction(context, trx, `receiver.${action}`, row.id, { projectId: row.projectId, ...metadata });
  return row;
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

/** Presets as the API shows them. */
function presetView(preset: LoadedPreset) {
  const { name, title, group, docs, secret, secretTitle = null, setup, methods, mapping, sample } = preset;
  return {
    name,
    title,
    group,
    docs,
    secret,
    secretTitle,
    setup,
    methods,
    mapping: { ...mapping },
    sample: { ...sample },
  };
}
