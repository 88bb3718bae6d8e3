import type { Principal } from "../../../core/caller.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { Json } from "../../../core/text/json-text.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { listing, ofProjects } from "../../../http/api/listing.ts";
import type { AnswerOf } from "../../../http/api/resource.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { addEffect, type ReadDb, type Trx, updateLater } from "../../../store/database.ts";
import { managed, owned, requireFreeName, requireFreeToken } from "../../access/index.ts";
import { recordAction } from "../../records/audit/index.ts";
import { requireMayForward } from "../forward/index.ts";
import { Receiver, type ReceiverRow } from "./receiver.ts";
import { boundedBy, createReceiverToken } from "./receivers.ts";
import * as s from "./schema.ts";
import { checkSettings, type ReceiverParts, settingsOf, storedSettings } from "./settings.ts";

export const PATH = "/api/v1/receivers";
export const tag = "Receivers";
const SETTING_ERRORS = ["NAME_TAKEN", "INVALID_CONDITION", "INVALID_TEMPLATE", "URL_REFUSED"] as const;
const receiverList = listing(Receiver, () => ({}), { order: { name: "string" }, isAscending: true });

export const receiverAccess = owned<ReceiverRow, Principal>(Receiver, {
  ...{ see: "project:read", read: "events:read", write: "receivers:write" },
  ...{ missing: "RECEIVER_NOT_FOUND", noun: "receiver" },
});

interface NewReceiver extends Omit<s.CreateReceiver, "projectId"> {
  readonly projectId: string;
  /** Default: a new one. */
  readonly id?: string;
  /** The token of its URL; default: a new one. */
  readonly token?: string | undefined;
}

export const receivers = managed({
  ...{ path: PATH, names: ["Receiver", "Receivers"], tag, params: s.ReceiverParams },
  access: receiverAccess,
  answer: () => Receiver.View,
  list: {
    summary: "List the receivers of a project by name",
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    query: s.ListReceivers,
    answer: () => pageOf(Receiver.View),
    page(context: ReceiverParts, caller, query) {
      const { db, projects } = context;
      const projectId = projects.requireOrDefault(caller, query.projectId, "events:read");
      const scope = { visible: ofProjects([projectId]), state: undefined };
      return receiverList.page(db, scope, query, async (rows) => {
        const lasts = await lastRequests(db.read, rows);
        return (row) => receiverView(context, row, lasts.get(row.id) ?? null);
      });
    },
  },
  get: { summary: "Get a receiver" },
  create: {
    summary: "Create a receiver; the answer has its URL",
    errors: ["PROJECT_NOT_FOUND", "LIMIT_REACHED", ...SETTING_ERRORS],
    body: s.CreateReceiver,
    answer: s.IssuedReceiver,
    async prepare(context, caller, { projectId: ref, ...input }): Promise<NewReceiver> {
      const projectId = context.projects.requireOrDefault(caller, ref, "receivers:write");
      await checkSettings(context, input.preset, input, { mapping: null, verify: null, hasSecret: false });
      return { projectId, ...input };
    },
  },
  update: {
    summary: "Change a receiver; absent members keep their values",
    details: "`mapping`, `verify`, `secret` and `forwardUrl` are replaced as a whole; null removes them.",
    errors: SETTING_ERRORS,
    body: s.UpdateReceiver,
    async prepare(context, caller, input, id) {
      const known = await receiverAccess.visible(context.projects, caller, id, context.db.read);
      await checkSettings(context, input.preset ?? known.preset, input, storedSettings(known));
      return input;
    },
  },
  remove: { summary: "Delete a receiver and its log; its events and alerts stay, its URL answers 404" },
  view: (context, _caller, row, db) => shown(context, db, row),
  state: ({ lastRequestAt, forward }) => (forward === null ? lastRequestAt : { lastRequestAt, forward }),
  in: {
    async insert(context, trx, caller, spec) {
      const { userId: createdBy } = caller;
      const { id = uuidv7(), projectId, name, preset, token: given, ...settings } = spec;
      await requireMayForward(context, trx, caller, projectId, settings);
      const { token, prefix, hash } = createReceiverToken(given);
      if (given !== undefined) await requireFreeToken(trx, "receivers", "token", hash);
      const now = context.clock.now();
      const row: ReceiverRow = {
        ...Receiver.initial,
        ...boundedBy(context.settings.receivers, Receiver.initial),
        ...settingsOf(context, id, settings),
        ...{ id, projectId, name, preset, prefix, hash, createdBy, createdAt: now, updatedAt: now },
      };
      await context.projects.quotas.requireRoom(trx, "receivers", row);
      await requireFreeName(trx, "receivers", "a receiver", row);
      await trx.insertInto("receivers").values(row).execute();
      addEffect(trx, { type: "receivers-changed", changed: [row] });
      await recordAction(context, trx, "receiver.create", id, { projectId, preset, name });
      return { row, issued: issuedOf(context, row, token) };
    },
    async change(context, trx, old, input, caller) {
      const { name = old.name, preset = old.preset, ...settings } = input;
      await requireMayForward(context, trx, caller, old.projectId, settings, old);
      if (name !== old.name) await requireFreeName(trx, "receivers", "a receiver", { ...old, name });
      const next = { ...old, name, preset, ...settingsOf(context, old.id, settings) };
      return { row: await replace(context, trx, "update", next, { name, members: Object.keys(input) }) };
    },
    async remove(context, trx, { id, projectId, preset, name }) {
      await trx.deleteFrom("receiver_requests").where("receiverId", "=", id).execute();
      await trx.deleteFrom("receivers").where("id", "=", id).execute();
      addEffect(trx, { type: "texts-changed", projectIds: [projectId] });
      addEffect(trx, { type: "receivers-changed", deleted: [id] });
      await recordAction(context, trx, "receiver.delete", id, { projectId, preset, name });
    },
  },
});

/** Stores the next version of a receiver. */
export async function replace(
  context: ReceiverParts,
  trx: Trx,
  action: string,
  next: ReceiverRow,
  metadata: Readonly<Record<string, Json>>,
): Promise<ReceiverRow> {
  const row = { ...next, updatedAt: context.clock.now(), version: next.version + 1 };
  updateLater(trx, "receivers", row.id, row);
  addEffect(trx, { type: "receivers-changed", changed: [row] });
  await recordAction(context, trx, `receiver.${action}`, row.id, { projectId: row.projectId, ...metadata });
  return row;
}

/** Secrets, which are shown only once. */
export function issuedOf(
  { publicUrl, mailDomain }: ReceiverParts,
  { preset }: Pick<ReceiverRow, "preset">,
  token: string,
) {
  const domain = preset === "mail" ? mailDomain() : null;
  return {
    url: `${publicUrl().replace(/\/$/, "")}/in/${token}`,
    mailAddress: domain === null ? null : `${token}@${domain}`,
  };
}

async function shown(context: ReceiverParts, db: ReadDb | Trx, row: ReceiverRow) {
  return receiverView(context, row, (await lastRequests(db, [row])).get(row.id) ?? null);
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

function receiverView(
  { forwarding }: ReceiverParts,
  row: ReceiverRow,
  lastRequestAt: number | null,
): AnswerOf<typeof Receiver> {
  const forward = forwarding.shown(row);
  return Receiver.view(row, { forward, hasSecret: row.secret !== null, lastRequestAt: toRfc3339OrNull(lastRequestAt) });
}
