import { useMemo } from "preact/hooks";
import type { Event, EventPaths } from "../../../src/client/api-types.gen.ts";
import type { Page } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import type { Project } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";

/** The name of a rule's project. */
export function projectName(projects: readonly Project[], id: string | null): string {
  if (id === null) return "every project";
  return projects.find((project) => project.id === id)?.name ?? "another project";
}

const RECENT = 50;

/** The latest events that a rule of this project meets. @param projectId null: of every project */
export function useRecentEvents(projectId: string | null) {
  const query = useGet<Page<Event>>(canInProject("events:read") ? "/events" : null, {
    limit: RECENT,
    projectId: projectId ?? "*",
  });
  return { ...query, events: query.data?.data };
}

/** A member that recent events have. */
export type KnownPath = EventPaths["paths"][number];

/** Suggestions of the completion for a rule of this project. */
export function useKnownPaths(projectId: string | null): readonly KnownPath[] {
  const { data } = useGet<EventPaths>(canInProject("events:read") ? "/events/paths" : null, {
    projectId: projectId ?? "*",
  });
  return useMemo(() => {
    if (!data) return [];
    const all: Readonly<Record<string, readonly string[]>> = { "event.type": data.types, "event.source": data.sources };
    return data.paths.map((path) => ({ ...path, examples: all[path.path] ?? path.examples }));
  }, [data]);
}
