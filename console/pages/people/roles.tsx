import { Check } from "lucide";
import type { Role } from "../../../src/client/api-types.gen.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { ManagedBadge } from "../../app/managed.tsx";
import { invalidate, useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Card, Icon, Loaded, Menu, NewButton, openDialog, Page, plural, UserText } from "../../ui/index.ts";
import { PeopleTabs } from "./people-tabs.tsx";
import { RoleDialog } from "./role-dialog.tsx";
import "./roles.css";

interface Permission {
  readonly name: string;
  readonly description: string;
}

interface Matrix {
  readonly roles: readonly Role[];
  readonly permissions: readonly Permission[];
}

/** Which role has which permission. */
export default function Roles() {
  const roles = useGet<{ data: readonly Role[] }>("/roles");
  const permissions = useGet<{ data: readonly Permission[] }>("/permissions");
  const known = roles.data?.data;
  const all = permissions.data?.data;
  const query = {
    data: known && all ? { roles: known, permissions: all } : undefined,
    error: roles.error ?? permissions.error,
    loading: roles.loading || permissions.loading,
    reload: () => {
      roles.reload();
      permissions.reload();
    },
  };
  const add = <NewButton onClick={() => openDialog(<RoleDialog permissions={all ?? []} />)}>New role</NewButton>;
  return (
    <Page
      title="Roles"
      subtitle={
        known
          ? `${plural(known.length, "role")}. A person may hold several; their permissions add up.`
          : "What each role may do."
      }
      actions={can("roles:manage") ? add : undefined}
      tabs={<PeopleTabs value="roles" />}
      width="wide"
    >
      <Loaded query={query}>{(data) => <RoleMatrix {...data} />}</Loaded>
    </Page>
  );
}

function RoleMatrix({ roles, permissions }: Matrix) {
  const groups = groupsOf(permissions);
  return (
    <Card flush>
      <section class="matrix" aria-label="Permissions by role" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Permission</th>
              {roles.map((role) => (
                <th key={role.id} scope="col">
                  <span class="inline nowrap">
                    <UserText>{role.name}</UserText>
                    <RoleMenu role={role} permissions={permissions} />
                  </span>
                  <ManagedBadge kind="roles" id={role.id} />
                </th>
              ))}
            </tr>
          </thead>
          {groups.map((rows) => (
            <tbody key={rows[0]?.name}>
              {rows.map((permission) => (
                <PermissionRow key={permission.name} permission={permission} roles={roles} />
              ))}
            </tbody>
          ))}
        </table>
      </section>
    </Card>
  );
}

/** Permissions of one resource follow each other. */
function groupsOf(permissions: readonly Permission[]): readonly Permission[][] {
  const groups: Permission[][] = [];
  for (const permission of permissions) {
    const resource = permission.name.split(":")[0];
    const last = groups.at(-1);
    if (last?.[0]?.name.startsWith(`${resource}:`)) last.push(permission);
    else groups.push([permission]);
  }
  return groups;
}

function PermissionRow({ permission, roles }: { readonly permission: Permission; readonly roles: readonly Role[] }) {
  return (
    <tr>
      <th scope="row">
        <code class="mono">{permission.name}</code>
        <span class="muted small">{permission.description}</span>
      </th>
      {roles.map((role) => {
        const isGranted = role.permissions.includes(permission.name);
        return (
          <td key={role.id}>
            {isGranted ? <Icon node={Check} label="granted" /> : <span class="sr-only">not granted</span>}
          </td>
        );
      })}
    </tr>
  );
}

function RoleMenu({ role, permissions }: Pick<Matrix, "permissions"> & { readonly role: Role }) {
  if (!can("roles:manage") || role.name === "Admin") return null;
  const remove = async () => {
    const text = "People who hold it lose its permissions at once. A role that a rule notifies cannot be deleted.";
    await confirmDelete(
      `/roles/${role.id}`,
      { title: `Delete the role ${role.name}?`, text, done: `The role ${role.name} is deleted.` },
      () => invalidate("/roles", "/users"),
    );
  };
  const items = [{ label: "Edit", onSelect: () => openDialog(<RoleDialog known={role} permissions={permissions} />) }];
  return (
    <Menu
      label={`Change the role ${role.name}`}
      small
      items={role.builtin ? items : [...items, { label: "Delete", onSelect: remove, danger: true }]}
    />
  );
}
