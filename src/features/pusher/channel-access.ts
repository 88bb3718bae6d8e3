import type { UserPrincipal } from "../../core/principal.ts";
import { hasTokenScope } from "../../http/access.ts";
import {
  isOwnChannel,
  isPublicChannel,
  projectOfChannel,
  userChannel,
  userOfChannel,
} from "../../live/protocols/pusher/pusher-channel.ts";
import type { Projects } from "../access/index.ts";
import type { ChannelAuthorizers } from "./channel-authorizers.ts";

export { isPublicChannel, PUSHER_CHANNEL, userChannel } from "../../live/protocols/pusher/pusher-channel.ts";

/** What says who may be let into a channel. */
export interface ChannelRights {
  readonly projects: Projects;
  readonly authorizers: ChannelAuthorizers;
}

/**
 * Whether a user may be let into a channel: into their own, into those of projects they are members of, into others as a module says, or with
 * realtime:publish where none does. A service token gets in as its user only with notifications:own; so it does into the channel of `sendToUser`.
 * Public channels need no signature, so they get none.
 */
export function maySubscribe(
  principal: UserPrincipal,
  channel: string,
  { projects, authorizers }: ChannelRights,
): boolean {
  if (isPublicChannel(channel)) return false;
  const projectId = projectOfChannel(channel);
  if (projectId !== undefined) return projects.exists(projectId) && projects.has(principal, projectId, "events:read");
  const isForUser = hasTokenScope(principal, ["notifications:own"]);
  const userId = userOfChannel(channel);
  if (userId !== undefined) return isForUser && userId === principal.userId;
  if (isOwnChannel(channel)) return isForUser && channel === userChannel(principal.userId);
  const verdict = authorizers.verdict(principal, channel);
  return verdict === undefined ? principal.permissions.has("realtime:publish") : verdict && isForUser;
}
