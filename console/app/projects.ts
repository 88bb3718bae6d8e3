import type { Project as ApiProject } from "../../src/client/api-types.gen.ts";
import type { Page } from "./api.ts";
import { useGet } from "./query.ts";

export type Project = Pick<ApiProject, "id" | "name" | "slug" | "role" | "settings">;

/** The request for the projects of the user: one for all who need it. */
export const PROJECTS = { path: "/projects", query: { limit: 100 } } as const;

export function useProjectsQuery() {
  return useGet<Page<Project>>(PROJECTS.path, PROJECTS.query);
}

/** The projects of the user, for names and choices; empty until they are loaded. */
export function useProjects(): readonly Project[] {
  return useProjectsQuery().data?.data ?? [];
}

/** Streams that one page follows; with more projects it follows the chosen one only. */
const MAX_STREAMS = 20;

/** The live streams of the chosen project, or of all. @param chosen id, or "" */
export function streamsOf(projects: readonly Project[], chosen: string): readonly string[] {
  const ids = chosen === "" ? projects.slice(0, MAX_STREAMS).map(({ id }) => id) : [chosen];
  return ids.map((id) => `project:${id}`);
}
