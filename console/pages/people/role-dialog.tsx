import { useState } from "preact/hooks";
import type { Role } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { invalidate } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Checkbox, Drawer, Field, Input, toast } from "../../ui/index.ts";

interface Props {
  /** Undefined: a new one. */
  readonly known?: Role;
  readonly permissions: readonly { readonly name: string; readonly description: string }[];
}

/** Makes or changes a role. Only permissions that the user has can be granted. */
export function RoleDialog({ known, permissions }: Props) {
  const [name, setName] = useState(known?.name ?? "");
  const [description, setDescription] = useState(known?.description ?? "");
  const [granted, setGranted] = useState<ReadonlySet<string>>(new Set(known?.permissions));
  const save = async () => {
    const body = { name, description, permissions: [...granted] };
    if (known) await api.put(`/roles/${known.id}`, known.builtin ? { permissions: body.permissions } : body);
    else await api.post("/roles", body);
    toast.ok(`The role ${name} is saved. It applies at once.`);
    invalidate("/roles", "/users");
  };
  const change = (permission: string, isGranted: boolean) => {
    const next = new Set(granted);
    if (isGranted) next.add(permission);
    else next.delete(permission);
    setGranted(next);
  };
  return (
    <Drawer title={known ? `Role ${known.name}` : "New role"} onSubmit={save} action="Save">
      <Field label="Name" required>
        <Input value={name} onChange={setName} maxLength={50} disabled={known?.builtin} />
      </Field>
      <Field label="Description" optional>
        <Input value={description} onChange={setDescription} maxLength={500} disabled={known?.builtin} />
      </Field>
      <fieldset class="stack s2">
        <legend>Permissions</legend>
        {permissions.map((permission) => (
          <Checkbox
            key={permission.name}
            label={permission.name}
            hint={permission.description}
            checked={granted.has(permission.name)}
            disabled={!can(permission.name)}
            onChange={(isGranted) => change(permission.name, isGranted)}
          />
        ))}
      </fieldset>
    </Drawer>
  );
}
