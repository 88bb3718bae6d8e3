import { PROJECT_SCOPES } from "../../../core/permissions.ts";
import { within } from "../../../core/promises.ts";
import { withVersion } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { stateOf } from "../../../http/body/negotiation.ts";
import { callerOf, holderOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { openAccess } from "../open.ts";
import { linksIdle } from "../sessions/account-links.ts";
import { invitationRoutes, inviteLimiter } from "./invitations.ts";
import { keyRoutes } from "./key-routes.ts";
import { memberRoutes } from "./members.ts";
import { Project } from "./project.ts";
import * as s from "./schema.ts";
import {
  createProject,
  deleteProject,
  getProject,
  type ProjectsContext,
  projectsPage,
  updateProject,
} from "./service.ts";

const tag = "Projects";
const reading = { tag, access: { tokenScopes: PROJECT_SCOPES } } as const;
const managing = { tag, access: { tokenScopes: ["projects:create"] } } as const;
const PATH = "/api/v1/projects";

/** How long requested account links may delay a stop; users can request them again. */
const LINK_LIMIT_MS = 5000;

/** Projects, their members and keys, and the removal of their events. */
export const projectsFeature = feature("projects", {
  needs: ["runner", "jobs"],
  uses: ["enqueueMail", "tickets", "deletions"],
  findings: { stored: () => import("../doctor.ts") },
  open: openAccess,
  effects: ({ projects, principals, reads, users }) => ({
    "rights-changed"(change) {
      principals.forget(change);
      users.forget(change);
      projects.forget(change);
      if (change.of === "all" || change.of === "role" || change.of === "project") reads.profiles.changedAll();
      else if (change.of !== "key") reads.profiles.changed(change.userId);
    },
    "alerts-changed": ({ alerts = [] }) => projects.storage.textsChanged(alerts.map(({ projectId }) => projectId)),
    "incidents-changed": ({ incidents }) => projects.storage.textsChanged(incidents.map(({ projectId }) => projectId)),
    "events-removed": ({ projectId, events }) => projects.storage.removed(projectId, events),
    "texts-changed": ({ projectIds }) => projects.storage.textsChanged(projectIds),
  }),
  load: ({ projects }) => projects.storage.load(),
  configKinds: async (context) => (await import("./config-kind.ts")).projectKinds(context),
  register: (server, context) => serve(server, { ...context, inviteLimiter: inviteLimiter(context.clock) }),
  prepare: ({ issuer }) => issuer?.start(),
  start({ usage, projects }) {
    usage.start();
    projects.storage.start();
  },
  async close({ usage, projects, accounts, issuer, readsOnly }, leftMs) {
    // What was begun at the last moment holds the end for as long as the disk takes.
    if (leftMs() > 0 && !readsOnly) await Promise.all([usage.stop(), projects.storage.stop()]);
    await within(Math.min(LINK_LIMIT_MS, leftMs()), linksIdle(accounts));
    await accounts.passwords.close();
    issuer?.stop();
  },
});

function serve(server: FeatureServer, context: ProjectsContext): void {
  for (const each of invitationRoutes(context)) server.route(each);

  server.route({
    method: "GET",
    path: PATH,
    aliases: ["/projects"],
    id: "listProjects",
    summary: "List the projects that the caller is a member of",
    ...reading,
    query: s.ListProjects,
    response: () => pageOf(Project.View),
    errors: ["INVALID_CURSOR"],
    handle: (exchange, { query }) => projectsPage(context, holderOf(exchange), query),
  });
  server.route({
    method: "POST",
    path: PATH,
    aliases: ["/projects"],
    id: "createProject",
    summary: "Create a project with its first API key; the caller becomes the owner",
    details:
      "A service token grants the key no scope that it lacks; with neither `events:write` nor `events:read` " +
      "no key is created.",
    tag,
    access: { permission: "projects:create" },
    body: s.CreateProject,
    status: 201,
    response: s.CreatedProjectView,
    errors: ["NAME_TAKEN", "LIMIT_REACHED"],
    handle: (exchange, { body }) => createProject(context, holderOf(exchange), body),
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id`,
    aliases: ["/projects/:id"],
    id: "getProject",
    summary: "Get a project by id or slug",
    tag,
    access: { keyScope: "events:read", tokenScopes: PROJECT_SCOPES },
    params: s.ProjectParams,
    response: s.ProjectDetail,
    errors: ["PROJECT_NOT_FOUND"],
    async handle(exchange, { params }) {
      const project = await getProject(context, callerOf(exchange), params.id);
      const { role, eventCount, lastEventAt, keys, work, storage } = project;
      return withVersion(project, { state: stateOf([role, eventCount, lastEventAt, keys, work, storage]) });
    },
  });
  server.route({
    method: "PATCH",
    path: `${PATH}/:id`,
    id: "updateProject",
    summary: "Rename a project or update its settings (owner); null removes a setting",
    ...managing,
    params: s.ProjectParams,
    query: s.UpdateProjectQuery,
    body: s.UpdateProject,
    response: s.ChangedProjectView,
    errors: ["PROJECT_NOT_FOUND", "VERSION_CONFLICT", "INCIDENTS_OPEN"],
    async handle(exchange, { params, query: { mayPage = false }, body }) {
      const ifMatch = exchange.header("if-match");
      const change = { ...body, mayPage };
      return withVersion(await updateProject(context, holderOf(exchange), params.id, ifMatch, change));
    },
  });
  server.route({
    method: "DELETE",
    path: `${PATH}/:id`,
    aliases: ["/projects/:id"],
    id: "deleteProject",
    summary: "Delete a project with its events, keys and rules (owner)",
    ...managing,
    params: s.ProjectParams,
    errors: ["PROJECT_NOT_FOUND", "DEFAULT_PROJECT"],
    handle: (exchange, { params }) => deleteProject(context, holderOf(exchange), params.id),
  });
  for (const each of [...memberRoutes(context), ...keyRoutes(context)]) server.route(each);
}
