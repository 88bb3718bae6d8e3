import type { Config } from "../../../config/load.ts";
import { PrismError } from "../../../core/errors.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { AccountContext } from "../context.ts";
import type { GroupMap } from "../group-rights/sources.ts";
import { activeAdministrators } from "../projects/queries.ts";

/*
 * Sign-in with a password of Prism, for the console, the API and clients that send one (ntfy, Gotify), and with it
 * registration and new passwords. A passkey that signs in without one counts too. Tokens, sessions and sign-in links
 * do not.
 */

/** A way to sign in besides passwords of Prism. */
interface Provider {
  /** In the settings; of the header what its identities have as issuer. */
  readonly name: string;
  /** Of its identities. */
  readonly issuer: string;
  /** How its sessions were opened, and the source of rights of its groups. */
  readonly via: string;
  /** As sentences name it. */
  readonly label: string;
  /** Where it begins. */
  readonly url: string;
  readonly autoRedirect: boolean;
  readonly roles: GroupMap;
  readonly projects: GroupMap;
}

/** Whose passwords sign in: everyone's, administrators' or no one's. */
type LocalLogin = Config["auth"]["localLogin"];

export function providersOf({
  auth,
}: {
  readonly auth: Pick<Config["auth"], "oidc" | "proxyHeader">;
}): readonly Provider[] {
  const { name: header, ...proxy } = auth.proxyHeader;
  const own = proxyIssuer(header ?? "");
  const byHeader = { ...proxy, name: own, issuer: own, via: own, url: "/auth/proxy" };
  const all = auth.oidc.map(({ name, label = name, ...oidc }) => ({
    ...{ ...oidc, name, label, via: `oidc:${name}`, url: `/auth/oidc/${name}` },
  }));
  return header === undefined ? all : [...all, byHeader];
}

/** The issuer of identities that a proxy's header names, which also opens their sessions and gives their rights. */
export function proxyIssuer(header: string): string {
  return `proxy:${header.toLowerCase()}`;
}

/** `off` is `admins` as long as no active administrator has an identity of a provider: no one could sign in. */
export async function localLogin(config: Pick<Config, "auth">, db: ReadDb | Trx): Promise<LocalLogin> {
  if (config.auth.localLogin !== "off") return config.auth.localLogin;
  const issuers = providersOf(config).map(({ issuer }) => issuer);
  const found = await activeAdministrators(db)
    .innerJoin("identities as i", "i.userId", "u.id")
    .where("i.issuer", "in", issuers)
    .executeTakeFirst();
  return found ? "off" : "admins";
}

/**
 * @param userId whose password it is; undefined: not known yet, and only refused if no one's counts
 * @throws LOCAL_LOGIN_OFF
 */
export async function requireLocalLogin(
  { config }: Pick<AccountContext, "config">,
  db: ReadDb | Trx,
  userId?: string | null,
): Promise<void> {
  const policy = await localLogin(config, db);
  if (policy === "on" || (policy === "admins" && userId === undefined)) return;
  const admin = activeAdministrators(db).where("u.id", "=", userId ?? "");
  if (policy === "admins" && (await admin.executeTakeFirst())) return;
  const names = providersOf(config).map(({ label }) => label);
  const others = names.length === 0 ? "ask an administrator for a sign-in link" : `use ${names.join(" or ")}`;
  const whose = policy === "admins" ? " except for administrators" : "";
  throw new PrismError("LOCAL_LOGIN_OFF", `Signing in with a password is off here${whose}: ${others}`);
}
