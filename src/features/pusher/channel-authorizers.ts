import type { Logger } from "../../core/log.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import { isOwnChannel, PUSHER_CHANNEL } from "../../live/protocols/pusher/pusher-channel.ts";

/** Whether a user may subscribe to a channel, as a module says. Asked often: it reads what it knows, and waits for nothing. */
export type AllowsChannel = (principal: UserPrincipal, channel: string) => boolean;

const GUARDED = /^(private|presence)-./;
const ENCRYPTED = "private-encrypted-";

/** Who decides about private and presence channels in place of the permission: modules, each for names that begin alike (contract 5.5). */
export class ChannelAuthorizers {
  readonly #byPrefix = new Map<string, AllowsChannel>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @returns what takes it away. @throws TypeError for a prefix that is taken, is Prism's own, or adds nothing to `private-`, `private-encrypted-` or `presence-` */
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

  /** What the one with the longest fitting prefix says; undefined when there is none. One that fails lets nobody in. */
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
