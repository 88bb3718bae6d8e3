import type { Config } from "../../../config/load.ts";
import type { Clock } from "../../../core/clock.ts";
import type { SealedBox } from "../../../core/sealed-box.ts";
import type { PusherRegistry } from "../../../live/protocols/pusher/pusher-registry.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import type { Database } from "../../../store/database.ts";
import type { ChannelAuthorizers, PusherApp } from "../../pusher/index.ts";
import type { AccountMail } from "../accounts/account-mail.ts";
import type { Accounts } from "../accounts/accounts.ts";
import type { OneTimeTokens } from "../accounts/one-time-tokens.ts";
import type { PasswordHasher } from "../accounts/password-hasher.ts";
import type { UserLifecycle } from "../accounts/user-lifecycle.ts";
import type { Principals } from "../principals.ts";
import type { Projects } from "../projects.ts";
import type { ReadCaches } from "../read-caches.ts";
import type { UserAdmin } from "../user-admin.ts";

/** What the feature needs besides the services of every module. */
export interface UsersOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly box: SealedBox;
  readonly principals: Principals;
  readonly projects: Projects;
  readonly reads: ReadCaches;
  readonly pusher: PusherApp;
  readonly pusherRegistry: PusherRegistry;
  readonly channelAuthorizers: ChannelAuthorizers;
  readonly accounts: Accounts;
  readonly userAdmin: UserAdmin;
  readonly oneTimeTokens: OneTimeTokens;
  readonly accountMail: AccountMail;
  readonly passwords: PasswordHasher;
  readonly userLifecycle: UserLifecycle;
}

export type UsersContext = UsersOwn & Pick<CoreServices, "audit">;
