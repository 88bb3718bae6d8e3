import { PrismError } from "../../../core/errors.ts";
import { withinOr } from "../../../core/promises.ts";
import { MINUTE_MS } from "../../../core/time/clock.ts";
import type { Context } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { recordChange } from "../context.ts";
import { revokeOneTimeTokens } from "../sessions/mail-links.ts";
import { revokeSessions, sessionOfRefreshToken } from "../sessions/sessions.ts";
import { findIdentity, tokensSealContext } from "./identities.ts";
import { isGrantRefused, OidcProvider } from "./provider.ts";
import { noteAnswer, viaOf } from "./sign-in.ts";

export type OidcContext = Context<"accounts" | "deletions">;

/** A refresh of a session waits no longer for a provider; the new groups then follow when they come. */
const WAIT_MS = 2000;
/** After a failure a provider is left alone. */
const PAUSE_MS = MINUTE_MS;

/** The providers of `auth.oidc`, each made at its first use. */
export class OidcProviders {
  readonly #context: OidcContext;
  #all = new Map<string, OidcProvider>();
  readonly #reading = new Map<string, Promise<void>>();
  /** When groups of an identity were last asked for, epoch ms. */
  readonly #asked = new Map<string, number>();

  constructor(context: OidcContext) {
    this.#context = context;
  }

  has(name: string): boolean {
    return this.#settings.some((each) => each.name === name);
  }

  get #settings() {
    return this.#context.settings.current.auth.oidc;
  }

  /** Those that were used. */
  get used(): readonly OidcProvider[] {
    return [...this.#all.values()].filter(({ settings }) => this.#settings.includes(settings));
  }

  /** @throws NOT_FOUND */
  require(name: string): OidcProvider {
    const settings = this.#settings.find((each) => each.name === name);
    if (!settings) throw new PrismError("NOT_FOUND", "There is no such provider");
    let provider = this.#all.get(name);
    // A reload may have changed it.
    if (provider?.settings !== settings) {
      provider = new OidcProvider(settings, this.#context);
      this.#all.set(name, provider);
    }
    return provider;
  }

  /**
   * Before a session is refreshed: reads the groups of its person again when that is due. A refusal of the provider ends
   * the person's sessions of it; a provider that cannot be reached changes nothing.
   */
  async beforeRefresh(refreshToken: string): Promise<void> {
    if (!this.#settings.some(({ groupsEvery }) => groupsEvery !== null)) return;
    const { accounts, db, clock } = this.#context;
    const session = await sessionOfRefreshToken(accounts, refreshToken, db.read);
    const [, name = ""] = /^oidc:(.*)$/.exec(session?.via ?? "") ?? [];
    const settings = this.#settings.find((each) => each.name === name);
    if (!session || !settings || settings.groupsEvery === null) return;
    const { userId } = session;
    const due = clock.now() - settings.groupsEvery;
    const identities = await db.read
      .selectFrom("identities")
      .selectAll()
      .where("userId", "=", userId)
      .where("provider", "=", name)
      .where("tokens", "is not", null)
      .where("groupsAt", "<=", due)
      .execute();
    const reads = identities
      .filter(({ id }) => clock.now() - (this.#asked.get(id) ?? Number.NEGATIVE_INFINITY) >= PAUSE_MS)
      .map((identity) => this.#read(name, identity));
    await withinOr(WAIT_MS, Promise.all(reads), () => []);
  }

  #read(name: string, identity: Parameters<OidcProviders["readGroups"]>[1]): Promise<void> {
    const running = this.#reading.get(identity.id);
    if (running) return running;
    this.#asked.set(identity.id, this.#context.clock.now());
    const started = this.readGroups(name, identity)
      .then(() => this.#asked.delete(identity.id))
      .catch((err: unknown) => {
        const isDown = err instanceof PrismError && err.code === "PROVIDER_UNREACHABLE";
        if (!isDown) this.#context.log.warn({ err, provider: name }, "cannot read the groups of a person again");
      })
      .then(() => void this.#reading.delete(identity.id));
    this.#reading.set(identity.id, started);
    return started;
  }

  async readGroups(
    name: string,
    {
      id,
      userId,
      issuer,
      subject,
      tokens,
    }: { id: string; userId: string; issuer: string; subject: string; tokens: Uint8Array | null },
  ): Promise<void> {
    const { accounts, db, box } = this.#context;
    const provider = this.require(name);
    try {
      const token = box.open(tokensSealContext(id), tokens ?? new Uint8Array()).toString();
      const answer = await provider.again(token);
      if (answer.issuer !== issuer || answer.subject !== subject)
        throw new TypeError("the provider answers for another person");
      await db.write((trx) => noteAnswer(accounts, provider.settings, userId, answer, trx));
    } catch (error) {
      if (!isGrantRefused(error)) throw error;
      await db.write(async (trx) => {
        await trx.updateTable("identities").set({ tokens: null }).where("id", "=", id).execute();
        await this.endSessions(userId, provider, trx);
      });
    }
  }

  /** @param sid of one session at the provider; undefined: all that it opened */
  async endSessions(userId: string, { settings }: OidcProvider, trx: Trx, sid?: string): Promise<void> {
    const { accounts, clock } = this.#context;
    const via = viaOf(settings);
    const ended = await revokeSessions(accounts, userId, "provider", trx, null, { via, sid });
    await revokeOneTimeTokens(clock, userId, trx, "second_factor");
    if (ended > 0)
      await recordChange(accounts, "auth.logout", "user", userId, { all: true, reason: "provider", via }, trx, userId);
  }

  /** Ends the sessions that a logout token names (OpenID Connect Back-Channel Logout 1.0). */
  async logOut(name: string, token: string): Promise<void> {
    const provider = this.require(name);
    const {
      sub,
      sid,
      jti = "",
      iss = "",
    } = await provider.logoutClaims(token).catch((error: unknown) => {
      throw error instanceof PrismError && error.code === "PROVIDER_REFUSED" ? invalidToken(error) : error;
    });
    if ((sub === undefined && sid === undefined) || !provider.takeLogoutToken(jti)) throw invalidToken();
    await this.#context.db.write(async (trx) => {
      const via = viaOf(provider.settings);
      const sessions = trx
        .selectFrom("sessions")
        .select("userId")
        .where("sid", "=", String(sid))
        .where("via", "=", via);
      const linked = await findIdentity({ issuer: iss, subject: sub ?? "", provider: name }, trx);
      const found = [...(sid === undefined ? [] : await sessions.execute()), ...(linked ? [linked] : [])];
      for (const userId of new Set(found.map((each) => each.userId)))
        await this.endSessions(userId, provider, trx, sid as string | undefined);
    });
  }
}

/** The answer that the specification asks for (section 2.8). */
function invalidToken(cause?: PrismError): PrismError {
  return new PrismError("VALIDATION_FAILED", "The logout token is not valid, or was used before", { cause });
}
