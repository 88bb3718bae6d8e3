import * as v from "valibot";
import { type Route, route } from "../../../http/route.ts";
import { object } from "../../../http/shapes.ts";
import { userOf } from "../caller-of.ts";
import type { Invitations } from "./invitations.ts";
import * as s from "./schema.ts";

const OF_PROJECT = "/api/v1/projects/:id/invitations";
const OWN = "/api/v1/users/me/invitations";
const managing = { tag: "Projects", access: { tokenScopes: ["projects:create"] } } as const;
const own = { tag: "Users", access: { tokenScopes: ["account:own"] } } as const;

/** Invitations to projects: what owners see of them, and what invited people do with them. */
export function invitationRoutes(invitations: Invitations): Route[] {
  return [
    route({
      ...managing,
      method: "GET",
      path: OF_PROJECT,
      summary: "The invitations to a project that are open (owner)",
      params: s.ProjectParams,
      response: v.object({ data: v.array(s.InvitationView) }),
      errors: ["PROJECT_NOT_FOUND"],
      handle: (exchange, { params }) => invitations.list(userOf(exchange), params.id),
    }),
    route({
      ...managing,
      method: "DELETE",
      path: `${OF_PROJECT}/:invitationId`,
      summary: "Revoke an invitation (owner): its link opens nothing any more",
      params: s.InvitationParams,
      status: 204,
      errors: ["PROJECT_NOT_FOUND", "INVITATION_NOT_FOUND"],
      handle: (exchange, { params }) => invitations.revoke(userOf(exchange), params.id, params.invitationId),
    }),
    route({
      ...own,
      method: "GET",
      path: OWN,
      summary: "The invitations to projects that are open to the caller's mail address",
      response: v.object({ data: v.array(s.InvitedView) }),
      handle: (exchange) => invitations.own(userOf(exchange)),
    }),
    route({
      ...own,
      method: "POST",
      path: OWN,
      summary: "Accept an invitation with the token of its link",
      body: object({ token: s.invitationToken }),
      response: s.InvitedView,
      errors: ["LINK_EXPIRED"],
      handle: (exchange, { body }) => invitations.acceptLink(userOf(exchange), body.token),
    }),
    route({
      ...own,
      method: "POST",
      path: `${OWN}/:invitationId/accept`,
      summary: "Accept an invitation to the caller's mail address",
      params: s.OwnInvitationParams,
      response: s.InvitedView,
      errors: ["INVITATION_NOT_FOUND"],
      handle: (exchange, { params }) => invitations.accept(userOf(exchange), params.invitationId),
    }),
    route({
      ...own,
      method: "DELETE",
      path: `${OWN}/:invitationId`,
      summary: "Decline an invitation to the caller's mail address",
      params: s.OwnInvitationParams,
      status: 204,
      errors: ["INVITATION_NOT_FOUND"],
      handle: (exchange, { params }) => invitations.decline(userOf(exchange), params.invitationId),
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
      handle: (_exchange, { body }) => invitations.ofLink(body.token),
    }),
  ];
}
