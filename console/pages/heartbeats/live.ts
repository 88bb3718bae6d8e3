import { useStreams } from "../../app/live.ts";
import { streamsOf, useProjects } from "../../app/projects.ts";
import { invalidate } from "../../app/query.ts";
import { useRefresh } from "../../app/refresh.ts";

/** Pings are no events, so that they are looked up this often. */
const PINGS_MS = 10_000;

/** Loads what is shown of heartbeats again when one goes down or up, and for its pings. */
export function useHeartbeatsLive(): void {
  const projects = useProjects();
  const refresh = useRefresh(() => invalidate("/heartbeats"), 1000, PINGS_MS);
  useStreams(streamsOf(projects, ""), ({ type }) => {
    if (type.startsWith("heartbeat.")) refresh();
  });
}
