import { useState } from "preact/hooks";
import { Field, isPending, Select, Waiting } from "../ui/index.ts";
import { useQueryState } from "./navigate.ts";
import { type Project, useProjects, useProjectsQuery } from "./projects.ts";

const DEFAULT = "default";

/** The project of a page that shows one, kept in its address. */
export function useProjectChoice(): [project: string, choose: (slug: string) => void, projects: readonly Project[]] {
  const [chosen, choose] = useQueryState("project", DEFAULT);
  const projects = useProjects();
  return [knownOr(projects, chosen), choose, projects];
}

/** The chosen project; the first one for a user who does not read the default project. */
export function knownOr(projects: readonly Project[], chosen: string): string {
  const [first] = projects;
  const isMissing = chosen === DEFAULT && first !== undefined && !projects.some(({ slug }) => slug === DEFAULT);
  return isMissing ? first.slug : chosen;
}

interface Props {
  readonly value: string;
  readonly onChange: (slug: string) => void;
  readonly projects: readonly Project[];
}

/** A choice of one project; nothing where there is only one. */
export function ProjectChoice({ value, onChange, projects }: Props) {
  const isKnown = projects.some(({ slug }) => slug === value);
  if (isPending(useProjectsQuery())) return <Waiting />;
  if (projects.length < 2 && isKnown) return null;
  const options = projects.map(({ slug, name }) => ({ value: slug, label: name }));
  return (
    <Select
      small
      label="Project"
      value={value}
      onChange={onChange}
      options={isKnown ? options : [{ value, label: value }, ...options]}
    />
  );
}

/** A filter by project, with all of them as its default; nothing where there is only one. */
export function ProjectFilter({ by = "id", ...props }: FilterProps) {
  const query = useProjectsQuery();
  if (isPending(query)) return <Waiting />;
  const projects = query.data?.data ?? [];
  if (projects.length < 2) return null;
  const options = projects.map((project) => ({ value: project[by], label: project.name }));
  return <Select label="Project" {...props} options={[{ value: "", label: "All projects" }, ...options]} />;
}

interface FilterProps {
  readonly value: string;
  readonly onChange: (project: string) => void;
  readonly small?: boolean;
  /** Meaning of the value. */
  readonly by?: "id" | "slug";
}

/** The project of what a form creates: the default one until the user chooses. */
export function useProjectOfNew(): [id: string | undefined, choose: (id: string) => void] {
  const [chosen, choose] = useState("");
  const projects = useProjects();
  return [chosen || (projects.find(({ slug }) => slug === DEFAULT) ?? projects[0])?.id, choose];
}

interface FieldProps {
  readonly value: string | undefined;
  readonly onChange: (id: string) => void;
  readonly hint?: string;
}

/** The field for {@link useProjectOfNew}; nothing where there is only one project. */
export function ProjectField({ value = "", onChange, hint }: FieldProps) {
  const query = useProjectsQuery();
  if (isPending(query)) return <Waiting />;
  const projects = query.data?.data ?? [];
  if (projects.length < 2) return null;
  return (
    <Field label="Project" hint={hint}>
      <Select
        value={value}
        onChange={onChange}
        options={projects.map(({ id, name }) => ({ value: id, label: name }))}
      />
    </Field>
  );
}

export function projectIdOf(projects: readonly Project[], ref: string): string | undefined {
  return projects.find(({ id, slug }) => slug === ref || id === ref)?.id;
}

/** The live stream of a project that is known by id or slug. */
export function streamOf(projects: readonly Project[], ref: string): string | null {
  const id = projectIdOf(projects, ref);
  return id === undefined ? null : `project:${id}`;
}
