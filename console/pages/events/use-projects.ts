import type { Page } from "../../app/api.ts";
import { useGet } from "../../app/query.ts";
import type { Project } from "./event-types.ts";

/** Streams that one page follows; with more projects it follows the chosen one only. */
const MAX_STREAMS = 20;

/** The projects of the user, for names and choices. */
export function useProjects(): readonly Project[] {
  return useGet<Page<Project>>("/projects", { limit: 100 }).data?.data ?? [];
}

/** The live streams of the chosen project, or of all. @param chosen id, or "" */
export function streamsOf(projects: readonly Project[], chosen: string): readonly string[] {
  const ids = chosen === "" ? projects.slice(0, MAX_STREAMS).map(({ id }) => id) : [chosen];
  return ids.map((id) => `project:${id}`);
}
