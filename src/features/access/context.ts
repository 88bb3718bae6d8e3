import type { Config } from "../../config/load.ts";
import type { Json } from "../../core/text/json-text.ts";
import type { Uses } from "../../module/feature.ts";
import type { Trx } from "../../store/database.ts";
import type { DefaultProject } from "./authorize.ts";
import { PasswordHasher } from "./passwords/hasher.ts";
import { LoginBackoff } from "./sessions/login-backoff.ts";
import { AccountMail, type AccountMailParts } from "./sessions/mail-links.ts";

/** Dependencies of changing a record: the clock, and the audit trail, which gets an entry. */
export type RecordContext = Uses<"audit" | "clock">;

/** Dependencies of changing accounts and sessions. */
export interface AccountContext extends RecordContext, Uses<"db" | "box" | "accessTokens" | "publicUrl" | "log"> {
  /** The settings in use. */
  readonly config: Config;
  /** Default for users without their own. */
  readonly timezone: string;
  readonly passwords: PasswordHasher;
  readonly backoff: LoginBackoff;
  readonly mail: AccountMail;
  readonly projects: DefaultProject;
  /** Requested links that are not enqueued yet; their requests are answered earlier. */
  readonly linksUnderWay: Set<Promise<void>>;
}

interface AccountOptions
  extends Uses<"settings" | "db" | "box" | "audit" | "clock" | "log" | "publicUrl" | "accessTokens"> {
  readonly projects: DefaultProject;
  readonly enqueueMail: AccountMailParts["enqueue"];
}

export function openAccounts({ settings, enqueueMail, ...given }: AccountOptions): AccountContext {
  const { clock, publicUrl } = given;
  const config = settings.current;
  const log = given.log.namespace("mail");
  const pagesUrl = (): string => config.accountUrl?.replace(/\/+$/, "") ?? `${publicUrl()}/dashboard`;
  const isConfigured = (): boolean => settings.current.smtp.host !== undefined;
  return {
    ...given,
    get config() {
      return settings.current;
    },
    timezone: config.timezone,
    passwords: new PasswordHasher({ cost: config.auth.bcryptCost }),
    backoff: new LoginBackoff(clock),
    mail: new AccountMail({ isConfigured, clock, log, pagesUrl, enqueue: enqueueMail }),
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
