import type { Periodic } from "../../core/time/periodic.ts";
import type { Offers, Uses } from "../../module/feature.ts";
import { AccessTokens } from "./authenticate/access-tokens.ts";
import { Principals, usageMarks } from "./authenticate/principals.ts";
import { openTrustedIssuer, type TrustedIssuer } from "./authenticate/trusted-issuer.ts";
import { Projects } from "./authorize.ts";
import { type AccountContext, openAccounts } from "./context.ts";
import { bootstrap, makeConfiguredAdmin } from "./first-start.ts";
import { Quotas } from "./projects/quotas.ts";
import { ProjectStorage } from "./projects/storage.ts";
import { ReadCaches } from "./read-caches.ts";
import { UserDirectory } from "./users/user-directory.ts";

/** Accounts, projects, and the resolution of credentials to principals. */
interface AccessOffers {
  readonly defaultProjectId: string;
  /** The development administrator; null outside development. */
  readonly devUserId: string | null;
  readonly accessTokens: AccessTokens;
  readonly issuer: TrustedIssuer | undefined;
  readonly principals: Principals;
  readonly projects: Projects;
  readonly users: UserDirectory;
  readonly accounts: AccountContext;
  /** Cached answers. */
  readonly reads: ReadCaches;
  readonly usage: Periodic;
}
declare module "../../module/feature.ts" {
  interface Offers extends AccessOffers {}
}

type Core = Uses<"config" | "settings" | "db" | "reader" | "audit" | "clock" | "log" | "publicUrl" | "box" | "store">;

/**
 * Creates what every installation has, and the configured administrator. @throws ConfigRefused
 * after closing the store
 */
export async function openAccess(
  core: Core,
  later: () => Pick<Offers, "enqueueMail" | "tickets">,
): Promise<AccessOffers> {
  const { config, settings, db, reader, audit, clock, store } = core;
  const isDevelopment = config.env === "development";
  const { defaultProjectId, devUserId, wasDefaultOpen } = await bootstrap(db, reader, audit, clock, isDevelopment);
  const accessTokens = new AccessTokens({
    secret: config.secrets.access,
    previousSecrets: config.auth.previousAccessSecrets,
    audience: config.auth.audience,
    expiresMs: config.auth.accessExpires,
    clock,
  });
  const log = core.log.namespace("auth");
  const issuer = openTrustedIssuer({ ...core, log });
  const storage = new ProjectStorage({
    ...{ reader, db, clock, defaultId: defaultProjectId, limits: () => settings.limits },
    log: core.log.namespace("projects"),
  });
  const isOpen = () => settings.current.projects.defaultOpen ?? wasDefaultOpen;
  const quotas = new Quotas(defaultProjectId, () => settings.limits);
  const projects = new Projects(reader, defaultProjectId, {
    ...{ quotas, storage, isOpen },
    refresh: (principal) => principals.refresh(principal),
  });
  const accounts = openAccounts({
    ...{ ...core, accessTokens, projects },
    enqueueMail: (...mail) => later().enqueueMail(...mail),
  });
  if (wasDefaultOpen && config.projects.defaultOpen === undefined)
    log.warn({}, "every account reads the project default, as before the upgrade: set projects.defaultOpen");
  const { passwords } = accounts;
  await makeConfiguredAdmin({ config, db, audit, clock, passwords, log }).catch(async (error) => {
    await Promise.all([passwords.close(), store.close()]);
    throw error;
  });
  const tickets = { redeem: (ticket: string) => later().tickets.redeem(ticket) };
  const principals = new Principals({ reader, accessTokens, issuer, clock, tickets, projects, cache: config.cache });
  return {
    ...{ defaultProjectId, devUserId, accessTokens, issuer, principals, projects, accounts },
    users: new UserDirectory({ ...core, log, defaultProjectId }),
    reads: new ReadCaches({ ...config.cache, clock }),
    usage: usageMarks(db, principals),
  };
}
