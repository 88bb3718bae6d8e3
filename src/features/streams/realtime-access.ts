import { PrismError } from "../../core/errors.ts";
import type { Permission } from "../../core/permissions.ts";
import type { Principal, UserPrincipal } from "../../core/principal.ts";
import { hasTokenScope } from "../../http/access.ts";
import type { RealtimeAccess } from "../../live/connections.ts";
import { type StreamRef, streamName } from "../../live/stream.ts";
import type { Principals } from "../access/index.ts";
import { mayUseMessages } from "../messages/index.ts";
import { type ChannelRights, isPublicChannel, maySubscribe } from "../pusher/index.ts";

/** Who may follow which stream (contract 5.1): users their own, and the events of projects they may read. */
export function realtimeAccess(principals: Principals, rights: ChannelRights): RealtimeAccess {
  return {
    check: (principal, stream) => check(rights, principal, stream),
    refresh: (principal) => principals.refresh(principal),
  };
}

/** A ticket for one stream opens no other. @throws CHANNEL_FORBIDDEN */
export function requireTicketFor(principal: Principal, stream: StreamRef): void {
  if (!isTicketFor(principal, stream)) throw new PrismError("CHANNEL_FORBIDDEN", "The ticket is for another stream");
}

function isTicketFor({ onlyStream }: Principal, stream: StreamRef): boolean {
  return onlyStream === undefined || onlyStream === streamName(stream);
}

function check(rights: ChannelRights, principal: Principal, stream: StreamRef): ReturnType<RealtimeAccess["check"]> {
  const { projects } = rights;
  if (!isTicketFor(principal, stream)) return "forbidden";
  switch (stream.kind) {
    case "user":
      return isOwn(principal, stream.userId) && hasTokenScope(principal, ["notifications:own"])
        ? "allowed"
        : "forbidden";
    case "messages":
      return isOwn(principal, stream.userId) && mayUseMessages(principal) ? "allowed" : "forbidden";
    case "tasks":
      return mayReadTasks(principal, stream.userId) ? "allowed" : "forbidden";
    case "channel": {
      const projectId = stream.projectId ?? projects.defaultId;
      if (!projects.exists(projectId)) return "notFound";
      const mayRead =
        principal.kind === "apiKey"
          ? principal.projectId === projectId && principal.scopes.has("realtime:subscribe")
          : projects.has(principal, projectId, "events:read");
      return mayRead ? "allowed" : "forbidden";
    }
    case "system":
      return holds(principal, "system:status") ? "allowed" : "forbidden";
    case "pusher":
      return isPublicChannel(stream.channel) || mayFollowGuarded(principal, stream.channel, rights)
        ? "allowed"
        : "forbidden";
    case "project":
      // A right in all projects is one in projects that are gone, too.
      if (!projects.exists(stream.projectId)) return "notFound";
      return projects.has(principal, stream.projectId, "events:read") ? "allowed" : "forbidden";
  }
}

function mayFollowGuarded(principal: Principal, channel: string, rights: ChannelRights): boolean {
  return principal.kind !== "apiKey" && maySubscribe(principal, channel, rights);
}

function isOwn(principal: Principal, userId: string): principal is UserPrincipal {
  return principal.kind !== "apiKey" && principal.userId === userId;
}

/** As over HTTP: a service token that is not for tasks reads none, not even its user's. */
function mayReadTasks(principal: Principal, userId: string): boolean {
  return holds(principal, "tasks:all") || (isOwn(principal, userId) && holds(principal, "tasks:own"));
}

function holds(principal: Principal, permission: Permission): boolean {
  return principal.kind !== "apiKey" && principal.permissions.has(permission);
}
