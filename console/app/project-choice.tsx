import { Select } from "../ui/index.ts";
import { useQueryState } from "./navigate.ts";
import { type Project, useProjects } from "./projects.ts";

const DEFAULT = "default";

/** The project of a page that shows one, kept in its address. */
export function useProjectChoice(): [project: string, choose: (slug: string) => void, projects: readonly Project[]] {
  const [project, choose] = useQueryState("project", DEFAULT);
  return [project, choose, useProjects()];
}

interface Props {
  readonly value: string;
  readonly onChange: (slug: string) => void;
  readonly projects: readonly Project[];
}

/** A choice of one project; nothing where there is only one. */
export function ProjectChoice({ value, onChange, projects }: Props) {
  const isKnown = projects.some(({ slug }) => slug === value);
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

/** The live stream of a project that is known by id or slug. */
export function streamOf(projects: readonly Project[], ref: string): string | null {
  const found = projects.find(({ id, slug }) => slug === ref || id === ref);
  return found ? `project:${found.id}` : null;
}
