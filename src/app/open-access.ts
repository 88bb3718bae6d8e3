import {
  AccessTokens,
  type AccountContext,
  type AccountOptions,
  bootstrap,
  makeConfiguredAdmin,
  openAccounts,
  openTrustedIssuer,
  Principals,
  ProjectStorage,
  Projects,
  Quotas,
  ReadCaches,
  type TrustedIssuer,
  UserDirectory,
} from "../features/access/index.ts";
import { RealtimeTickets } from "../features/streams/index.ts";
import type { Base } from "./open-store.ts";

/** Accounts, projects, and the resolution of credentials to principals. */
export interface Access {
  readonly defaultProjectId: string;
  /** The development administrator; null outside development. */
  readonly devUserId: string | null;
  readonly accessTokens: AccessTokens;
  readonly tickets: RealtimeTickets;
  readonly issuer: TrustedIssuer | undefined;
  readonly principals: Principals;
  readonly projects: Projects;
  readonly users: UserDirectory;
  readonly accounts: AccountContext;
  /** Cached answers. */
  readonly reads: ReadCaches;
}

function openProjects(
  { settings, database, reader, clock, log: baseLog }: Base,
  defaultId: string,
  isOpen: () => boolean,
): Projects {
  const limits = () => settings.limits;
  const log = baseLog.namespace("projects");
  const storage = new ProjectStorage({ reader, db: database, clock, log, defaultId, limits });
  storage.load();
  return new Projects(reader, defaultId, { quotas: new Quotas(defaultId, limits), storage, isOpen });
}

/**
 * Creates what every installation has, and the configured administrator. @throws ConfigRefused
 * after closing the store
 */
export async function openAccess(base: Base, enqueueMail: AccountOptions["enqueueMail"]): Promise<Access> {
  const { config, settings, database, reader, audit, clock, log, publicUrl, box } = base;
  const isDevelopment = config.env === "development";
  const { defaultProjectId, devUserId, wasDefaultOpen } = await bootstrap(
    database,
    reader,
    audit,
    clock,
    isDevelopment,
  );
  const accessTokens = new AccessTokens({
    secret: config.secrets.access,
    previousSecrets: config.auth.previousAccessSecrets,
    audience: config.auth.audience,
    expiresMs: config.auth.accessExpires,
    clock,
  });
  const tickets = new RealtimeTickets(clock);
  const authLog = log.namespace("auth");
  const issuer = openTrustedIssuer({ config, database, reader, audit, clock, log: authLog });
  const projects = openProjects(base, defaultProjectId, () => settings.current.projects.defaultOpen ?? wasDefaultOpen);
  const accounts = openAccounts({
    settings,
    db: database,
    box,
    audit,
    clock,
    log,
    accessTokens,
    projects,
    publicUrl,
    enqueueMail,
  });
  const lost = reader.prepare<[], number>("select count(*) from lost_rights").pluck().get() ?? 0;
  if (lost > 0)
    authLog.warn({ members: lost }, "only the role in a project counts: members lost rights; prism doctor lists them");
  if (wasDefaultOpen && config.projects.defaultOpen === undefined)
    authLog.warn({}, "every account reads the project default, as before the upgrade: set projects.defaultOpen");
  const { passwords } = accounts;
  await makeConfiguredAdmin({ config, database, audit, clock, passwords, log: authLog }).catch(async (error) => {
    await Promise.all([passwords.close(), base.store.close()]);
    throw error;
  });
  return {
    defaultProjectId,
    devUserId,
    accessTokens,
    tickets,
    issuer,
    principals: new Principals({ reader, accessTokens, issuer, clock, tickets, cache: config.cache }),
    projects,
    users: new UserDirectory({
      database,
      reader,
      audit,
      clock,
      log: authLog,
      unknownRecipient: config.unknownRecipient,
      provisionAddresses: config.notifications.provisionAddresses,
      isDevelopment,
      timezone: config.timezone,
      defaultProjectId,
    }),
    accounts,
    reads: new ReadCaches({ ...config.cache, clock }),
  };
}
