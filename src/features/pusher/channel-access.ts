import type { Logger } from "../../core/log.ts";
import type { PermissionHolder, UserPrincipal } from "../../core/principal.ts";
import { hasTokenScope } from "../../http/access.ts";
import {
  isOwnChannel,
  isPublicChannel,
  PUSHER_CHANNEL,
  projectOfChannel,
  userChannel,
  userOfChannel,
} from "../../live/protocols/pusher/pusher-channel.ts";
import type { Projects } from "../access/index.ts";

/**
 * Whether a user may subscribe to a channel, as a module says. Asked often: it reads what it knows,
 * and waits for nothing.
 */
export type AllowsChannel = (principal: UserPrincipal, channel: string) => boolean;

const GUARDED = /^(private|presence)-./;
const ENCRYPTED = "private-encrypted-";

/**
 * Who decides about private and presence channels in place of the permission: modules, each for
 * names that begin alike.
 */
export class ChannelAuthorizers {
  readonly #byPrefix = new Map<string, AllowsChannel>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * @returns what takes it away. @throws TypeError for a prefix that is taken, is Prism's own, or
   * adds nothing to `private-`, `private-encrypted-` or `presence-`
   */
  add(prefix: string, allows: AllowsChannel): () => void {
    if (!PUSHER_CHANNEL.test(prefix) || !GUARDED.test(prefix) || prefix === ENCRYPTED)
      throw new TypeError("a prefix must begin with private-, private-encrypted- or presence-, and go on");
    if (isOwnChannel(prefix)) throw new TypeError(`${prefix} is Prism's own`);
    if (this.#byPrefix.has(prefix)) throw new TypeError(`somebody decides about ${prefix} already`);
    this.#byPrefix.set(prefix, allows);
    return () => {
      this.#byPrefix.delete(prefix);
    };
  }

  /**
   * What the one with the longest fitting prefix says; undefined when there is none. One that fails
   * lets nobody in.
   */
  verdict(principal: UserPrincipal, channel: string): boolean | undefined {
    let found: readonly [prefix: string, allows: AllowsChannel] | undefined;
    for (const each of this.#byPrefix) {
      if (channel.startsWith(each[0]) && each[0].length > (found?.[0].length ?? 0)) found = each;
    }
    if (!found) return undefined;
    try {
      return found[1](principal, channel) === true;
    } catch (error) {
      this.#log.error({ prefix: found[0], err: error }, "a module could not say who may subscribe to a channel");
      return false;
    }
  }
}

export { isPublicChannel, userChannel } from "../../live/protocols/pusher/pusher-channel.ts";

/** What says who may be let into a channel. */
export interface ChannelRights {
  readonly projects: Projects;
  readonly authorizers: ChannelAuthorizers;
}

/**
 * Whether a user may be let into a channel: into their own, into those of projects they are members
 * of, into others as a module says, or with realtime:publish where none does. A service token gets
 * in as its user only with notifications:own; so it does into the channel of `sendToUser`. Public
 * channels need no signature, so they get none.
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
