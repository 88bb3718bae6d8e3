import { randomBytes } from "node:crypto";
import type { PermissionHolder } from "../../core/caller.ts";
import { invalidField, PrismError } from "../../core/errors.ts";
import { toRfc3339OrNull } from "../../core/time/clock.ts";
import { ofProjects } from "../../http/api/listing.ts";
import { type Route, route, withVersion } from "../../http/api/route.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { requireVersion, stateOf } from "../../http/body/negotiation.ts";
import { holderOf } from "../../http/server/access.ts";
import type { Uses } from "../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../store/database.ts";
import { compileMatchers, MAX_DOCUMENT_SIZE, parseMatcher, preparePatterns } from "../alerts/index.ts";
import { addressOf, canSubscribe, pageUrl, subscriptionsLack } from "./mails.ts";
import { StatusSubscriber, type SubscriberRow, subscriberList } from "./notice.ts";
import * as s from "./schema.ts";
import { documentOf, type PageDocument, type StatusPageView } from "./schema.ts";
import { worst } from "./state.ts";
import { countSubscribers, type StatusPageRow } from "./table.ts";

export type ManagePagesContext = Uses<
  "db" | "clock" | "projects" | "audit" | "box" | "settings" | "statusPages" | "publicUrl"
>;

const MAX_COMPONENTS = 100;

const PATH = "/api/v1/status-page";
const tag = "Status pages";
const read = { tag, access: { permission: "events:read", within: "project" } } as const;
const write = { tag, access: { permission: "policies:write", within: "project" } } as const;

/** The status page of a project, as its managers see it. */
export function pageRoutes(context: ManagePagesContext): Route[] {
  const answer = (page: StatusPageView) => {
    const { state, states, subscribers, url, canSubscribe, subscriptionsLack } = page;
    return withVersion(page, {
      state: stateOf({ state, states, subscribers, url, canSubscribe, subscriptionsLack }),
    });
  };
  return [
    route({
      ...read,
      method: "GET",
      path: PATH,
      id: "getStatusPage",
      summary: "Get the status page of a project; off until it is set",
      query: s.StatusPageQuery,
      response: s.StatusPageView,
      errors: ["PROJECT_NOT_FOUND"],
      async handle(exchange, { query }) {
        const projectId = context.projects.requireOrDefault(holderOf(exchange), query.projectId, "events:read");
        const { row = null, document = null } = context.statusPages.of(projectId) ?? {};
        return answer(await view(context, projectId, row, document));
      },
    }),
    route({
      ...write,
      method: "PUT",
      path: PATH,
      id: "putStatusPage",
      summary: "Set the status page of a project",
      details: "The whole page. Components keep their history by their `id`; those without one are new.",
      query: s.StatusPageQuery,
      body: s.PutStatusPage,
      response: s.StatusPageView,
      errors: ["PROJECT_NOT_FOUND", "VERSION_CONFLICT"],
      async handle(exchange, { query, body }) {
        const request = { projectId: query.projectId, ifMatch: exchange.header("if-match"), body: s.documentOf(body) };
        return answer(await putStatusPage(context, holderOf(exchange), request));
      },
    }),
  ];
}

/** The subscribers of a status page. */
export function subscriberRoutes({ db, projects, box, audit }: ManagePagesContext): Route[] {
  return [
    route({
      ...write,
      method: "GET",
      path: `${PATH}/subscribers`,
      id: "listStatusSubscribers",
      summary: "List the subscribers of a status page, newest first",
      query: s.ListOfPage,
      response: () => pageOf(StatusSubscriber.View),
      errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
      handle(exchange, { query }) {
        const projectId = projects.requireOrDefault(holderOf(exchange), query.projectId, "policies:write");
        const scope = { visible: ofProjects([projectId]), state: undefined };
        const viewOf = (row: SubscriberRow) => StatusSubscriber.view(row, { address: addressOf({ box }, row) });
        return subscriberList.page(db, scope, query, () => viewOf);
      },
    }),
    route({
      ...write,
      method: "DELETE",
      path: `${PATH}/subscribers/:id`,
      params: s.SubscriberParams,
      query: s.StatusPageQuery,
      id: "removeStatusSubscriber",
      summary: "Remove a subscriber of a status page",
      errors: ["PROJECT_NOT_FOUND", "SUBSCRIBER_NOT_FOUND"],
      handle(exchange, { params: { id }, query }) {
        const projectId = projects.requireOrDefault(holderOf(exchange), query.projectId, "policies:write");
        return db.write(async (trx) => {
          const { numDeletedRows } = await trx
            .deleteFrom("status_subscribers")
            .where("id", "=", id)
            .where("projectId", "=", projectId)
            .executeTakeFirst();
          if (numDeletedRows === 0n) throw new PrismError("SUBSCRIBER_NOT_FOUND", "No such subscriber");
          const entry = { action: "status_page.unsubscribe", resourceType: "status_subscriber", resourceId: id };
          await audit.record({ ...entry, metadata: { projectId } }, { trx });
        });
      },
    }),
  ];
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
async function putStatusPage(
  context: ManagePagesContext,
  principal: PermissionHolder,
  {
    projectId: ref,
    ifMatch,
    body,
  }: { readonly projectId: string | undefined; readonly ifMatch: string; readonly body: PageDocument },
): Promise<StatusPageView> {
  const projectId = context.projects.requireOrDefault(principal, ref, "policies:write");
  await requirePatterns(body);
  const { row, document } = await context.db.write(async (trx) => {
    const old = await storedPage(trx, projectId);
    requireVersion(ifMatch, old?.version ?? 0);
    return storePage(context, trx, principal, projectId, old, body);
  });
  await context.statusPages.flush();
  return view(context, projectId, row, document);
}

export function storedPage(db: ReadDb | Trx, projectId: string): Promise<StatusPageRow | undefined> {
  return db.selectFrom("status_pages").selectAll().where("projectId", "=", projectId).executeTakeFirst();
}

/** In a given transaction, after `requirePatterns`. @throws VALIDATION_FAILED */
export async function storePage(
  { clock, audit }: Pick<ManagePagesContext, "clock" | "audit">,
  trx: Trx,
  { userId }: PermissionHolder,
  projectId: string,
  old: StatusPageRow | undefined,
  body: PageDocument,
) {
  const document = withIds(body, old ? (JSON.parse(old.document) as PageDocument) : null);
  const now = clock.now();
  const keepsSubscriptions = old?.keepsSubscriptions ?? 0;
  const times = { createdAt: old?.createdAt ?? now, updatedAt: now, updatedBy: userId };
  const version = (old?.version ?? 0) + 1;
  const row: StatusPageRow = { projectId, document: JSON.stringify(document), version, keepsSubscriptions, ...times };
  await trx
    .insertInto("status_pages")
    .values(row)
    .onConflict((conflict) => conflict.column("projectId").doUpdateSet(row))
    .execute();
  const components = document.groups.flatMap((group) => group.components).length;
  const metadata = { enabled: document.enabled, components };
  const entry = { action: "status_page.update", resourceType: "project", resourceId: projectId, metadata };
  await audit.record(entry, { trx });
  addEffect(trx, { type: "status-pages-changed", rows: [row] });
  return { row, document };
}

/** @throws VALIDATION_FAILED for an invalid pattern, or for too many; WORK_LIMITED */
export async function requirePatterns({ groups }: PageDocument): Promise<void> {
  const matchers = groups.flatMap(({ components }, g) =>
    components.flatMap(({ sources = [] }, c) =>
      sources.flatMap(({ matchers: own = [] }, s) =>
        own.map((text, m) => {
          const path = `groups.${g}.components.${c}.sources.${s}.matchers.${m}`;
          return { path, matcher: parseMatcher(text) };
        }),
      ),
    ),
  );
  const testOf = await preparePatterns(
    matchers.map(({ matcher }) => matcher),
    MAX_DOCUMENT_SIZE,
  );
  for (const { path, matcher } of matchers) {
    try {
      compileMatchers([matcher], testOf);
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      throw invalidField("body", path, error.message);
    }
  }
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
