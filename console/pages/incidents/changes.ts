import { useStreams } from "../../app/live.ts";
import { streamsOf, useProjects } from "../../app/projects.ts";
import { IDLE_MS, useRefresh } from "../../app/refresh.ts";
import { countSoon } from "./open-incidents.ts";

const EVERY_MS = 500;
const TYPES = /^(incident|alert|silence)\./;

/**
 * Runs `reload` after changes of alerts, incidents and silences.
 * @param projectId default: all projects of the user
 */
export function useAlertingChanges(reload: () => void, projectId = ""): void {
  const projects = useProjects();
  const refresh = useRefresh(reload, EVERY_MS, IDLE_MS);
  useStreams(streamsOf(projects, projectId), ({ data }) => {
    const type = (data as { readonly type?: string } | null)?.type ?? "";
    if (!TYPES.test(type)) return;
    refresh();
    if (type.startsWith("incident.")) countSoon();
  });
}
