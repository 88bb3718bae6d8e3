import * as v from "valibot";
import { toRfc3339 } from "../../../core/clock.ts";
import { isUuid } from "../../../core/ids.ts";
import { shownPermissions } from "../../../core/permissions.ts";
import { sha256Hex } from "../../../core/tokens.ts";
import { named } from "../../../http/named-schemas.ts";
import { Reply, route, versioned } from "../../../http/route.ts";
import { object, text } from "../../../http/shapes.ts";
import type { Feature, FeatureServer } from "../../../module/feature.ts";
import { granterOf } from "../accounts/role-grants.ts";
import { userOf } from "../caller-of.ts";
import type { RolesContext, RolesOwn } from "./service.ts";
import { RoleService } from "./service.ts";

const roleName = v.pipe(
  text(100, 1),
  v.check(
    (name) => name.trim() === name && !/[\n\t]/.test(name),
    "must be one line that neither begins nor ends with a space",
  ),
  // Rules name roles by name or id.
  v.check((name) => !isUuid(name), "must not be a UUID"),
);
const permissions = v.pipe(
  v.array(
    v.pipe(text(100, 1), v.description("A permission of Prism, or a name of another program that grants nothing here")),
  ),
  v.maxLength(128, "must be at most 128 permissions"),
);
const CreateBody = object({ name: roleName, permissions, description: v.optional(text(2000)) });
const UpdateBody = object({
  name: v.optional(roleName),
  permissions: v.optional(permissions),
  description: v.optional(text(2000)),
});

const RoleView = named(
  "Role",
  v.object({
    id: v.string(),
    name: v.string(),
    description: v.string(),
    permissions: v.array(v.string()),
    builtin: v.boolean(),
    version: v.number(),
    createdAt: v.string(),
    updatedAt: v.string(),
  }),
);

const params = v.object({ id: v.string() });
/** In the query: the body of a DELETE has no meaning (RFC 9110 section 9.3.5). */
const Reassign = object({
  reassignTo: v.optional(v.pipe(v.string(), v.maxLength(64), v.description("Id of the role to hold instead"))),
});

/** Bundles of permissions that users are given (contract 4.3, 4.5). */
export function rolesFeature(own: RolesOwn): Feature {
  return { name: "roles", version: "1.0.0", register: (server, { audit }) => serve(server, { ...own, audit }) };
}

function serve(server: FeatureServer, context: RolesContext): void {
  const service = new RoleService(context);
  const reads = { tag: "Roles", access: { permission: "roles:read" } } as const;
  const writes = { tag: "Roles", access: { permission: "roles:manage" } } as const;

  server.route(
    route({
      ...reads,
      method: "GET",
      path: "/api/v1/roles",
      summary: "All roles",
      tagged: true,
      response: v.object({ data: v.array(RoleView) }),
      async handle() {
        const data = (await service.list()).map(roleView);
        const tag = sha256Hex(data.map(({ id, version }) => `${id}:${version}`).join());
        return new Reply(200, { data }, { ETag: `"${tag.slice(0, 32)}"`, "Cache-Control": "private, no-cache" });
      },
    }),
  );
  server.route(
    route({
      ...reads,
      method: "GET",
      path: "/api/v1/roles/:id",
      summary: "One role",
      params,
      response: RoleView,
      errors: ["ROLE_NOT_FOUND"],
      async handle(_exchange, { params: { id } }) {
        const role = await service.get(id);
        return versioned(role.version, roleView(role));
      },
    }),
  );
  server.route(
    route({
      ...writes,
      method: "POST",
      path: "/api/v1/roles",
      summary: "Make a role out of permissions that the caller holds",
      body: CreateBody,
      status: 201,
      response: RoleView,
      errors: ["NAME_TAKEN", "PRIVILEGE_ESCALATION"],
      async handle(exchange, { body }) {
        const role = await service.create(body, granterOf(userOf(exchange)));
        return versioned(role.version, roleView(role), { status: 201 });
      },
    }),
  );
  server.route(
    route({
      ...writes,
      method: "PUT",
      path: "/api/v1/roles/:id",
      summary: "Change a role; it counts at once for all who hold it",
      params,
      body: UpdateBody,
      response: RoleView,
      errors: ["ROLE_NOT_FOUND", "ROLE_BUILTIN", "NAME_TAKEN", "PRIVILEGE_ESCALATION", "VERSION_CONFLICT"],
      async handle(exchange, { params: { id }, body }) {
        const role = await service.update(id, body, exchange.header("if-match"), granterOf(userOf(exchange)));
        return versioned(role.version, roleView(role));
      },
    }),
  );
  server.route(
    route({
      ...writes,
      method: "DELETE",
      path: "/api/v1/roles/:id",
      summary: "Remove a role; those who hold it can be given another one, and no rule may name it",
      params,
      query: Reassign,
      status: 204,
      errors: ["ROLE_NOT_FOUND", "ROLE_BUILTIN", "ROLE_IN_USE", "PRIVILEGE_ESCALATION"],
      async handle(exchange, { params: { id }, query: { reassignTo } }) {
        await service.remove(id, reassignTo, granterOf(userOf(exchange)));
        return new Reply(204);
      },
    }),
  );
}

type Row = Awaited<ReturnType<RoleService["get"]>>;

function roleView(role: Row) {
  return {
    id: role.id,
    name: role.name,
    description: role.description,
    permissions: shownPermissions(JSON.parse(role.permissions) as string[]),
    builtin: role.builtin === 1,
    version: role.version,
    createdAt: toRfc3339(role.createdAt),
    updatedAt: toRfc3339(role.updatedAt),
  };
}
