import type { Config } from "../../../config/load.ts";
import type { Clock } from "../../../core/clock.ts";
import type { HttpKernel } from "../../../http/kernel.ts";
import type { LiveSettings } from "../../../http/live-settings.ts";
import type { PusherRegistry } from "../../../live/protocols/pusher/pusher-registry.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import type { Database } from "../../../store/database.ts";
import type { AccessTokens } from "../access-tokens.ts";
import type { AccountLinks } from "../accounts/account-links.ts";
import type { Accounts } from "../accounts/accounts.ts";
import type { Sessions } from "../accounts/sessions.ts";
import type { UserDirectory } from "../user-directory.ts";

/** What the feature needs besides the services of every module. */
export interface AuthOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly kernel: HttpKernel;
  allowsOrigin(origin: string): boolean;
  readonly settings: LiveSettings;
  readonly pusherRegistry: PusherRegistry;
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly accountLinks: AccountLinks;
  /** For the tokens of development. */
  readonly dev: DevTokenParts;
}

export interface DevTokenParts {
  readonly users: UserDirectory;
  readonly accessTokens: AccessTokens;
  /** The development administrator; null outside development. */
  readonly devUserId: string | null;
}

export type AuthContext = AuthOwn & Pick<CoreServices, "audit" | "log">;
