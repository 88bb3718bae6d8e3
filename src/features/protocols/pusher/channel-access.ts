import type { PermissionHolder, UserPrincipal } from "../../../core/caller.ts";
import type { Logger } from "../../../core/log.ts";
import { hasTokenScope } from "../../../http/server/access.ts";
import {
  isOwnChannel,
  isPublicChannel,
  PUSHER_CHANNEL,
  projectOfChannel,
  userChannel,
  userOfChannel,
} from "../../../live/protocols/pusher/pusher-channel.ts";
import type { Projects } from "../../access/index.ts";

/**
 * A module's decision whether a user may subscribe to a channel. Called often: it must answer from
 * memory, synchronously.
 */
export type AllowsChannel = (principal: UserPrincipal, channel: string) => boolean;

const GUARDED = /^(private|presence)-./;
const ENCRYPTED = "private-encrypted-";

/** Modules that decide about private and presence channels instead of the permission, by prefix. */
export class ChannelAuthorizers {
  readonly #byPrefix = new Map<string, AllowsChannel>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * @returns a function that removes it. @throws TypeError for a prefix that is taken, belongs to
   * Prism, or adds nothing to `private-`, `private-encrypted-` or `presence-`
   */
  add(prefix: string, allows: AllowsChannel): () => void {
    if (!PUSHER_CHANNEL.test(prefix) || !GUARDED.test(prefix) || prefix === ENCRYPTED)
      throw new TypeError("a prefix must begin with private-, private-encrypted- or presence-, and go on");
    if (isOwnChannel(prefix)) throw new TypeError(`${prefix} is Prism's own`);
    if (this.#byPrefix.has(prefix)) throw new TypeError(`${prefix} already has an authorizer`);
    this.#byPrefix.set(prefix, allows);
    return () => {
      this.#byPrefix.delete(prefix);
    };
  }

  /** The decision of the longest matching prefix, if any. A failing authoriser denies access. */
  verdict(principal: UserPrincipal, channel: string): boolean | undefined {
    let found: readonly [prefix: string, allows: AllowsChannel] | undefined;
    for (const each of this.#byPrefix) {
      if (channel.startsWith(each[0]) && each[0].length > (found?.[0].length ?? 0)) found = each;
    }
    if (!found) return undefined;
    try {
      return found[1](principal, channel) === true;
    } catch (error) {
      this.#log.error({ prefix: found[0], err: error }, "a module's channel authorization failed");
      return false;
    }
  }
}

export { isPublicChannel, userChannel } from "../../../live/protocols/pusher/pusher-channel.ts";

/** Dependencies of the decision about a channel. */
export interface ChannelRights {
  readonly projects: Projects;
  readonly authorizers: ChannelAuthorizers;
}

/**
 * Whether a user may subscribe to a channel: their own, those of projects they are members of,
 * others by decision of a module, or with realtime:publish without one. A service token acts as its
 * user only with notifications:own; the same holds for the channel of `sendToUser`. Public channels
 * need no signature and get none.
 */
export function maySubscribe(
  principal: PermissionHolder,
  channel: string,
  { projects, authorizers }: ChannelRights,
): boolean {
  if (isPublicChannel(channel)) return false;
  const projectId = projectOfChannel(channel);
  if (projectId !== undefined) return projects.exists(projectId) && projects.has(principal, projectId, "events:read");
  if (principal.kind === "operator") return !isOwnChannel(channel) && userOfChannel(channel) === undefined;
  const isForUser = hasTokenScope(principal, ["notifications:own"]);
  const userId = userOfChannel(channel);
  if (userId !== undefined) return isForUser && userId === principal.userId;
  if (isOwnChannel(channel)) return isForUser && channel === userChannel(principal.userId);
  const verdict = authorizers.verdict(principal, channel);
  return verdict === undefined ? principal.permissions.has("realtime:publish") : verdict && isForUser;
}
