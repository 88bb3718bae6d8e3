import * as v from "valibot";
import { BUILT_IN_ROLES, PERMISSION_TEXTS, PERMISSIONS } from "../../../core/permissions.ts";
import { doc, named } from "../../../http/api/shapes.ts";
import { feature } from "../../../module/feature.ts";
import { roles } from "./manage.ts";

/** Bundles of permissions that users are given. */
export const rolesFeature = feature("roles", {
  needs: ["accounts", "projects"],
  findings: {
    shownTo: async ({ settings, db }) =>
      (await import("../group-rights/findings.ts")).signInFindings(settings.current, db.scan),
  },
  configKinds: async (context) => [(await import("./config-kind.ts")).rolesKind(context)],
  register(server, context) {
    for (const each of roles.routes(context)) server.route(each);
    server.route({
      method: "GET",
      path: "/api/v1/permissions",
      id: "listPermissions",
      summary: "List the permissions that roles can hold, with what each allows",
      tag: "Roles",
      access: { permission: "roles:read" },
      returns: "The permissions",
      response: v.object({ data: v.array(PermissionView) }),
      handle: () => ({ data: permissionViews() }),
    });
  },
});

const PermissionView = named(
  "Permission",
  "A permission that roles can hold",
  v.object({
    name: v.picklist(PERMISSIONS),
    description: v.string(),
    builtInRoles: doc(v.array(v.string()), "Built-in roles that hold it at first; all but Admin may be changed"),
  }),
);

function permissionViews() {
  const roles = Object.entries(BUILT_IN_ROLES);
  return PERMISSIONS.map((name) => ({
    name,
    description: PERMISSION_TEXTS[name],
    builtInRoles: roles.filter(([, held]) => held.includes(name)).map(([role]) => role),
  }));
}
