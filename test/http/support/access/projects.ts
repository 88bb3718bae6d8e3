import { createInvitation } from "../../../../src/features/access/projects/invitations.ts";
import type { Known } from "./known.ts";
import { join, leave, makeKey } from "./makers.ts";
import { anyUser, inShop, may, scoped } from "./refusals.ts";
import { at, inWorld, NO_ID, open, type Request, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const shop = ({ shop: id }: AccessWorld): string => `/api/v1/projects/${id}`;
const SEEING = [
  ...["projects:create", "projects:all", "events:read", "events:write", "events:delete"],
  ...["rules:read", "rules:write", "realtime:publish"],
];
const owners = scoped(["projects:create"], inShop({ from: "owner", hidden: "PROJECT_NOT_FOUND" }));
const members = scoped(SEEING, inShop({ from: "viewer", hidden: "PROJECT_NOT_FOUND" }));

const deleters = scoped(["events:delete"], inShop({ from: "owner", hidden: "PROJECT_NOT_FOUND" }));

/**
 * A project of its own, in which the caller is what it is in the shop: it will be gone afterwards.
 */
async function deleteProject({ prism, shop: id }: AccessWorld, who: Known, isServed: boolean): Promise<Request> {
  if (!isServed || who.kind !== "user") return { path: `/api/v1/projects/${id}` };
  const { body } = await prism.post<{ id: string }>("/api/v1/projects", { name: "short lived" });
  if (who.member) await join(prism, body.id, who.id, who.member);
  return { path: `/api/v1/projects/${body.id}` };
}

async function keyOfShop(world: AccessWorld, isServed: boolean): Promise<string> {
  return `${shop(world)}/keys/${isServed ? (await makeKey(world.prism, world.shop)).id : NO_ID}`;
}

const INVITATIONS = "/api/v1/users/me/invitations";

/** An invitation to the shop for an address that no caller has. */
function invite({ prism, shop: projectId, keeper }: AccessWorld): Promise<{ id: string }> {
  const { db } = prism.services;
  const invitation = { projectId, email: "bob@example.com", role: "viewer", invitedBy: keeper } as const;
  return db.write((trx) => createInvitation(prism.parts.base, invitation, trx));
}

/** Contract 4.6. */
export const PROJECTS: Table = {
  "GET /api/v1/projects": { refusal: scoped(SEEING, anyUser), request: at("/api/v1/projects") },
  // Admitted, then refused because the slug is taken: a caller who owned a project would have
  // permissions beyond its role.
  "POST /api/v1/projects": {
    refusal: may("projects:create"),
    request: at("/api/v1/projects", { name: "n", slug: "default" }),
    served: [409, "NAME_TAKEN"],
  },
  // Beyond the contract: a key with events:read may read its own project, which is how the command
  // line finds it.
  "GET /api/v1/projects/:id": {
    refusal: scoped(SEEING, inShop({ from: "viewer", hidden: "PROJECT_NOT_FOUND", scope: "events:read" })),
    request: inWorld(shop),
  },
  "PATCH /api/v1/projects/:id": { refusal: owners, request: inWorld(shop, { name: "shop" }) },
  "DELETE /api/v1/projects/:id": { refusal: owners, request: deleteProject },
  "DELETE /api/v1/projects/:id/events": [
    { refusal: deleters, request: inWorld((world) => `${shop(world)}/events?before=2001-01-01T00:00:00Z`) },
    {
      refusal: scoped(["events:delete"], may("events:delete")),
      request: at("/api/v1/projects/default/events?before=2001-01-01T00:00:00Z"),
    },
  ],
  "GET /api/v1/projects/:id/members": { refusal: members, request: inWorld((world) => `${shop(world)}/members`) },
  "POST /api/v1/projects/:id/members": [
    {
      // By id only for those who may read users; a member would only get another role.
      refusal: (who) => owners(who) ?? may("users:read")(who),
      async request(world) {
        await leave(world.prism, world.shop, world.spare);
        return { path: `${shop(world)}/members`, body: { userId: world.spare, role: "viewer" } };
      },
    },
    {
      refusal: owners,
      request: (world) => ({ path: `${shop(world)}/members`, body: { email: "ann@example.com", role: "viewer" } }),
    },
  ],
  "PATCH /api/v1/projects/:id/members/:userId": {
    refusal: owners,
    request: inWorld((world) => `${shop(world)}/members/${world.keeper}`, { role: "owner" }),
  },
  "DELETE /api/v1/projects/:id/members/:userId": {
    refusal: owners,
    async request(world) {
      await join(world.prism, world.shop, world.spare, "viewer");
      return { path: `${shop(world)}/members/${world.spare}` };
    },
  },
  "GET /api/v1/projects/:id/invitations": {
    refusal: owners,
    request: inWorld((world) => `${shop(world)}/invitations`),
  },
  "DELETE /api/v1/projects/:id/invitations/:invitationId": {
    refusal: owners,
    request: async (world, _who, isServed) => ({
      path: `${shop(world)}/invitations/${isServed ? (await invite(world)).id : NO_ID}`,
    }),
  },
  "GET /api/v1/users/me/invitations": { refusal: scoped(["account:own"]), request: at(INVITATIONS) },
  "POST /api/v1/users/me/invitations": {
    // Admitted, then refused because the link is invalid: a caller who became a member would have
    // more permissions.
    refusal: scoped(["account:own"]),
    request: at(INVITATIONS, { token: "t" }),
    served: [410, "LINK_EXPIRED"],
  },
  "POST /api/v1/users/me/invitations/:invitationId/accept": {
    refusal: scoped(["account:own"], (who) => anyUser(who) ?? [404, "INVITATION_NOT_FOUND"]),
    request: async (world) => ({ path: `${INVITATIONS}/${(await invite(world)).id}/accept` }),
  },
  "DELETE /api/v1/users/me/invitations/:invitationId": {
    refusal: scoped(["account:own"], (who) => anyUser(who) ?? [404, "INVITATION_NOT_FOUND"]),
    request: async (world) => ({ path: `${INVITATIONS}/${(await invite(world)).id}` }),
  },
  "POST /api/v1/auth/project-invitation": {
    ...open("/api/v1/auth/project-invitation"),
    served: [400, "VALIDATION_FAILED"],
  },
  "GET /api/v1/projects/:id/keys": {
    refusal: scoped(["projects:create"], inShop({ from: "editor", hidden: "PROJECT_NOT_FOUND" })),
    request: inWorld((world) => `${shop(world)}/keys`),
  },
  "POST /api/v1/projects/:id/keys": { refusal: owners, request: inWorld((world) => `${shop(world)}/keys`, {}) },
  "POST /api/v1/projects/:id/keys/:keyId/rotate": {
    refusal: owners,
    request: async (world, _who, isServed) => ({ path: `${await keyOfShop(world, isServed)}/rotate`, body: {} }),
  },
  "DELETE /api/v1/projects/:id/keys/:keyId": {
    refusal: owners,
    request: async (world, _who, isServed) => ({ path: await keyOfShop(world, isServed) }),
  },
};
