import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Json } from "../../core/json-text.ts";
import type { Logger } from "../../core/log.ts";
import type { SealedBox } from "../../core/sealed-box.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { AuditTrail } from "../audit/index.ts";
import type { AccessTokens } from "./authenticate/access-tokens.ts";
import type { DefaultProject } from "./authorize.ts";
import { PasswordHasher } from "./passwords/hasher.ts";
import { LoginBackoff } from "./sessions/login-backoff.ts";
import { AccountMail, type AccountMailParts } from "./sessions/mail-links.ts";

/** Dependencies of changing a record: the clock, and the audit trail, which gets an entry. */
export interface RecordContext {
  readonly audit: AuditTrail;
  readonly clock: Clock;
}

/** Dependencies of changing accounts and sessions. */
export interface AccountContext extends RecordContext {
  readonly db: Database;
  readonly box: SealedBox;
  /** The settings in use. */
  readonly config: Config;
  /** Default for users without their own. */
  readonly timezone: string;
  readonly accessTokens: AccessTokens;
  readonly passwords: PasswordHasher;
  readonly backoff: LoginBackoff;
  readonly mail: AccountMail;
  readonly projects: DefaultProject;
  /** The server's address for browsers, without a trailing slash. */
  publicUrl(): string;
  readonly log: Logger;
  /** Requested links that are not enqueued yet; their requests are answered earlier. */
  readonly linksUnderWay: Set<Promise<void>>;
}

export interface AccountOptions extends RecordContext {
  readonly settings: Pick<LiveSettings, "current">;
  readonly db: Database;
  readonly box: SealedBox;
  readonly log: Logger;
  readonly accessTokens: AccessTokens;
  readonly projects: DefaultProject;
  publicUrl(): string;
  readonly enqueueMail: AccountMailParts["enqueue"];
}

export function openAccounts({ publicUrl, enqueueMail, ...given }: AccountOptions): AccountContext {
  const { settings, clock } = given;
  const config = settings.current;
  const log = given.log.namespace("mail");
  const pagesUrl = (): string => config.accountUrl?.replace(/\/+$/, "") ?? `${publicUrl()}/dashboard`;
  const isConfigured = (): boolean => settings.current.smtp.host !== undefined;
  return {
    db: given.db,
    box: given.box,
    audit: given.audit,
    clock,
    get config() {
      return settings.current;
    },
    timezone: config.timezone,
    accessTokens: given.accessTokens,
    projects: given.projects,
    passwords: new PasswordHasher({ cost: config.auth.bcryptCost }),
    backoff: new LoginBackoff(clock),
    mail: new AccountMail({ isConfigured, clock, log, pagesUrl, enqueue: enqueueMail }),
    publicUrl,
    log,
    linksUnderWay: new Set(),
  };
}

/**
 * Adds an entry to the audit trail, in the transaction of the change. @param byUser the acting
 * user, if the request does not identify one
 */
export async function recordChange(
  { audit }: Pick<RecordContext, "audit">,
  action: string,
  resourceType: "user" | "project" | "role" | "apiKey" | "serviceToken" | "session",
  resourceId: string,
  metadata: Readonly<Record<string, Json>>,
  trx: Trx,
  byUser?: string,
): Promise<void> {
  const by = byUser === undefined ? {} : { byUser };
  await audit.record({ action, resourceType, resourceId, metadata, ...by }, { trx });
}

/** @param userId null for an unknown name. @param reason what was wrong */
export async function recordFailedLogin(
  { audit }: Pick<RecordContext, "audit">,
  userId: string | null,
  reason: string,
): Promise<void> {
  await audit.record({
    action: "auth.login_failed",
    resourceType: "user",
    ...(userId === null ? {} : { resourceId: userId }),
    metadata: { reason },
  });
}
