import type { CreateRole, Role } from "../../../src/client/api-types.gen.ts";
import { Managed } from "../../app/managed.tsx";
import { invalidate } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Fields } from "../../forms/fields.tsx";
import { role } from "../../forms/role.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Checkbox, Drawer, toast } from "../../ui/index.ts";

interface Props {
  /** Undefined: a new one. */
  readonly known?: Role;
  readonly permissions: readonly { readonly name: string; readonly description: string }[];
}

/** Makes or changes a role. Only permissions that the user has can be granted. */
export function RoleDialog({ known, permissions }: Props) {
  const form = useResource<CreateRole, Role>(role, { stored: known });
  const granted = form.values.permissions ?? [];
  const save = async () => {
    const saved = await form.send();
    if (saved === undefined) return false;
    toast.ok(`The role ${saved.name} is saved. It applies at once.`);
    invalidate("/users");
  };
  const change = (permission: string, isGranted: boolean) => {
    const others = granted.filter((each) => each !== permission);
    form.change({ permissions: isGranted ? [...others, permission] : others });
  };
  const disabled = known?.builtin;
  return (
    <Drawer title={known ? `Role ${known.name}` : "New role"} onSubmit={save} action="Save">
      <Managed kind="roles" id={known?.id ?? ""}>
        <Fields
          of={form}
          show={[
            { name: "name", disabled },
            { name: "description", disabled },
          ]}
        />
        <fieldset class="stack s2">
          <legend>Permissions</legend>
          {permissions.map((permission) => (
            <Checkbox
              key={permission.name}
              label={permission.name}
              hint={permission.description}
              checked={granted.includes(permission.name)}
              disabled={!can(permission.name)}
              onChange={(isGranted) => change(permission.name, isGranted)}
            />
          ))}
        </fieldset>
      </Managed>
    </Drawer>
  );
}
