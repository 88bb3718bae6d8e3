import * as v from "valibot";
import { PROJECT_SCOPES } from "../../../core/permissions.ts";
import { callerOf, holderOf, userOf } from "../../../http/access.ts";
import { stateOf } from "../../../http/negotiation.ts";
import { Reply, type Route, route, versioned } from "../../../http/route.ts";
import { object, pageOf } from "../../../http/shapes.ts";
import type { Feature, FeatureServer } from "../../../module/feature.ts";
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
import { addMember, changeMember, membersPage, removeMember } from "./members.ts";
import * as s from "./schema.ts";
import type { ProjectsContext, ProjectsOwn } from "./service.ts";
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

/** Projects, their members and keys, and the removal of their events. */
export function projectsFeature(own: ProjectsOwn): Feature {
  return {
    name: "projects",
    version: "1.0.0",
    register: (server, { events, audit }) =>
      serve(server, { ...own, events, audit, inviteLimiter: inviteLimiter(own.clock) }),
  };
}

function serve(server: FeatureServer, context: ProjectsContext): void {
  for (const each of invitationRoutes(context)) server.route(each);

  server.route({
    method: "GET",
    path: PATH,
    aliases: ["/projects"],
    summary: "The projects you are a member of",
    ...reading,
    query: s.ListProjects,
    response: pageOf(s.ProjectView),
    errors: ["INVALID_CURSOR"],
    handle: (exchange, { query }) => projectsPage(context, holderOf(exchange), query),
  });
  server.route({
    method: "POST",
    path: PATH,
    aliases: ["/projects"],
    summary:
      "Make a project; you become its owner, and its first API key is in the answer. A service token gives the key no scope it lacks itself; one with neither events:write nor events:read makes no key",
    tag,
    access: { permission: "projects:create" },
    body: s.CreateProject,
    status: 201,
    response: s.CreatedProjectView,
    errors: ["NAME_TAKEN"],
    handle: (exchange, { body }) => createProject(context, holderOf(exchange), body),
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id`,
    aliases: ["/projects/:id"],
    summary: "A project by id or slug",
    tag,
    access: { keyScope: "events:read", tokenScopes: PROJECT_SCOPES },
    params: s.ProjectParams,
    response: s.ProjectDetail,
    errors: ["PROJECT_NOT_FOUND"],
    async handle(exchange, { params }) {
      const { version, body } = await getProject(context, callerOf(exchange), params.id);
      const { role, eventCount, lastEventAt, keys } = body;
      return versioned(version, body, { state: stateOf([role, eventCount, lastEventAt, keys]) });
    },
  });
  server.route({
    method: "PATCH",
    path: `${PATH}/:id`,
    summary: "Rename a project or change its settings (owner): settings that are missing stay, null removes one",
    ...managing,
    params: s.ProjectParams,
    body: s.UpdateProject,
    response: s.ProjectView,
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
    summary: "Delete a project with its events, keys and rules (owner)",
    ...managing,
    params: s.ProjectParams,
    errors: ["PROJECT_NOT_FOUND", "DEFAULT_PROJECT"],
    handle: (exchange, { params }) => deleteProject(context, holderOf(exchange), params.id),
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id/members`,
    summary: "The members of a project",
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
    summary:
      "Invite a mail address to the project (202), add a user by id at once (201, needs users:read), or change a member's role (owner)",
    ...managing,
    params: s.ProjectParams,
    body: s.AddMember,
    status: 201,
    otherStatuses: [202],
    response: v.union([s.MemberView, s.InvitationView]),
    errors: ["PROJECT_NOT_FOUND", "USER_NOT_FOUND", "LAST_ADMIN", "LIMIT_REACHED"],
    async handle(exchange, { params, body }) {
      const made = await addMember(context, holderOf(exchange), params.id, body);
      return new Reply("expiresAt" in made ? 202 : 201, made);
    },
  });
  server.route({
    method: "PATCH",
    path: `${PATH}/:id/members/:userId`,
    summary: "Change a member's role (owner)",
    ...managing,
    params: s.MemberParams,
    body: s.ChangeMember,
    response: s.MemberView,
    errors: ["PROJECT_NOT_FOUND", "USER_NOT_FOUND", "LAST_ADMIN"],
    handle: (exchange, { params, body }) =>
      changeMember(context, holderOf(exchange), params.id, params.userId, body.role),
  });
  server.route({
    method: "DELETE",
    path: `${PATH}/:id/members/:userId`,
    summary: "Remove a member (owner), or leave the project as me",
    ...managing,
    params: s.MemberParams,
    errors: ["PROJECT_NOT_FOUND", "USER_NOT_FOUND", "LAST_ADMIN"],
    handle: (exchange, { params }) => removeMember(context, holderOf(exchange), params.id, params.userId),
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id/keys`,
    summary: "A project's API keys, without their secrets (editor)",
    ...managing,
    params: s.ProjectParams,
    response: v.object({ data: v.array(s.KeyView) }),
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { params }) => projectKeys(context, holderOf(exchange), params.id),
  });
  server.route({
    method: "POST",
    path: `${PATH}/:id/keys`,
    summary: "Make an API key (owner); a service token gives only scopes that it has itself",
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
    summary: "A new key in place of an old one, which ends after the grace (owner)",
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
    summary: "Revoke an API key (owner): it is refused from the next request on",
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
      summary: "The invitations to a project that are open (owner)",
      params: s.ProjectParams,
      response: v.object({ data: v.array(s.InvitationView) }),
      errors: ["PROJECT_NOT_FOUND"],
      handle: (exchange, { params }) => listInvitations(context, holderOf(exchange), params.id),
    }),
    route({
      ...managing,
      method: "DELETE",
      path: `${OF_PROJECT}/:invitationId`,
      summary: "Revoke an invitation (owner): its link opens nothing any more",
      params: s.InvitationParams,
      status: 204,
      errors: ["PROJECT_NOT_FOUND", "INVITATION_NOT_FOUND"],
      handle: (exchange, { params }) => revokeInvitation(context, holderOf(exchange), params.id, params.invitationId),
    }),
    route({
      ...own,
      method: "GET",
      path: OWN,
      summary: "The invitations to projects that are open to the caller's mail address",
      response: v.object({ data: v.array(s.InvitedView) }),
      handle: (exchange) => ownInvitations(context, userOf(exchange)),
    }),
    route({
      ...own,
      method: "POST",
      path: OWN,
      summary: "Accept an invitation with the token of its link",
      body: object({ token: s.invitationToken }),
      response: s.InvitedView,
      errors: ["LINK_EXPIRED"],
      handle: (exchange, { body }) => acceptInvitationLink(context, userOf(exchange), body.token),
    }),
    route({
      ...own,
      method: "POST",
      path: `${OWN}/:invitationId/accept`,
      summary: "Accept an invitation to the caller's mail address",
      params: s.OwnInvitationParams,
      response: s.InvitedView,
      errors: ["INVITATION_NOT_FOUND"],
      handle: (exchange, { params }) => acceptOwnInvitation(context, userOf(exchange), params.invitationId),
    }),
    route({
      ...own,
      method: "DELETE",
      path: `${OWN}/:invitationId`,
      summary: "Decline an invitation to the caller's mail address",
      params: s.OwnInvitationParams,
      status: 204,
      errors: ["INVITATION_NOT_FOUND"],
      handle: (exchange, { params }) => declineInvitation(context, userOf(exchange), params.invitationId),
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/project-invitation",
      summary: "What the link of an invitation is about: project, role, inviter, and how accounts are made here",
      tag: "Authentication",
      access: "public",
      body: object({ token: s.invitationToken }),
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
