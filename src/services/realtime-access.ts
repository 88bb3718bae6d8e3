import type { Principal } from "../base/principal.ts";
import type { RealtimeAccess } from "../realtime/connections.ts";
import type { StreamRef } from "../realtime/stream.ts";
import type { Principals } from "./principals.ts";
import type { Projects } from "./projects.ts";

/** Who may follow which stream (contract 5.1): users their own, and the events of projects they may read. */
export function realtimeAccess(principals: Principals, projects: Projects): RealtimeAccess {
  return {
    check: (principal, stream) => check(projects, principal, stream),
    refresh: (principal) => principals.refresh(principal),
  };
}

function check(projects: Projects, principal: Principal, stream: StreamRef): ReturnType<RealtimeAccess["check"]> {
  switch (stream.kind) {
    case "user":
      return principal.kind !== "apiKey" && principal.userId === stream.userId ? "allowed" : "forbidden";
    case "project":
      // A right in all projects is one in projects that are gone, too.
      if (!projects.exists(stream.projectId)) return "notFound";
      return projects.has(principal, stream.projectId, "events:read") ? "allowed" : "forbidden";
  }
}
