import { randomBytes } from "node:crypto";
import { type Clock, toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { invalidField } from "../../core/errors.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import { requireVersion } from "../../http/negotiation.ts";
import { pageBody, readPage } from "../../http/pagination.ts";
import { addEffect, type Database } from "../../store/database.ts";
import { newestFirst } from "../../store/sqlite/list-queries.ts";
import type { Projects } from "../access/index.ts";
import type { AuditTrail } from "../audit/index.ts";
import { addressOf, canSubscribe, type MailParts, pageUrl, subscriptionsLack } from "./mails.ts";
import type { StatusPages } from "./pages.ts";
import { documentOf, type PageDocument, type StatusPageView } from "./schema.ts";
import { worst } from "./state.ts";
import { countSubscribers, type PageRow } from "./table.ts";

export interface ManageContext {
  readonly db: Database;
  readonly clock: Clock;
  readonly projects: Projects;
  readonly pages: StatusPages;
  readonly audit: AuditTrail;
  readonly mails: MailParts;
  readonly publicUrl: () => string;
}

const MAX_COMPONENTS = 100;

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function getStatusPage(context: ManageContext, principal: PermissionHolder, ref: string | undefined) {
  const { projects } = context;
  const projectId = projects.requireOrDefault(principal, ref, "events:read");
  const page = context.pages.of(projectId);
  return view(context, projectId, page?.row ?? null, page?.document ?? null);
}

async function view(
  context: ManageContext,
  projectId: string,
  row: PageRow | null,
  document: PageDocument | null,
): Promise<StatusPageView> {
  const { db, pages, mails, publicUrl } = context;
  const project = await db.read
    .selectFrom("projects")
    .select(["slug", "name"])
    .where("id", "=", projectId)
    .executeTakeFirstOrThrow();
  const states = pages.statesOf(projectId);
  return {
    projectId,
    ...(document ?? documentOf({ enabled: false, title: project.name.slice(0, 100) })),
    url: pageUrl(publicUrl(), project.slug),
    state: worst(states.values()),
    states: Object.fromEntries(states),
    subscribers: await countSubscribers(db.read, projectId),
    canSubscribe: canSubscribe(mails, row),
    subscriptionsLack: subscriptionsLack(mails, row),
    version: row?.version ?? 0,
    updatedAt: toRfc3339OrNull(row?.updatedAt ?? null),
  };
}

/** Components without an id are new. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, VERSION_CONFLICT, VALIDATION_FAILED */
export async function putStatusPage(
  context: ManageContext,
  principal: PermissionHolder,
  {
    projectId: ref,
    ifMatch,
    body,
  }: { readonly projectId: string | undefined; readonly ifMatch: string; readonly body: PageDocument },
): Promise<StatusPageView> {
  const { db, clock, projects, audit } = context;
  const projectId = projects.requireOrDefault(principal, ref, "policies:write");
  const { row, document } = await db.write(async (trx) => {
    const old = await trx.selectFrom("status_pages").selectAll().where("projectId", "=", projectId).executeTakeFirst();
    requireVersion(ifMatch, old?.version ?? 0);
    const wanted = withIds(body, old ? (JSON.parse(old.document) as PageDocument) : null);
    const now = clock.now();
    const keepsSubscriptions = old?.keepsSubscriptions ?? 0;
    const times = { createdAt: old?.createdAt ?? now, updatedAt: now, updatedBy: principal.userId };
    const version = (old?.version ?? 0) + 1;
    const next: PageRow = { projectId, document: JSON.stringify(wanted), version, keepsSubscriptions, ...times };
    await trx
      .insertInto("status_pages")
      .values(next)
      .onConflict((conflict) => conflict.column("projectId").doUpdateSet(next))
      .execute();
    const metadata = { enabled: wanted.enabled, components: wanted.groups.flatMap((group) => group.components).length };
    await audit.record(
      { action: "status_page.update", resourceType: "project", resourceId: projectId, metadata },
      { trx },
    );
    addEffect(trx, { type: "status-pages-changed", rows: [next] });
    return { row: next, document: wanted };
  });
  await context.pages.flush();
  return view(context, projectId, row, document);
}

/** @throws VALIDATION_FAILED for ids that are not of this page, or occur twice */
function withIds(body: PageDocument, old: PageDocument | null): PageDocument {
  const known = new Set(old?.groups.flatMap(({ components }) => components.map(({ id }) => id)));
  let count = 0;
  const groups = body.groups.map((group, g) => ({
    ...group,
    components: group.components.map((component, c) => {
      if (++count > MAX_COMPONENTS)
        throw invalidField("status page", "groups", `must have at most ${MAX_COMPONENTS} components`);
      if (component.id !== undefined && !known.delete(component.id))
        throw invalidField(
          "status page",
          `groups.${g}.components.${c}.id`,
          "is not the id of a component of this page, or occurs twice",
        );
      return { ...component, id: component.id ?? randomBytes(6).toString("hex") };
    }),
  }));
  return { ...body, groups };
}

/** Newest first. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, INVALID_CURSOR */
export async function listSubscribers(
  { db, projects, mails }: ManageContext,
  principal: PermissionHolder,
  query: Parameters<typeof readPage>[0] & { readonly projectId?: string | undefined },
) {
  const projectId = projects.requireOrDefault(principal, query.projectId, "policies:write");
  const page = readPage(query, ["string"]);
  const all = db.read.selectFrom("status_subscribers").selectAll().where("projectId", "=", projectId);
  const rows = await newestFirst(all, page).execute();
  const counts = page.wantsTotal ? await countSubscribers(db.read, projectId) : undefined;
  return pageBody(
    page,
    rows,
    (row) => ({
      id: row.id,
      address: addressOf(mails, row),
      confirmedAt: toRfc3339OrNull(row.confirmedAt),
      createdAt: toRfc3339(row.createdAt),
    }),
    ({ id }) => [id],
    counts && counts.confirmed + counts.pending,
  );
}
