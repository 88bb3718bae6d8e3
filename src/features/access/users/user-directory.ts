import { currentCaller, type RightsChange } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid, uuidv7 } from "../../../core/ids.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import { cleanText } from "../../../core/text/clean-text.ts";
import { requireAccount } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { recordChange } from "../context.ts";
import { plainName } from "./create-user.ts";
import { usersWith } from "./queries.ts";

export type DirectoryParts = Uses<"db" | "reader" | "audit" | "clock" | "log" | "config" | "defaultProjectId">;

export interface FoundUser {
  readonly id: string;
  readonly status: string;
}

/** A person who is named somewhere and gets nothing there. */
export interface AbsentPerson {
  readonly id: string;
  /** `Bob, whose account is disabled` */
  readonly text: string;
}

export interface FoundAccount {
  readonly name: string;
  readonly username: string | null;
  readonly status: string;
  readonly deletedAt: number | null;
}

function absenceText(row: FoundAccount | undefined): string {
  if (row === undefined || row.deletedAt !== null) return "whose account is deleted";
  if (row.status === "active") return "who is not a member of the project";
  return `whose account is ${row.status === "pending" ? "pending, not yet accepted or approved" : row.status}`;
}

/** At most so many display names are compared with those of a calendar. */
const MAX_NAMED = 2000;

/**
 * Resolves references to users (docs/http.md): `me`, an id, an external id, a username, a mail
 * address, in this order; a verified mail address comes first: accounts made of an address by
 * earlier versions have it as external id, and no one reads them.
 */
export class UserDirectory {
  readonly #parts: DirectoryParts;
  /** In development any address finds its account, elsewhere only a verified one. */
  readonly #isDevelopment: boolean;
  /** Active users by id. */
  readonly #active: TtlCache<string, FoundUser>;
  readonly #findId;
  readonly #find;
  readonly #findAddress;
  readonly #account;
  readonly #named;
  readonly #isMember;
  readonly #sharesProject;

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
    this.#isDevelopment = parts.config.env === "development";
    this.#active = new TtlCache({ ...parts.config.cache, clock: parts.clock });
    this.#findId = parts.reader.prepare<[string], FoundUser>(
      "select id, status from users where id = ? and deletedAt is null",
    );
    // Three look-ups instead of `or`, for which SQLite would read all users.
    this.#find = parts.reader.prepare<{ ref: string }, FoundUser>(
      `select id, status from (
         select id, status, 1 as rank from users where id = @ref and deletedAt is null
         union all select id, status, 2 from users where externalId = @ref and deletedAt is null
         union all select id, status, 3 from users where username = lower(@ref) and deletedAt is null
       ) order by rank limit 1`,
    );
    this.#findAddress = parts.reader.prepare<[string], FoundUser & { isEmailVerified: number }>(
      "select id, status, isEmailVerified from users where email = ? and deletedAt is null",
    );
    this.#account = parts.reader.prepare<[string], FoundAccount>(
      "select name, username, status, deletedAt from users where id = ?",
    );
    this.#named = parts.reader.prepare<
      { projectId: string; isAll: number; most: number },
      { id: string; name: string }
    >(
      `select id, name from users where status = 'active' and deletedAt is null and name <> '' and
         (@isAll or id in (select userId from project_members where projectId = @projectId)) limit @most`,
    );
    this.#isMember = parts.reader.prepare<[string, string]>(
      "select 1 from project_members where projectId = ? and userId = ?",
    );
    this.#sharesProject = parts.reader.prepare<[string, string]>(
      `select 1 from project_members a join project_members b on b.projectId = a.projectId and b.userId = ?
        where a.userId = ?`,
    );
  }

  /** @returns the id of an active user, or undefined. */
  find(ref: string): string | undefined {
    const user = this.lookUp(ref);
    return user?.status === "active" ? user.id : undefined;
  }

  /** Active people by display name in lower case, without those of the same name; none where there are too many. */
  byDisplayName(projectId: string): ReadonlyMap<string, string> {
    const isAll = projectId === this.#parts.defaultProjectId ? 1 : 0;
    const rows = this.#named.all({ projectId, isAll, most: MAX_NAMED + 1 });
    if (rows.length > MAX_NAMED) return new Map();
    const named = rows.map(({ id, name }) => [name.toLowerCase(), id] as const);
    const counts = new Map<string, number>();
    for (const [name] of named) counts.set(name, (counts.get(name) ?? 0) + 1);
    return new Map(named.filter(([name]) => counts.get(name) === 1));
  }

  /** @returns the id of a user in any status, to read data of a disabled one. */
  findAny(ref: string): string | undefined {
    return this.lookUp(ref)?.id;
  }

  protected lookUp(ref: string): FoundUser | undefined {
    if (ref !== "me") {
      // Most references are ids, and these come first.
      const named = isUuid(ref) ? this.#ofId(ref) : undefined;
      if (named !== undefined) return named;
      const owner = this.#accountOfAddress(ref);
      if (owner?.isEmailVerified === 1) return owner;
      // Users may enter any address: messages to it must not reach someone who only claims it.
      return this.#find.get({ ref }) ?? (this.#isDevelopment ? owner : undefined);
    }
    const { principal } = currentCaller();
    if (!principal || principal.kind === "apiKey") return undefined;
    return { id: requireAccount(principal).userId, status: "active" };
  }

  #ofId(id: string): FoundUser | undefined {
    const known = this.#active.get(id);
    if (known !== undefined) return known;
    const user = this.#findId.get(id);
    if (user?.status === "active") this.#active.set(id, user);
    return user;
  }

  /** Forgets what a change of accounts has made wrong. */
  forget(change: RightsChange): void {
    if (change.of === "user") this.#active.delete(change.userId);
    else if (change.of === "all") this.#active.clear();
  }

  #accountOfAddress(ref: string) {
    return ref.includes("@") ? this.#findAddress.get(plainName(ref)) : undefined;
  }

  /**
   * Resolves references to ids, without duplicates, in order. Unknown users are created without a
   * password if configured. @param projectId accepts only members of this project; null accepts
   * all. @param path the member with the references, for the error. @throws RECIPIENT_NOT_FOUND
   */
  async recipients(
    refs: readonly string[],
    trx: Trx,
    projectId: string | null,
    path = "recipients",
  ): Promise<string[]> {
    const ids = new Set<string>();
    for (const [at, ref] of refs.entries()) ids.add(await this.recipient(ref, trx, projectId, `${path}.${at}`));
    return [...ids];
  }

  /** {@link recipients} for one reference. @param path its member. @throws RECIPIENT_NOT_FOUND */
  async recipient(ref: string, trx: Trx, projectId: string | null, path: string): Promise<string> {
    return this.#requireReachable(ref, this.find(ref) ?? (await this.#provision(ref, trx)), projectId, path);
  }

  /**
   * {@link recipient} of a message, which every user may write: a mail address finds only people
   * whom the sender knows, so that the answer does not tell strangers who has an account.
   * @throws RECIPIENT_NOT_FOUND
   */
  async correspondent(ref: string, senderId: string, trx: Trx, path: string): Promise<string> {
    const id = await this.recipient(ref, trx, null, path);
    const isKnown = this.#accountOfAddress(ref)?.id !== id || this.#find.get({ ref })?.id === id;
    if (isKnown || this.#isDevelopment || this.#mayReadUsers()) return id;
    const isNear = id === senderId || this.#sharesProject.get(id, senderId) !== undefined;
    return this.#requireReachable(ref, isNear ? id : undefined, null, path);
  }

  /**
   * {@link recipients} that creates no users: a policy or shift that names an unknown user would
   * notify an account without an address. @throws RECIPIENT_NOT_FOUND
   */
  existing(refs: readonly string[], projectId: string, path: string): string[] {
    return [...new Set(refs.map((ref, at) => this.existingOne(ref, projectId, `${path}.${at}`)))];
  }

  /** {@link existing} for one reference. @throws RECIPIENT_NOT_FOUND */
  existingOne(ref: string, projectId: string | null, path: string): string {
    return this.#requireReachable(ref, this.find(ref), projectId, path);
  }

  #requireReachable(ref: string, id: string | undefined, projectId: string | null, path: string): string {
    if (id !== undefined && this.isReachable(id, projectId)) return id;
    throw new PrismError("RECIPIENT_NOT_FOUND", "No such recipient", {
      details: [{ path, code: "RECIPIENT_NOT_FOUND", message: this.#reasonOf(ref, id) }],
    });
  }

  /** One text for all reasons, unless the caller may know which addresses have an account. */
  #reasonOf(ref: string, outsiderId: string | undefined): string {
    if (outsiderId !== undefined && this.#mayReadUsers()) return "is no member of the project";
    const isUnverified = this.#accountOfAddress(ref)?.isEmailVerified === 0 && !this.#isDevelopment;
    if (isUnverified && this.#mayReadUsers())
      return "is a mail address that is not verified; its owner can confirm it, or an administrator set it again";
    return "is no active user that you can reach";
  }

  #mayReadUsers(): boolean {
    const { principal } = currentCaller();
    return principal !== null && principal.kind !== "apiKey" && principal.permissions.has("users:read");
  }

  /** The active ones of these users, and only members of the project if one is given. */
  reachable(userIds: readonly string[], projectId: string | null): string[] {
    return userIds.filter((id) => this.find(id) === id && this.isReachable(id, projectId));
  }

  /** The others of these users than {@link reachable}, with the reason. */
  absent(userIds: readonly string[], projectId: string | null): AbsentPerson[] {
    const reached = new Set(this.reachable(userIds, projectId));
    return [...new Set(userIds)]
      .filter((id) => !reached.has(id))
      .map((id) => {
        const row = this.accountOf(id);
        return { id, text: `${row?.name || (row?.username ?? id)}, ${absenceText(row)}` };
      });
  }

  protected get defaultProjectId(): string {
    return this.#parts.defaultProjectId;
  }

  protected accountOf(id: string): FoundAccount | undefined {
    return this.#account.get(id);
  }

  protected isReachable(userId: string, projectId: string | null): boolean {
    return (
      projectId === null || projectId === this.defaultProjectId || this.#isMember.get(projectId, userId) !== undefined
    );
  }

  /** The references without an account, which a request may then create one for. */
  unknown(refs: readonly string[]): string[] {
    return [...new Set(refs)].filter((ref) => this.findAny(ref) === undefined);
  }

  /** Those of these {@link unknown} references that have an account since this transaction. */
  async madeOf(refs: readonly string[], trx: Trx): Promise<string[]> {
    if (refs.length === 0) return [];
    const rows = await trx.selectFrom("users").select("externalId").where("externalId", "in", refs).execute();
    return refs.filter((ref) => rows.some(({ externalId }) => externalId === ref));
  }

  /** Creates a user who only receives notifications: no password, no role, an external id. */
  async #provision(ref: string, trx: Trx): Promise<string | undefined> {
    const { clock, audit, log, config } = this.#parts;
    const { timezone, unknownRecipient } = config;
    const externalId = cleanText(ref);
    if (unknownRecipient !== "provision" || ref === "me" || isUuid(ref) || externalId !== ref || ref.length > 128)
      return undefined;
    if (ref.includes("@") && !config.notifications.provisionAddresses) return undefined;
    // Known but not active or not verified: the account of this name is not created again.
    if (this.#find.get({ ref }) ?? this.#accountOfAddress(ref)) return undefined;
    // This transaction may have created it for an earlier reference.
    const made = await usersWith(trx, "externalId", externalId).select("id").executeTakeFirst();
    if (made) return made.id;
    const now = clock.now();
    const id = uuidv7();
    await trx
      .insertInto("users")
      .values({ id, externalId, name: externalId, status: "active", timezone, createdAt: now, updatedAt: now })
      .execute();
    await recordChange({ audit }, "user.register", "user", id, { roles: [], by: "recipient" }, trx);
    addEffect(trx, { type: "rights-changed", of: "user", userId: id });
    log.info({ userId: id, name: externalId }, "created an account without password for an unknown recipient");
    return id;
  }
}
