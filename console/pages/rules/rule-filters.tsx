import { X } from "lucide";
import { endFilter, ownFilter, searchFilter } from "../../app/list-of.tsx";
import { useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Button, choices, Select } from "../../ui/index.ts";

interface Role {
  readonly id: string;
  readonly name: string;
}

interface Bound {
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function OfProject(bound: Bound) {
  const options = useProjects().map(({ id, name }) => ({ value: id, label: name }));
  return <Select small label="Project" {...bound} placeholder="Any project" options={options} />;
}

function RoleFilter({ value, onChange }: Bound) {
  const roles = useGet<{ readonly data: readonly Role[] }>(can("roles:read") ? "/roles" : null).data?.data;
  if (!roles) return null;
  return (
    <Select
      small
      label="Notifies"
      value={value}
      onChange={onChange}
      placeholder="Any role"
      options={roles.map(({ name }) => ({ value: name, label: `Notifies ${name}` }))}
    />
  );
}

/** By a link only: the page of sounds has one. */
function OfSound({ value, onChange }: Bound) {
  return (
    <Button small iconEnd={X} onClick={() => onChange("")}>
      Sound {value}
    </Button>
  );
}

export const FILTERS = {
  q: searchFilter("Search rules"),
  project: ownFilter("project", (bound) => <OfProject {...bound} />, "projectId"),
  role: ownFilter("role", (bound) => <RoleFilter {...bound} />, "targetRole"),
  sound: ownFilter("sound", (bound) => (bound.value === "" ? null : <OfSound {...bound} />)),
  state: endFilter("State", choices({ all: "All", enabled: "Enabled", disabled: "Disabled" })),
};
