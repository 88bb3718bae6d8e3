import { useStreams } from "../../app/live.ts";
import { streamsOf, useProjects } from "../../app/projects.ts";
import { invalidate } from "../../app/query.ts";
import { IDLE_MS, useRefresh } from "../../app/refresh.ts";

/** Loads what is shown of on-call again after changes, and each minute: shifts end without an event. */
export function useOnCallLive(): void {
  const projects = useProjects();
  const refresh = useRefresh(() => invalidate("/oncall"), 1000, IDLE_MS);
  useStreams(streamsOf(projects, ""), ({ type }) => {
    if (type.startsWith("oncall.")) refresh();
  });
}
