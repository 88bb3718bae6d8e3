import type { Config } from "../../../config/load.ts";
import type { Clock } from "../../../core/clock.ts";
import type { Logger } from "../../../core/log.ts";
import type { Database } from "../../../store/database.ts";
import type { AuditService } from "../../audit/index.ts";
import type { AccessTokens } from "../access-tokens.ts";
import { UserAdmin } from "../user-admin.ts";
import { AccountLinks } from "./account-links.ts";
import { AccountMail, type AccountMailParts } from "./account-mail.ts";
import { Accounts } from "./accounts.ts";
import { LoginBackoff } from "./login-backoff.ts";
import { OneTimeTokens } from "./one-time-tokens.ts";
import { PasswordHasher } from "./password-hasher.ts";
import { ProjectInvitations } from "./project-invitations.ts";
import { Sessions } from "./sessions.ts";
import { UserLifecycle } from "./user-lifecycle.ts";

export interface AccountsOptions {
  readonly config: Config;
  readonly database: Database;
  readonly audit: AuditService;
  readonly clock: Clock;
  readonly log: Logger;
  readonly accessTokens: AccessTokens;
  /** What clients call this server. */
  publicUrl(): string;
  readonly enqueueMail: AccountMailParts["enqueue"];
}

/** Everything about accounts, put together. */
export interface AccountServices {
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly userAdmin: UserAdmin;
  readonly oneTimeTokens: OneTimeTokens;
  readonly accountMail: AccountMail;
  readonly accountLinks: AccountLinks;
  readonly passwords: PasswordHasher;
  readonly loginBackoff: LoginBackoff;
  readonly userLifecycle: UserLifecycle;
  readonly projectInvitations: ProjectInvitations;
}

export function openAccounts(options: AccountsOptions): AccountServices {
  const { config, database, audit, clock, log, accessTokens, publicUrl } = options;
  const sessions = new Sessions({
    database,
    audit,
    clock,
    options: {
      refreshSecret: config.secrets.refresh,
      refreshExpiresMs: config.auth.refreshExpires,
      sessionMaxMs: config.auth.sessionMaxMs,
    },
  });
  const userAdmin = new UserAdmin(audit, clock, config.timezone);
  const oneTimeTokens = new OneTimeTokens(clock);
  const projectInvitations = new ProjectInvitations(clock, audit);
  const pagesUrl = (): string => config.accountUrl?.replace(/\/+$/, "") ?? `${publicUrl()}/account`;
  const accountMail = new AccountMail({
    isConfigured: config.smtp.host !== undefined,
    clock,
    log: log.namespace("mail"),
    pagesUrl,
    enqueue: options.enqueueMail,
  });
  const passwords = new PasswordHasher({ cost: config.auth.bcryptCost });
  const loginBackoff = new LoginBackoff(clock);
  const accounts = new Accounts({
    database,
    audit,
    clock,
    hasher: passwords,
    sessions,
    oneTimeTokens,
    invitations: projectInvitations,
    backoff: loginBackoff,
    admin: userAdmin,
    accessTokens,
    mail: accountMail,
    policy: config.auth,
  });
  const accountLinks = new AccountLinks({
    database,
    audit,
    accounts,
    oneTimeTokens,
    backoff: loginBackoff,
    mail: accountMail,
    policy: config.auth,
    log: log.namespace("mail"),
  });
  const isDevelopment = config.env === "development";
  const userLifecycle = new UserLifecycle({
    database,
    audit,
    clock,
    sessions,
    oneTimeTokens,
    isDevelopment,
  });
  return {
    accounts,
    sessions,
    userAdmin,
    userLifecycle,
    oneTimeTokens,
    accountMail,
    accountLinks,
    passwords,
    loginBackoff,
    projectInvitations,
  };
}
