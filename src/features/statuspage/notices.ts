import { invalidField, limitReached } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { type EpochMs, parseRfc3339 } from "../../core/time/clock.ts";
import { ofProjects } from "../../http/api/listing.ts";
import { pageOf } from "../../http/api/shapes.ts";
import type { Context } from "../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../store/database.ts";
import { countOf } from "../../store/sqlite/list-queries.ts";
import { type Access, managed, owned, type WithIssued } from "../access/index.ts";
import { recordAction } from "../records/audit/index.ts";
import { enqueueNotice, type MailParts } from "./mails.ts";
import { type NoticeRow, type NoticeState, noticeList, StatusNotice } from "./notice.ts";
import * as s from "./schema.ts";
import { type NoticeUpdate, noticeView, stateOfNotice, updatesOf } from "./table.ts";

export type NoticesContext = MailParts & Context<"projects">;

const MAX_NOTICES = 2000;
const MAX_UPDATES = 200;
const OF_INCIDENT: readonly NoticeState[] = ["investigating", "identified", "monitoring", "resolved"];
const OF_MAINTENANCE: readonly NoticeState[] = ["scheduled", "in_progress", "completed"];

const rights = { write: "policies:write", missing: "STATUS_NOTICE_NOT_FOUND", noun: "notice" } as const;
const readable = owned<NoticeRow>(StatusNotice, { see: "project:read", read: "events:read", ...rights });
const changeable = owned<NoticeRow>(StatusNotice, { read: "project:read", ...rights });
/** A service token with `policies:write` alone changes notices that it cannot read. */
const noticeAccess: Access<NoticeRow> = {
  rights: readable.rights,
  visible: (projects, caller, id, db) => readable.visible(projects, caller, id, db),
  writable: (projects, caller, id, trx) => changeable.writable(projects, caller, id, trx),
};

/** The notices of status pages. */
export const notices = managed({
  ...{ path: "/api/v1/status-page/notices", names: ["StatusNotice", "StatusNotices"], tag: "Status pages" },
  params: s.NoticeParams,
  access: noticeAccess,
  callers: {
    read: { permission: "events:read", within: "project" },
    write: { permission: "policies:write", within: "project" },
  },
  answer: () => StatusNotice.View,
  list: {
    summary: "List the notices of a status page, newest first",
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    query: s.ListOfPage,
    answer: () => pageOf(StatusNotice.View),
    page({ db, projects, clock }: NoticesContext, caller, query) {
      const projectId = projects.requireOrDefault(caller, query.projectId, "events:read");
      const scope = { visible: ofProjects([projectId]), state: undefined };
      return noticeList.page(db, scope, query, async (rows) => {
        const updates = await updatesOf(db.read, rows);
        return (row) => noticeView({ row, updates: updates.get(row.id) ?? [] }, clock.now());
      });
    },
  },
  get: { summary: "Get a notice of a status page" },
  create: {
    summary: "Announce a disturbance or planned maintenance",
    errors: ["PROJECT_NOT_FOUND", "LIMIT_REACHED"],
    body: s.CreateNotice,
    prepare: ({ projects }, caller, { projectId, ...input }) => ({
      ...input,
      projectId: projects.requireOrDefault(caller, projectId, "policies:write"),
    }),
  },
  update: {
    summary: "Change a notice; a state or text adds an update",
    errors: ["LIMIT_REACHED"],
    body: s.UpdateNotice,
    prepare: (_context, _caller, body) => body,
  },
  remove: { summary: "Remove a notice with its updates; nothing is sent" },
  view: async ({ clock }, _caller, row, db) => noticeView({ row, updates: await updatesOfOne(db, row) }, clock.now()),
  // Of a maintenance, time decides.
  state: ({ state }) => state,
  in: {
    async insert(context, trx, { userId: createdBy }, input): Promise<WithIssued<NoticeRow>> {
      const { kind, title, components, projectId } = input;
      const now = context.clock.now();
      const startsAt = instantOf("startsAt", input.startsAt) ?? now;
      const endsAt = instantOf("endsAt", input.endsAt) ?? null;
      const first: NoticeState = kind === "incident" ? "investigating" : startsAt > now ? "scheduled" : "in_progress";
      const state = input.state ?? first;
      const row: NoticeRow = {
        ...{ ...StatusNotice.initial, ...StatusNotice.columns({ components }) },
        ...{ id: uuidv7(), projectId, kind, title, startsAt, endsAt, resolvedAt: isOver(state) ? now : null },
        ...{ createdBy, createdAt: now, updatedAt: now },
      };
      check(row, state);
      await requireRoom(trx, projectId);
      await trx.insertInto("status_notices").values(row).execute();
      await addUpdate(context, trx, row, { at: now, state, text: input.text }, 1, input.notify);
      await record(context, trx, "create", row, { kind, state });
      return { row };
    },
    /** Absent members keep their values. */
    async change(context, trx, old, { title, components, text = "", notify, ...input }) {
      const updates = await updatesOfOne(trx, old);
      const now = context.clock.now();
      const before = stateOfNotice({ row: old, updates }, now);
      const state = input.state ?? before;
      const row: NoticeRow = {
        ...{ ...old, ...StatusNotice.columns({ title, components }) },
        startsAt: instantOf("startsAt", input.startsAt) ?? old.startsAt,
        endsAt: instantOf("endsAt", input.endsAt) ?? old.endsAt,
        ...{ resolvedAt: isOver(state) ? (old.resolvedAt ?? now) : null, updatedAt: now, version: old.version + 1 },
      };
      check(row, state);
      await trx.updateTable("status_notices").set(row).where("id", "=", row.id).execute();
      if (text !== "" || state !== before) {
        if (updates.length >= MAX_UPDATES) throw limitReached("A notice has too many updates", null, MAX_UPDATES);
        await addUpdate(context, trx, row, { at: now, state, text }, updates.length + 1, notify);
      }
      await record(context, trx, "update", row, { state });
      return { row };
    },
    async remove(context, trx, row) {
      await trx.deleteFrom("status_notice_updates").where("noticeId", "=", row.id).execute();
      await trx.deleteFrom("status_notices").where("id", "=", row.id).execute();
      await record(context, trx, "delete", row, { kind: row.kind });
    },
  },
});

async function updatesOfOne(db: ReadDb | Trx, row: NoticeRow): Promise<readonly NoticeUpdate[]> {
  return (await updatesOf(db, [row])).get(row.id) ?? [];
}

/** Adds an update, and sends it to subscribers unless `notify` is false. */
async function addUpdate(
  context: NoticesContext,
  trx: Trx,
  row: NoticeRow,
  update: NoticeUpdate,
  n: number,
  notify = true,
): Promise<void> {
  const values = { noticeId: row.id, n, ...update };
  await trx.insertInto("status_notice_updates").values(values).execute();
  if (notify) await enqueueNotice(context, trx, row, update);
}

async function record(
  context: NoticesContext,
  trx: Trx,
  verb: "create" | "update" | "delete",
  { id, projectId }: NoticeRow,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  await recordAction(context, trx, `status_notice.${verb}`, id, { projectId, ...metadata });
  addEffect(trx, { type: "status-pages-changed", touched: [projectId] });
}

async function requireRoom(trx: Trx, projectId: string): Promise<void> {
  const count = await countOf(trx.selectFrom("status_notices").where("projectId", "=", projectId));
  if (count >= MAX_NOTICES) throw limitReached("A status page has too many notices", null, MAX_NOTICES);
}

function isOver(state: NoticeState): boolean {
  return state === "resolved" || state === "completed";
}

/** @throws VALIDATION_FAILED */
function check({ kind, startsAt, endsAt }: NoticeRow, state: NoticeState): void {
  if (!(kind === "incident" ? OF_INCIDENT : OF_MAINTENANCE).includes(state))
    throw invalidField("notice", "state", `is not a state of this kind: ${kind}`);
  if (kind === "maintenance" && endsAt === null)
    throw invalidField("notice", "endsAt", "a maintenance needs its planned end");
  if (endsAt !== null && endsAt <= startsAt) throw invalidField("notice", "endsAt", "must be after startsAt");
}

function instantOf(path: string, given: string | undefined): EpochMs | undefined {
  if (given === undefined) return undefined;
  const at = parseRfc3339(given);
  if (at === undefined) throw invalidField("notice", path, "must be an RFC 3339 date and time");
  return at;
}
