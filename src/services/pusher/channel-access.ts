import type { UserPrincipal } from "../../base/principal.ts";
import type { Projects } from "../access/projects.ts";

/** What a channel may be called (contract 5.5, as Pusher has it). */
export const PUSHER_CHANNEL = /^[A-Za-z0-9_\-=@,.;]{1,164}$/;

const USER = "private-user-";
const PROJECT = "private-project-";

/** The private channel that is a user's own. */
export function userChannel(userId: string): string {
  return `${USER}${userId}`;
}

/**
 * Whether a user may be let into a channel: into their own, into those of projects they are members of, into others with realtime:publish.
 * Public channels need no signature and encrypted ones are not served, so neither gets one.
 */
export function maySubscribe(principal: UserPrincipal, channel: string, projects: Projects): boolean {
  if (channel.startsWith(USER)) return channel === userChannel(principal.userId);
  if (channel.startsWith(PROJECT)) {
    const projectId = channel.slice(PROJECT.length);
    return projects.exists(projectId) && projects.has(principal, projectId, "events:read");
  }
  if (channel.startsWith("private-encrypted-")) return false;
  const isGuarded = channel.startsWith("private-") || channel.startsWith("presence-");
  return isGuarded && principal.permissions.has("realtime:publish");
}
