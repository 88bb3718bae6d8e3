import { type ConfigKind, changedMembers, configKind } from "../../../module/config-kind.ts";
import { type NewRole, newRole, type RolesContext, roles } from "./manage.ts";
import { Role, roleView } from "./role.ts";

/** Roles of the server that people made. */
export function rolesKind(context: RolesContext): ConfigKind {
  return configKind<NewRole>({
    ...{ kind: "roles", noun: "role", resourceType: "role", scope: "server", after: [] },
    rights: { read: "roles:read", write: "roles:manage" },
    entries: () => Role.forCreate,
    defaults: Role.defaults,
    async list(db) {
      const rows = await db.selectFrom("roles").selectAll().where("builtin", "=", 0).orderBy("name").execute();
      return rows.map((row) => {
        const { id, name, description, permissions, version } = roleView(row);
        return { id, name, version, spec: { name, description, permissions } };
      });
    },
    async create(trx, { caller }, id, spec) {
      await roles.insert(context, trx, caller, newRole(caller, { ...spec, id }));
      return undefined;
    },
    async update(trx, { caller }, stored, spec) {
      const row = await Role.require(trx, stored.id, "ROLE_NOT_FOUND", "role");
      await roles.change(context, trx, row, changedMembers(spec, stored), caller);
      return undefined;
    },
    async remove(trx, { caller }, { id }) {
      await roles.remove(context, trx, await Role.require(trx, id, "ROLE_NOT_FOUND", "role"), caller, {});
    },
  });
}
