import * as v from "valibot";
import { PROJECT_SCOPES } from "../../../core/permissions.ts";
import { within } from "../../../core/promises.ts";
import { callerOf, holderOf, userOf } from "../../../http/access.ts";
import { stateOf } from "../../../http/negotiation.ts";
import { NO_CONTENT, Reply, type Route, route, versioned } from "../../../http/route.ts";
import { pageOf } from "../../../http/shapes.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { openAccess } from "../open.ts";
import { linksIdle } from "../sessions/account-links.ts";
import {
  acceptInvitationLink,
  acceptOwnInvitation,
  declineInvitation,
  invitationOfLink,
  inviteLimiter,
  listInvitations,
  ownInvitations,
  revokeInvitation,
} from "./invitations.ts";
import { ApiKey } from "./keys.ts";
import { lostRights } from "./leftovers.ts";
import { addMember, changeMember, membersPage, removeMember } from "./members.ts";
import { Project } from "./project.ts";
import * as s from "./schema.ts";
import type { ProjectsContext } from "./service.ts";
import {
  createProject,
  createProjectKey,
  deleteProject,
  getProject,
  projectKeys,
  projectsPage,
  revokeProjectKey,
  rotateProjectKey,
  updateProject,
} from "./service.ts";

const tag = "Projects";
const PATH = "/api/v1/projects";

/** How long requested account links may delay a stop; users can request them again. */
const LINK_LIMIT_MS = 5000;

/** Projects, their members and keys, and the removal of their events. */
export const projectsFeature = feature("projects", {
  needs: ["runner", "jobs"],
  uses: ["enqueueMail", "tickets", "deletions"],
  open: openAccess,
  effects: ({ projects, principals, reads }) => ({
    "rights-changed"(change) {
      principals.forget(change);
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
      const { version, body } = await getProject(context, callerOf(exchange), params.id);
      const { role, eventCount, lastEventAt, keys, work, storage } = body;
      return versioned(version, body, { state: stateOf([role, eventCount, lastEventAt, keys, work, storage]) });
    },
  });
  server.route({
    method: "PATCH",
    path: `${PATH}/:id`,
    id: "updateProject",
    summary: "Rename a project or update its settings (owner); null removes a setting",
    ...managing,
    params: s.ProjectParams,
    body: s.UpdateProject,
    response: () => Project.View,
    errors: ["PROJECT_NOT_FOUND", "VERSION_CONFLICT"],
    async handle(exchange, { params, body }) {
      const updated = await updateProject(context, holderOf(exchange), params.id, exchange.header("if-match"), body);
      return versioned(updated.version, updated.body);
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
  server.route({
    method: "GET",
    path: `${PATH}/:id/members`,
    id: "listProjectMembers",
    summary: "List the members of a project",
    ...reading,
    params: s.ProjectParams,
    query: s.ListMembers,
    response: pageOf(s.MemberView),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { params, query }) => membersPage(context, holderOf(exchange), params.id, query),
  });
  server.route({
    method: "POST",
    path: `${PATH}/:id/members`,
    id: "addProjectMember",
    summary: "Invite an email address (202), add a user by id (201, needs users:read), or change a role (owner)",
    returns: "The member, or the invitation (202)",
    ...managing,
    params: s.ProjectParams,
    body: s.AddMember,
    status: 201,
    otherStatuses: [202],
    response: v.union([s.ChangedMemberView, s.InvitationView]),
    errors: ["PROJECT_NOT_FOUND", "USER_NOT_FOUND", "LAST_ADMIN", "LIMIT_REACHED"],
    async handle(exchange, { params, body }) {
      const made = await addMember(context, holderOf(exchange), params.id, body);
      return new Reply("expiresAt" in made ? 202 : 201, made);
    },
  });
  server.route({
    method: "PATCH",
    path: `${PATH}/:id/members/:userId`,
    id: "updateProjectMember",
    summary: "Change the role of a member (owner)",
    details:
      "API keys that the member made lose the scopes to which the member lost the right, and end without one. The answer " +
      "names them, and secrets in URLs that the person knows.",
    ...managing,
    params: s.MemberParams,
    body: s.ChangeMember,
    response: s.ChangedMemberView,
    errors: ["PROJECT_NOT_FOUND", "USER_NOT_FOUND", "LAST_ADMIN"],
    handle: (exchange, { params, body }) => changeMember(context, holderOf(exchange), params.id, params.userId, body),
  });
  server.route({
    method: "DELETE",
    path: `${PATH}/:id/members/:userId`,
    id: "removeProjectMember",
    summary: "Remove a member (owner), or leave the project with `me`; the API keys of the member are revoked",
    details: "204 when nothing ended and the person knows no secret of the project.",
    returns: "What ended, what was handed over, and what to rotate; 204 for nothing",
    ...managing,
    params: s.MemberParams,
    query: s.RemoveMember,
    otherStatuses: [204],
    response: s.LeftoversView,
    errors: ["PROJECT_NOT_FOUND", "USER_NOT_FOUND", "LAST_ADMIN"],
    async handle(exchange, { params, query }) {
      const { id, userId } = params;
      const left = await removeMember(context, holderOf(exchange), id, userId, query.keepKeys === true);
      return left ?? NO_CONTENT;
    },
  });
  server.route({
    method: "GET",
    path: "/api/v1/members/lost-rights",
    id: "listLostRights",
    summary: "List members whose server roles gave them more in a project before only the role of a member counted",
    details: "Of the projects that the caller manages. Setting the role of a member removes the member from the list.",
    returns: "The members, with the rights that they lost and the least role that has them",
    ...managing,
    response: v.object({ data: v.array(s.LostRightsView) }),
    handle: (exchange) => lostRights(context, holderOf(exchange)),
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id/keys`,
    id: "listApiKeys",
    summary: "List the API keys of a project, without their secrets (editor)",
    returns: "The API keys",
    ...managing,
    params: s.ProjectParams,
    response: () => v.object({ data: v.array(ApiKey.View) }),
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { params }) => projectKeys(context, holderOf(exchange), params.id),
  });
  server.route({
    method: "POST",
    path: `${PATH}/:id/keys`,
    id: "createApiKey",
    summary: "Create an API key (owner); a service token grants only scopes that it has",
    ...managing,
    params: s.ProjectParams,
    body: s.CreateKey,
    status: 201,
    response: s.IssuedKeyView,
    errors: ["PROJECT_NOT_FOUND", "PRIVILEGE_ESCALATION"],
    handle: (exchange, { params, body }) => createProjectKey(context, holderOf(exchange), params.id, body),
  });
  server.route({
    method: "POST",
    path: `${PATH}/:id/keys/:keyId/rotate`,
    id: "rotateApiKey",
    summary: "Replace an API key; the old one works until the grace period ends (owner)",
    ...managing,
    params: s.KeyParams,
    body: s.RotateKey,
    status: 201,
    response: s.IssuedKeyView,
    errors: ["PROJECT_NOT_FOUND", "API_KEY_NOT_FOUND", "PRIVILEGE_ESCALATION"],
    handle: (exchange, { params, body }) =>
      rotateProjectKey(context, holderOf(exchange), params.id, params.keyId, body.graceMs ?? 0),
  });
  server.route({
    method: "DELETE",
    path: `${PATH}/:id/keys/:keyId`,
    id: "revokeApiKey",
    summary: "Revoke an API key (owner); the next request with it is refused",
    ...managing,
    params: s.KeyParams,
    errors: ["PROJECT_NOT_FOUND", "API_KEY_NOT_FOUND"],
    handle: (exchange, { params }) => revokeProjectKey(context, holderOf(exchange), params.id, params.keyId),
  });
}

const OF_PROJECT = "/api/v1/projects/:id/invitations";
const OWN = "/api/v1/users/me/invitations";
const reading = { tag: "Projects", access: { tokenScopes: PROJECT_SCOPES } } as const;
const managing = { tag: "Projects", access: { tokenScopes: ["projects:create"] } } as const;
const own = { tag: "Users", access: { tokenScopes: ["account:own"] } } as const;

/** Invitations to projects: what owners see of them, and what invited people do with them. */
function invitationRoutes(context: ProjectsContext): Route[] {
  return [
    route({
      ...managing,
      method: "GET",
      path: OF_PROJECT,
      id: "listProjectInvitations",
      summary: "List the open invitations to a project (owner)",
      returns: "The open invitations",
      params: s.ProjectParams,
      response: v.object({ data: v.array(s.InvitationView) }),
      errors: ["PROJECT_NOT_FOUND"],
      handle: (exchange, { params }) => listInvitations(context, holderOf(exchange), params.id),
    }),
    route({
      ...managing,
      method: "DELETE",
      path: `${OF_PROJECT}/:invitationId`,
      id: "revokeProjectInvitation",
      summary: "Revoke an invitation to a project (owner)",
      params: s.InvitationParams,
      status: 204,
      errors: ["PROJECT_NOT_FOUND", "INVITATION_NOT_FOUND"],
      handle: (exchange, { params }) => revokeInvitation(context, holderOf(exchange), params.id, params.invitationId),
    }),
    route({
      ...own,
      method: "GET",
      path: OWN,
      id: "listMyInvitations",
      summary: "List the open project invitations to the caller's email address",
      returns: "The open invitations",
      response: v.object({ data: v.array(s.InvitedView) }),
      handle: (exchange) => ownInvitations(context, userOf(exchange)),
    }),
    route({
      ...own,
      method: "POST",
      path: OWN,
      id: "acceptInvitationByToken",
      summary: "Accept a project invitation with the token of its link",
      body: s.InvitationToken,
      response: s.InvitedView,
      errors: ["LINK_EXPIRED"],
      handle: (exchange, { body }) => acceptInvitationLink(context, userOf(exchange), body.token),
    }),
    route({
      ...own,
      method: "POST",
      path: `${OWN}/:invitationId/accept`,
      id: "acceptInvitation",
      summary: "Accept a project invitation to the caller's email address",
      params: s.OwnInvitationParams,
      response: s.InvitedView,
      errors: ["INVITATION_NOT_FOUND"],
      handle: (exchange, { params }) => acceptOwnInvitation(context, userOf(exchange), params.invitationId),
    }),
    route({
      ...own,
      method: "DELETE",
      path: `${OWN}/:invitationId`,
      id: "declineInvitation",
      summary: "Decline a project invitation to the caller's email address",
      params: s.OwnInvitationParams,
      status: 204,
      errors: ["INVITATION_NOT_FOUND"],
      handle: (exchange, { params }) => declineInvitation(context, userOf(exchange), params.invitationId),
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/project-invitation",
      id: "getInvitationByToken",
      summary: "Get the invitation of a mailed link: project, role, inviter and registration policy",
      returns: "The invitation",
      tag: "Authentication",
      access: "public",
      body: s.InvitationToken,
      response: v.object({
        ...s.InvitedView.entries,
        email: v.string(),
        registration: v.picklist(["approval", "open", "closed"]),
      }),
      errors: ["LINK_EXPIRED"],
      handle: (_exchange, { body }) => invitationOfLink(context, body.token),
    }),
  ];
}
