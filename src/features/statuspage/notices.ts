import { invalidField, limitReached } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import { type EpochMs, parseRfc3339, toRfc3339 } from "../../core/time/clock.ts";
import { ofProjects } from "../../http/api/listing.ts";
import type { AnswerOf } from "../../http/api/resource.ts";
import { type Route, route, withVersion } from "../../http/api/route.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { requireVersion } from "../../http/body/negotiation.ts";
import { holderOf } from "../../http/server/access.ts";
import type { Uses } from "../../module/feature.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { countOf } from "../../store/sqlite/list-queries.ts";
import { owned } from "../access/index.ts";
import { recordAction } from "../records/audit/index.ts";
import { enqueueNotice, type MailParts } from "./mails.ts";
import { type NoticeRow, type NoticeState, noticeList, StatusNotice } from "./notice.ts";
import type { CreateNotice, UpdateNotice } from "./schema.ts";
import * as s from "./schema.ts";
import { type NoticeUpdate, type PostedNotice, updatesOf } from "./table.ts";

export type NoticesContext = MailParts & Uses<"projects" | "audit">;

const MAX_NOTICES = 2000;
const MAX_UPDATES = 200;
const OF_INCIDENT: readonly NoticeState[] = ["investigating", "identified", "monitoring", "resolved"];
const OF_MAINTENANCE: readonly NoticeState[] = ["scheduled", "in_progress", "completed"];

/** Of a maintenance, time decides until it is completed. */
export function stateOfNotice({ row, updates }: PostedNotice, now: EpochMs): NoticeState {
  const said = updates.at(-1)?.state ?? "investigating";
  if (row.kind === "incident") return said;
  if (said === "completed" || (row.endsAt !== null && now >= row.endsAt)) return "completed";
  return now >= row.startsAt ? "in_progress" : said;
}

export function noticeView(notice: PostedNotice, now: EpochMs): AnswerOf<typeof StatusNotice> {
  const { row, updates } = notice;
  return StatusNotice.view(row, {
    state: stateOfNotice(notice, now),
    updates: updates.map(({ at, state, text }) => ({ at: toRfc3339(at), state, text })),
  });
}

const PATH = "/api/v1/status-page/notices";
const tag = "Status pages";
const read = { tag, access: { permission: "events:read", within: "project" } } as const;
const write = { tag, access: { permission: "policies:write", within: "project" } } as const;

const one = { path: `${PATH}/:id`, params: s.NoticeParams };

/** A service token with `policies:write` alone changes notices that it cannot read. */
const noticeAccess = owned<NoticeRow>(StatusNotice, {
  read: "project:read",
  write: "policies:write",
  missing: "STATUS_NOTICE_NOT_FOUND",
  noun: "notice",
});

/** The notices of status pages. */
export function noticeRoutes(context: NoticesContext): Route[] {
  const { db, clock, projects } = context;
  return [
    route({
      ...read,
      method: "GET",
      path: PATH,
      id: "listStatusNotices",
      summary: "List the notices of a status page, newest first",
      query: s.ListOfPage,
      response: () => pageOf(StatusNotice.View),
      errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
      async handle(exchange, { query }) {
        const projectId = projects.requireOrDefault(holderOf(exchange), query.projectId, "events:read");
        const scope = { visible: ofProjects([projectId]), state: undefined };
        return noticeList.page(db, scope, query, async (rows) => {
          const updates = await updatesOf(db.read, rows);
          return (row) => noticeView({ row, updates: updates.get(row.id) ?? [] }, clock.now());
        });
      },
    }),
    route({
      ...write,
      method: "POST",
      path: PATH,
      id: "createStatusNotice",
      summary: "Announce a disturbance or planned maintenance",
      body: s.CreateNotice,
      status: 201,
      response: () => StatusNotice.View,
      errors: ["PROJECT_NOT_FOUND", "LIMIT_REACHED"],
      handle: async (exchange, { body }) =>
        withVersion(await createNotice(context, holderOf(exchange), body), { status: 201 }),
    }),
    route({
      ...read,
      ...one,
      method: "GET",
      id: "getStatusNotice",
      summary: "Get a notice of a status page",
      response: () => StatusNotice.View,
      errors: ["STATUS_NOTICE_NOT_FOUND"],
      async handle(exchange, { params }) {
        const row = await noticeAccess.visible(projects, holderOf(exchange), params.id, db.read);
        projects.require(holderOf(exchange), row.projectId, "events:read");
        const updates = await updatesOf(db.read, [row]);
        const view = noticeView({ row, updates: updates.get(row.id) ?? [] }, clock.now());
        return withVersion(view, { state: view.state });
      },
    }),
    route({
      ...write,
      ...one,
      method: "PATCH",
      id: "updateStatusNotice",
      summary: "Change a notice; a state or text adds an update",
      body: s.UpdateNotice,
      response: () => StatusNotice.View,
      errors: ["STATUS_NOTICE_NOT_FOUND", "VERSION_CONFLICT", "LIMIT_REACHED"],
      handle: async (exchange, { params, body }) =>
        withVersion(await updateNotice(context, holderOf(exchange), params.id, exchange.header("if-match"), body)),
    }),
    route({
      ...write,
      ...one,
      method: "DELETE",
      id: "deleteStatusNotice",
      summary: "Remove a notice with its updates; nothing is sent",
      errors: ["STATUS_NOTICE_NOT_FOUND"],
      handle: (exchange, { params: { id } }) =>
        db.write(async (trx) => {
          const row = await noticeAccess.writable(projects, holderOf(exchange), id, trx);
          await trx.deleteFrom("status_notice_updates").where("noticeId", "=", id).execute();
          await trx.deleteFrom("status_notices").where("id", "=", id).execute();
          await record(context, trx, "delete", row, { kind: row.kind });
        }),
    }),
  ];
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, VALIDATION_FAILED, LIMIT_REACHED */
async function createNotice(
  context: NoticesContext,
  principal: PermissionHolder,
  input: CreateNotice,
): Promise<AnswerOf<typeof StatusNotice>> {
  const { db, clock, projects } = context;
  const { kind, title, components } = input;
  const projectId = projects.requireOrDefault(principal, input.projectId, "policies:write");
  const now = clock.now();
  const startsAt = instantOf("startsAt", input.startsAt) ?? now;
  const endsAt = instantOf("endsAt", input.endsAt) ?? null;
  const first: NoticeState = kind === "incident" ? "investigating" : startsAt > now ? "scheduled" : "in_progress";
  const state = input.state ?? first;
  const row: NoticeRow = {
    ...StatusNotice.initial,
    ...StatusNotice.columns({ components }),
    id: uuidv7(),
    projectId,
    kind,
    title,
    startsAt,
    endsAt,
    resolvedAt: isOver(state) ? now : null,
    createdBy: principal.userId,
    createdAt: now,
    updatedAt: now,
  };
  check(row, state);
  const update = { at: now, state, text: input.text };
  return db.write(async (trx) => {
    await requireRoom(trx, projectId);
    await trx.insertInto("status_notices").values(row).execute();
    await addUpdate(trx, row, update, 1);
    if (input.notify !== false) await enqueueNotice(context, trx, row, update);
    await record(context, trx, "create", row, { kind: row.kind, state });
    return noticeView({ row, updates: [update] }, now);
  });
}

/** Absent members keep their values. @throws STATUS_NOTICE_NOT_FOUND, VERSION_CONFLICT, VALIDATION_FAILED, LIMIT_REACHED */
function updateNotice(
  context: NoticesContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateNotice,
): Promise<AnswerOf<typeof StatusNotice>> {
  return context.db.write(async (trx) => {
    const old = await noticeAccess.writable(context.projects, principal, id, trx);
    requireVersion(ifMatch, old.version);
    const updates = (await updatesOf(trx, [old])).get(id) ?? [];
    const now = context.clock.now();
    const before = stateOfNotice({ row: old, updates }, now);
    const state = input.state ?? before;
    const row: NoticeRow = {
      ...old,
      ...StatusNotice.columns({ title: input.title, components: input.components }),
      startsAt: instantOf("startsAt", input.startsAt) ?? old.startsAt,
      endsAt: instantOf("endsAt", input.endsAt) ?? old.endsAt,
      resolvedAt: isOver(state) ? (old.resolvedAt ?? now) : null,
      updatedAt: now,
      version: old.version + 1,
    };
    check(row, state);
    await trx.updateTable("status_notices").set(row).where("id", "=", id).execute();
    const isNew = (input.text ?? "") !== "" || state !== before;
    const update: NoticeUpdate = { at: now, state, text: input.text ?? "" };
    if (isNew) {
      if (updates.length >= MAX_UPDATES) throw limitReached("A notice has too many updates", null, MAX_UPDATES);
      await addUpdate(trx, row, update, updates.length + 1);
      if (input.notify !== false) await enqueueNotice(context, trx, row, update);
    }
    await record(context, trx, "update", row, { state });
    return noticeView({ row, updates: isNew ? [...updates, update] : updates }, now);
  });
}

async function addUpdate(trx: Trx, { id }: NoticeRow, update: NoticeUpdate, n: number): Promise<void> {
  await trx
    .insertInto("status_notice_updates")
    .values({ noticeId: id, n, ...update })
    .execute();
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
