import type { Role, User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useEdits } from "../../app/edits.ts";
import { ProviderBadge } from "../../app/provider-badge.tsx";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Button, Card, Field, Form, MultiCombobox, plural, toast } from "../../ui/index.ts";

export function RolesCard({ person, changed }: { readonly person: User; readonly changed: () => void }) {
  const { values, edits, change } = useEdits<{ readonly roles: readonly string[] }>({ roles: person.roles });
  const { roles } = values;
  const known = useGet<{ data: readonly Role[] }>(can("roles:read") ? "/roles" : null);
  const all = known.data?.data ?? [];
  const granted = new Set(all.filter(({ name }) => roles.includes(name)).flatMap(({ permissions }) => permissions));
  const save = async () => {
    await api.patch(`/users/${person.id}`, { roles });
    toast.ok("The roles are saved. They apply at once.");
    changed();
  };
  if (!can("users:manage")) return <Card title="Roles">{person.roles.join(", ") || "None"}</Card>;
  const byGroups = Object.entries(person.roleSources).filter(([, source]) => source !== "file");
  const options = all.map((role) => ({ value: role.name, label: role.name, hint: role.description }));
  return (
    <Card title="Roles">
      <Form onSubmit={save}>
        <Field label="Roles of this account">
          <MultiCombobox values={roles} onChange={(next) => change({ roles: [...next].sort() })} options={options} />
        </Field>
        {byGroups.map(([name, source]) => (
          <p key={name} class="small">
            {name} <ProviderBadge source={source} />
          </p>
        ))}
        {granted.size === 0 ? (
          <p class="muted small">No permission besides its own notifications.</p>
        ) : (
          <details class="muted small">
            <summary>{plural(granted.size, "permission")}</summary>
            {[...granted].sort().join(", ")}
          </details>
        )}
        <Button type="submit" disabled={edits.roles === undefined}>
          Save roles
        </Button>
      </Form>
    </Card>
  );
}
