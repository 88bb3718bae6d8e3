import type { Config } from "../../../config/load.ts";
import { secretsEqual } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { CidrSet } from "../../../core/ip-addresses.ts";
import { isVisibleAscii } from "../../../core/text/clean-text.ts";
import type { Reply } from "../../../http/api/route.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { PROXY_SECRET_HEADER } from "../../../http/server/headers.ts";
import type { Trx } from "../../../store/database.ts";
import { accountError } from "../authenticate/principals.ts";
import type { AccountContext } from "../context.ts";
import { applyGroups } from "../group-rights/apply-groups.ts";
import { findIdentity, linkIdentity, listIdentities, type Subject } from "../oidc/identities.ts";
import { consolePath, landOpened, landRefused } from "../oidc/landing.ts";
import { mayLinkByAddress } from "../oidc/sign-in.ts";
import type { AuthContext } from "../sessions/guards.ts";
import { proxyIssuer } from "../sessions/local-login.ts";
import { openOrChallenge } from "../sessions/login.ts";
import { type ClientInfo, clientOf } from "../sessions/sessions.ts";
import { plainName } from "../users/create-user.ts";
import { usersWith } from "../users/queries.ts";

type Settings = Config["auth"]["proxyHeader"];

/** Whom a proxy has signed in. */
interface ProxiedPerson extends Subject {
  /** Null: the proxy is not asked for groups. */
  readonly groups: readonly string[] | null;
}

const MAX_SUBJECT = 255;

/**
 * Opens a session of the account that is linked with the value of the header. Problems of the account lead to the
 * sign-in page. @throws PROXY_REFUSED if the request is not the proxy's
 */
export async function signInByProxy(context: AuthContext, exchange: Exchange, returnTo = ""): Promise<Reply> {
  const { accounts, settings } = context;
  const { proxyHeader } = settings.current.auth;
  const person = readHeaders(exchange, proxyHeader);
  const client = clientOf(exchange);
  const next = consolePath(returnTo);
  try {
    const opened = await accounts.db.write((trx) => openFor(accounts, proxyHeader, person, client, trx));
    return landOpened(context, opened, next);
  } catch (error) {
    return landRefused(context, error, { who: person.issuer, next });
  }
}

/** Before anything is awaited. @throws PROXY_REFUSED */
function readHeaders(exchange: Exchange, { name = "", from, secret = "", groups }: Settings): ProxiedPerson {
  if (!new CidrSet(from).has(exchange.peerAddress))
    throw refused("it does not come from an address of auth.proxyHeader.from");
  const names = exchange.headerNames();
  const read = (header: string): string => {
    if (names.indexOf(header.toLowerCase()) !== names.lastIndexOf(header.toLowerCase()))
      throw refused(`it has the header ${header} twice`);
    return exchange.header(header.toLowerCase()).trim();
  };
  if (!secretsEqual(read(PROXY_SECRET_HEADER), secret)) throw refused("it has not the secret of the proxy");
  const subject = read(name);
  if (subject === "" || subject.length > MAX_SUBJECT || /\p{Cc}/u.test(subject))
    throw refused(`the proxy names no one in ${name}`);
  const issuer = proxyIssuer(name);
  const held = groups === undefined ? null : read(groups).split(/[,|]/);
  return { issuer, provider: issuer, subject, name: subject, groups: held?.map((group) => group.trim()) ?? null };
}

function refused(reason: string): PrismError {
  return new PrismError(
    "PROXY_REFUSED",
    `This request signs no one in: ${reason}. Sign in another way at /dashboard/sign-in?local`,
  );
}

/** @throws ACCOUNT_NOT_LINKED, ACCOUNT_PENDING, ACCOUNT_DISABLED, ACCOUNT_UNVERIFIED */
async function openFor(
  ctx: AccountContext,
  { link, roles, projects, sessionMax }: Settings,
  { groups, ...identity }: ProxiedPerson,
  client: ClientInfo,
  trx: Trx,
) {
  const userId = (await findIdentity(identity, trx))?.userId ?? (await linked(ctx, link, identity, trx));
  const { status = "disabled" } = (await usersWith(trx, "id", userId).select("status").executeTakeFirst()) ?? {};
  if (status !== "active") throw accountError(status);
  const now = ctx.clock.now();
  const { issuer, subject } = identity;
  const used = trx.updateTable("identities").set({ lastUsedAt: now }).where("issuer", "=", issuer);
  await used.where("subject", "=", subject).execute();
  if (groups) await applyGroups(ctx, { userId, source: issuer, roles, projects }, groups, trx);
  return openOrChallenge(ctx, userId, client, trx, {}, { via: issuer, endsAt: now + sessionMax });
}

/** Links the account with this name, if the settings say so. @throws ACCOUNT_NOT_LINKED */
async function linked(ctx: AccountContext, link: Settings["link"], identity: Subject, trx: Trx): Promise<string> {
  const name = plainName(identity.subject);
  // Lower case turns some letters into others: the name must be as the account has it.
  const found =
    link === "none" || !isVisibleAscii(identity.subject)
      ? undefined
      : await usersWith(trx, link, name).select(["id", "isEmailVerified", "externalId"]).executeTakeFirst();
  const isMeant =
    found !== undefined &&
    (link === "username" ? !(await hasChosenName(ctx, found, trx)) : found.isEmailVerified === 1);
  if (!isMeant || !(await mayLinkByAddress(found.id, identity.issuer, trx)))
    throw new PrismError("ACCOUNT_NOT_LINKED", "No account is linked with the name that the proxy gives");
  await linkIdentity(ctx, found.id, identity, trx, { byUser: found.id });
  return found.id;
}

/** Whether another provider, or the issuer of `auth.trusted`, may have made the account with a name of its person. */
async function hasChosenName(
  { config }: AccountContext,
  { id, externalId }: { readonly id: string; readonly externalId: string | null },
  trx: Trx,
): Promise<boolean> {
  if (config.auth.trusted.provision && externalId !== null) return true;
  return (await listIdentities(trx, id)).length > 0;
}
