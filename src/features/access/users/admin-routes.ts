import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { hasTokenScope } from "../../../http/access.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { pageOf } from "../../../http/replies.ts";
import { Reply, type Route, route } from "../../../http/route.ts";
import { granterOf } from "../accounts/role-grants.ts";
import { UserView } from "../accounts/user-view.ts";
import { userOf } from "../caller-of.ts";
import { ApproveBody, CreateBody, ListQuery, PatchBody, PendingQuery, RejectBody } from "./schema.ts";
import { type UserAdminParts, UserService } from "./service.ts";

const params = v.object({ id: v.string() });
const TAKEN = ["EMAIL_TAKEN", "USERNAME_TAKEN", "PHONE_TAKEN", "ID_CONFLICT"] as const;
const RIGHTS = ["ROLE_NOT_FOUND", "PRIVILEGE_ESCALATION"] as const;

/** What administrators do with accounts (contract 4.5). */
export function adminRoutes(parts: UserAdminParts): Route[] {
  const service = new UserService(parts);
  const { userLifecycle } = parts;
  const managing = { tag: "Users", access: { permission: "users:manage" } } as const;
  const approving = { tag: "Users", access: { permission: "users:approve" } } as const;
  return [
    route({
      method: "GET",
      path: "/api/v1/users",
      summary: "Users, newest first",
      tag: "Users",
      access: { permission: "users:read" },
      query: ListQuery,
      response: pageOf(UserView),
      errors: ["INVALID_CURSOR"],
      handle: (exchange, { query }) => service.list(query, query, userOf(exchange)),
    }),
    route({
      ...approving,
      method: "GET",
      path: "/api/v1/users/pending",
      summary: "Accounts that wait for approval",
      query: PendingQuery,
      response: pageOf(UserView),
      errors: ["INVALID_CURSOR"],
      handle: (exchange, { query }) => service.list({ status: "pending" }, query, userOf(exchange)),
    }),
    route({
      ...managing,
      method: "POST",
      path: "/api/v1/users",
      summary: "Make an account; without a password its owner is invited to choose one",
      body: CreateBody,
      status: 201,
      response: v.object({ ...UserView.entries, inviteUrl: v.optional(v.string()) }),
      errors: [...TAKEN, ...RIGHTS, "INVALID_TIMEZONE", "WEAK_PASSWORD", "OVERLOADED"],
      handle: (exchange, { body }) => service.create(body, userOf(exchange)),
    }),
    route({
      method: "GET",
      path: "/api/v1/users/:id",
      summary: "One user: oneself, or with users:read anybody",
      tag: "Users",
      access: { tokenScopes: ["account:own", "users:read"] },
      params,
      response: UserView,
      errors: ["USER_NOT_FOUND"],
      handle(exchange, { params: { id } }) {
        const viewer = userOf(exchange);
        const isOwn = id === viewer.userId && hasTokenScope(viewer, ["account:own"]);
        if (!isOwn && !viewer.permissions.has("users:read")) throw noSuchUser();
        return service.view(known(id), viewer);
      },
    }),
    route({
      ...managing,
      method: "PATCH",
      path: "/api/v1/users/:id",
      summary: "Change an account; disabling it ends its sessions and tokens at once",
      params,
      body: PatchBody,
      response: UserView,
      errors: ["USER_NOT_FOUND", ...TAKEN, ...RIGHTS, "INVALID_TIMEZONE", "INVALID_STATE", "LAST_ADMIN"],
      async handle(exchange, { params: { id }, body }) {
        await userLifecycle.update(known(id), body, granter(exchange));
        return service.view(id, userOf(exchange));
      },
    }),
    route({
      ...managing,
      method: "DELETE",
      path: "/api/v1/users/:id",
      summary: "Remove an account; what it did stays readable",
      params,
      status: 204,
      errors: ["USER_NOT_FOUND", "LAST_ADMIN", "PRIVILEGE_ESCALATION"],
      async handle(exchange, { params: { id } }) {
        await userLifecycle.remove(known(id), granter(exchange));
        return new Reply(204);
      },
    }),
    route({
      ...approving,
      method: "POST",
      path: "/api/v1/users/:id/approve",
      summary: "Let a pending account in, with roles",
      params,
      body: ApproveBody,
      response: UserView,
      errors: ["USER_NOT_FOUND", "INVALID_STATE", ...RIGHTS],
      async handle(exchange, { params: { id }, body }) {
        await userLifecycle.approve(known(id), body.roles ?? ["User"], granter(exchange));
        return service.view(id, userOf(exchange));
      },
    }),
    route({
      ...approving,
      method: "POST",
      path: "/api/v1/users/:id/reject",
      summary: "Turn a pending account down; the audit trail says whether a reason was given, not which",
      params,
      body: RejectBody,
      response: UserView,
      errors: ["USER_NOT_FOUND", "INVALID_STATE", "PRIVILEGE_ESCALATION"],
      async handle(exchange, { params: { id }, body }) {
        await userLifecycle.reject(known(id), Boolean(body.reason), granter(exchange));
        return service.view(id, userOf(exchange));
      },
    }),
  ];
}

function granter(exchange: Exchange) {
  return granterOf(userOf(exchange));
}

/** @throws USER_NOT_FOUND for what no user is called */
function known(id: string): string {
  if (!isUuid(id)) throw noSuchUser();
  return id;
}

function noSuchUser(): PrismError {
  return new PrismError("USER_NOT_FOUND", "No such user");
}
