import { randomBytes } from "node:crypto";
import { toRfc3339OrNull } from "../../core/clock.ts";
import { invalidField } from "../../core/errors.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import { ofProjects } from "../../http/listing.ts";
import { requireVersion } from "../../http/negotiation.ts";
import type { Uses } from "../../module/feature.ts";
import { addEffect } from "../../store/database.ts";
import { addressOf, canSubscribe, pageUrl, subscriptionsLack } from "./mails.ts";
import { StatusSubscriber, subscriberList } from "./notice.ts";
import { documentOf, type ListOfPage, type PageDocument, type StatusPageView } from "./schema.ts";
import { worst } from "./state.ts";
import { countSubscribers, type StatusPageRow } from "./table.ts";

export type ManagePagesContext = Uses<
  "db" | "clock" | "projects" | "audit" | "box" | "settings" | "statusPages" | "publicUrl"
>;

const MAX_COMPONENTS = 100;

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function getStatusPage(context: ManagePagesContext, principal: PermissionHolder, ref: string | undefined) {
  const { projects } = context;
  const projectId = projects.requireOrDefault(principal, ref, "events:read");
  const page = context.statusPages.of(projectId);
  return view(context, projectId, page?.row ?? null, page?.document ?? null);
}

async function view(
  context: ManagePagesContext,
  projectId: string,
  row: StatusPageRow | null,
  document: PageDocument | null,
): Promise<StatusPageView> {
  const { db, statusPages, publicUrl } = context;
  const project = await db.read
    .selectFrom("projects")
    .select(["slug", "name"])
    .where("id", "=", projectId)
    .executeTakeFirstOrThrow();
  const states = statusPages.statesOf(projectId);
  return {
    projectId,
    ...(document ?? documentOf({ enabled: false, title: project.name.slice(0, 100) })),
    url: pageUrl(publicUrl(), project.slug),
    state: worst(states.values()),
    states: Object.fromEntries(states),
    subscribers: await countSubscribers(db.read, projectId),
    canSubscribe: canSubscribe(context, row),
    subscriptionsLack: subscriptionsLack(context, row),
    version: row?.version ?? 0,
    updatedAt: toRfc3339OrNull(row?.updatedAt ?? null),
  };
}

/** Components without an id are new. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, VERSION_CONFLICT, VALIDATION_FAILED */
export async function putStatusPage(
  context: ManagePagesContext,
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
    const next: StatusPageRow = { projectId, document: JSON.stringify(wanted), version, keepsSubscriptions, ...times };
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
  await context.statusPages.flush();
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
  { db, projects, box }: ManagePagesContext,
  principal: PermissionHolder,
  query: ListOfPage,
) {
  const projectId = projects.requireOrDefault(principal, query.projectId, "policies:write");
  const scope = { visible: ofProjects([projectId]), state: undefined };
  return subscriberList.page(
    db,
    scope,
    query,
    () => (row) => StatusSubscriber.view(row, { address: addressOf({ box }, row) }),
  );
}
