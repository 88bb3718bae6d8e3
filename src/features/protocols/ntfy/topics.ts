import type { Selectable } from "kysely";
import type { PermissionHolder, Principal } from "../../../core/caller.ts";
import { hashToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import type { TokenScope } from "../../../core/permissions.ts";
import { DAY_MS, type EpochMs } from "../../../core/time/clock.ts";
import type { RateLimiter } from "../../../http/limits/rate-limiter.ts";
import { CHECK_ROWS } from "../../../http/limits/request-work.ts";
import { hasTokenScope } from "../../../http/server/access.ts";
import { type Authenticator, type Basic, fromSecret, readBasic } from "../../../http/server/credentials.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { addressGroup, coarseAddressGroup } from "../../../http/server/headers.ts";
import type { Uses } from "../../../module/feature.ts";
import type { NtfyPermission, NtfyTopicKind, NtfyTopicsTable } from "../../../store/schema.ts";
import { KnownPasswords, type PasswordOwner, type Principals } from "../../access/index.ts";
import { mayRead, mayWrite, TopicAccess } from "./access.ts";
import { NtfyError } from "./errors.ts";
import { queryOf } from "./parameters.ts";

export type TopicRow = Selectable<NtfyTopicsTable>;

/** A topic, or the one that a first publish would make. */
export interface NtfyTopic {
  readonly name: string;
  readonly kind: NtfyTopicKind;
  readonly projectId: string | null;
  readonly userId: string | null;
  /** Types of events that it shows. */
  readonly patterns: readonly string[];
  readonly isNew: boolean;
}

interface TopicsParts extends Uses<"reader" | "projects"> {
  readonly anonymous: () => NtfyPermission;
}

/** The topics in memory, and who may use them (docs/ntfy.md). Effects of commits keep them current. */
export class Topics {
  readonly access = new TopicAccess();
  readonly #parts: TopicsParts;
  readonly #byName = new Map<string, NtfyTopic>();
  /** When each was last used, to the day. */
  readonly #usedAt = new Map<string, EpochMs>();
  readonly #unstored = new Set<string>();

  constructor(parts: TopicsParts) {
    this.#parts = parts;
  }

  /** Builds the memory from the table, before the server answers. */
  load(): void {
    this.access.load(this.#parts.reader);
    this.changed({ changed: this.#parts.reader.prepare<[], TopicRow>("select * from ntfy_topics").all() });
  }

  changed({ changed = [], deleted = [] }: { changed?: readonly TopicRow[]; deleted?: readonly string[] }): void {
    for (const name of deleted) {
      this.#byName.delete(name);
      this.#usedAt.delete(name);
      this.#unstored.delete(name);
    }
    for (const { name, kind, projectId, userId, patterns, createdAt, lastUsedAt } of changed) {
      this.#usedAt.set(name, lastUsedAt ?? createdAt);
      this.#byName.set(name, {
        name,
        kind,
        projectId,
        userId,
        patterns: JSON.parse(patterns) as string[],
        isNew: false,
      });
    }
  }

  /** Someone subscribes to a topic, or still does. */
  used(name: string, now: EpochMs): void {
    const usedAt = this.#usedAt.get(name);
    if (usedAt === undefined || now - usedAt < DAY_MS) return;
    this.#usedAt.set(name, now);
    this.#unstored.add(name);
  }

  /** Topics in use whose time of use is not stored. */
  takeUsed(): string[] {
    const names = [...this.#unstored];
    this.#unstored.clear();
    return names;
  }

  /**
   * The topic as this caller uses it: a new one is in the project in which the caller has a right to write
   * exactly this name, otherwise in the project of the key or the default one, otherwise in the only project
   * that the caller writes to, otherwise in that of a right with a pattern.
   */
  of(name: string, principal: Principal | null): NtfyTopic {
    const known = this.#byName.get(name);
    if (known) return known;
    const { projects } = this.#parts;
    const userId = principal && principal.kind !== "apiKey" ? principal.userId : null;
    const own = principal ? this.#projectOf(principal) : projects.defaultId;
    // A pattern of another project's owner must not take the topics that the caller makes in the own one.
    const needsExact = principal !== null && projects.has(principal, own, "events:write");
    const given = userId === null ? undefined : this.access.projectFor(userId, name, needsExact);
    return { name, kind: "messages", projectId: given ?? own, userId: null, patterns: [], isNew: true };
  }

  #projectOf(principal: Principal): string {
    const { projects } = this.#parts;
    if (principal.kind === "apiKey") return principal.projectId;
    const { defaultId } = projects;
    if (projects.has(principal, defaultId, "events:write")) return defaultId;
    const own = [...principal.memberships.keys()].filter((id) => projects.has(principal, id, "events:write"));
    return own.length === 1 ? (own[0] ?? defaultId) : defaultId;
  }

  mayRead(topic: NtfyTopic, principal: Principal | null): boolean {
    const { projects, anonymous } = this.#parts;
    if (topic.kind === "inbox") return principal !== null && isOwn(principal, topic.userId);
    if (topic.projectId === null || !projects.exists(topic.projectId)) return false;
    const given = this.#given(topic.name, topic.projectId, principal);
    if (given !== null) return mayRead(given) && isInScope(principal, "events:read");
    if (principal && projects.has(principal, topic.projectId, "events:read")) return true;
    return this.#isOpen(topic) && /read/.test(anonymous());
  }

  mayWrite(topic: NtfyTopic, principal: Principal | null): boolean {
    const { projects, anonymous } = this.#parts;
    if (topic.kind !== "messages" || topic.projectId === null || !projects.exists(topic.projectId)) return false;
    const given = this.#given(topic.name, topic.projectId, principal);
    if (given !== null) return mayWrite(given) && isInScope(principal, "events:write");
    if (principal && projects.has(principal, topic.projectId, "events:write")) return true;
    return this.#isOpen(topic) && /write/.test(anonymous());
  }

  /** @throws NtfyError 40301 */
  requireReadable(names: readonly string[], principal: Principal | null): readonly NtfyTopic[] {
    const topics = names.map((name) => this.of(name, principal));
    if (!topics.every((topic) => this.mayRead(topic, principal))) throw new NtfyError(40301);
    return topics;
  }

  /** @throws NtfyError 40301 */
  requireWritable(name: string, principal: Principal | null): NtfyTopic {
    const topic = this.of(name, principal);
    if (!this.mayWrite(topic, principal)) throw new NtfyError(40301);
    return topic;
  }

  /** Messages and events of other topics that the user reads by a right on the topic. */
  readableBy(userId: string): string[] {
    const names = [...this.#byName.values()].filter(({ name, kind, projectId }) => {
      const given = kind === "inbox" || projectId === null ? null : this.access.permission(projectId, userId, name);
      return given !== null && mayRead(given);
    });
    return names.slice(0, MAX_LISTED).map(({ name }) => name);
  }

  /** The right on the topic, of the caller or of everyone; null: the rights in the project decide. */
  #given(name: string, projectId: string, principal: Principal | null): NtfyPermission | null {
    // Owners set the rights, and keys are theirs.
    if (principal?.kind === "apiKey" || (principal && isManager(principal, projectId))) return null;
    return this.access.permission(projectId, principal?.userId ?? null, name);
  }

  /** `ntfy.anonymous` opens the topics of messages in the default project. */
  #isOpen({ kind, projectId }: NtfyTopic): boolean {
    return kind === "messages" && projectId === this.#parts.projects.defaultId;
  }
}

const MAX_LISTED = 1000;

function isManager({ memberships, permissions }: PermissionHolder, projectId: string): boolean {
  return memberships.get(projectId) === "owner" || permissions.has("projects:all");
}

/** A service token has no more than its scopes. */
function isInScope(principal: Principal | null, scope: TokenScope): boolean {
  return principal === null || principal.kind === "apiKey" || hasTokenScope(principal, [scope]);
}

function isOwn(principal: Principal, userId: string | null): boolean {
  if (principal.kind === "apiKey" || principal.userId !== userId) return false;
  return hasTokenScope(principal, ["notifications:own"]);
}

/** Who made a request; `principal` is null for an anonymous one. */
export interface Visitor {
  readonly principal: Principal | null;
  /** How the principal is known, to notice when it ends; null: by Prism's own credentials. */
  readonly proof: PasswordOwner | { readonly tokenHash: string } | null;
}

export const ANONYMOUS: Visitor = { principal: null, proof: null };

export interface NtfyAuthParts extends Uses<"reader" | "clock" | "settings"> {
  readonly authenticator: Authenticator;
  readonly principals: Pick<Principals, "ofUser">;
  /** @throws INVALID_CREDENTIALS, RATE_LIMITED, … */
  readonly passwordOwner: (login: string, password: string, ip: string) => Promise<PasswordOwner>;
  readonly limiter: RateLimiter;
  /** Whether failures are counted. */
  limits(): boolean;
}

interface TokenRow {
  readonly userId: string;
  readonly expiresAt: number | null;
}

/** Failures of one address with tokens; one more is allowed each two seconds. */
const FAILURES_PER_MINUTE = 30;
const PASSWORD_MS = 86_400_000;
const MAX_LENGTH = 8192;

/**
 * Credentials of ntfy's clients: `Basic` with a password or a token, `Bearer`, and `?auth=` with
 * the base64 of such a header. Tokens are those of `/v1/account/token` (`tk_…`) and all of Prism's.
 */
export class NtfyAuth {
  readonly #parts: NtfyAuthParts;
  readonly #passwords: KnownPasswords;
  readonly #used = new Map<string, { readonly at: number; readonly origin: string }>();
  readonly #sql;

  constructor(parts: NtfyAuthParts) {
    this.#parts = parts;
    this.#passwords = new KnownPasswords(parts, PASSWORD_MS);
    this.#sql = {
      token: parts.reader.prepare<[string], TokenRow>("select userId, expiresAt from ntfy_tokens where hash = ?"),
    };
  }

  /**
   * @returns a promise only if a password, or an access token, must be checked.
   * @throws NtfyError 40101 for wrong credentials, 42909 after too many
   */
  visitor(exchange: Exchange): Visitor | Promise<Visitor> {
    const value = authorizationOf(exchange);
    const key = value === "" ? exchange.header("x-api-key") : "";
    if (key !== "") return this.#checked(key, exchange);
    if (value === "") return ANONYMOUS;
    const given = readAuthorization(value);
    if (given === null) return ANONYMOUS;
    if ("token" in given) return this.#checked(given.token, exchange);
    return this.#byPassword(given.login, given.password, exchange);
  }

  /** Whether the proof of a connection is still good. */
  isCurrent({ proof }: Visitor): boolean {
    if (proof === null) return true;
    if ("tokenHash" in proof) return this.#liveToken(proof.tokenHash) !== undefined;
    return this.#passwords.isUnchanged(proof);
  }

  /** Tokens used since the last call. */
  takeUsed(): [string, { readonly at: number; readonly origin: string }][] {
    const used = [...this.#used];
    this.#used.clear();
    return used;
  }

  #checked(token: string, exchange: Exchange): Visitor | Promise<Visitor> {
    const find = (): Visitor => this.#guarded(exchange, () => this.#byToken(token, exchange));
    const check = token.startsWith("tk_") ? null : this.#parts.authenticator.prepare?.(fromSecret(token));
    if (!check) return find();
    if (check.isCharged) exchange.work?.beforeCheck(exchange, { bytes: token.length, rows: CHECK_ROWS });
    return check.run().then(find);
  }

  /** Counts failures of an address, whatever it guesses. */
  #guarded(exchange: Exchange, check: () => Visitor): Visitor {
    try {
      return check();
    } catch (error) {
      this.#failed(exchange.clientAddress);
      if (error instanceof PrismError) throw new NtfyError(40101);
      throw error;
    }
  }

  /** @throws NtfyError 42909 */
  #failed(address: string): void {
    if (!this.#parts.limits()) return;
    const bucket = this.#parts.limiter.take(
      `ntfy ${addressGroup(address)}`,
      FAILURES_PER_MINUTE,
      1,
      `ntfy ${coarseAddressGroup(address)}`,
    );
    if (!bucket.isAllowed) throw new NtfyError(42909);
  }

  #byToken(token: string, exchange: Exchange): Visitor {
    if (!token.startsWith("tk_"))
      return { principal: this.#parts.authenticator.authenticate(fromSecret(token)), proof: null };
    const tokenHash = hashToken(token);
    const row = this.#liveToken(tokenHash);
    if (!row) throw new NtfyError(40101);
    this.#used.set(tokenHash, { at: this.#parts.clock.now(), origin: exchange.clientAddress });
    return { principal: this.#parts.principals.ofUser(row.userId), proof: { tokenHash } };
  }

  #liveToken(hash: string): TokenRow | undefined {
    const row = this.#sql.token.get(hash);
    return row && (row.expiresAt === null || row.expiresAt > this.#parts.clock.now()) ? row : undefined;
  }

  #byPassword(login: string, password: string, exchange: Exchange): Visitor | Promise<Visitor> {
    const known = this.#passwords.get(login, password);
    if (known) return this.#guarded(exchange, () => this.#ofOwner(known));
    exchange.work?.beforeCheck(exchange, { rows: CHECK_ROWS });
    return this.#parts.passwordOwner(login, password, exchange.clientAddress).then(
      (owner) => {
        this.#passwords.add(login, password, owner);
        return this.#ofOwner(owner);
      },
      (error: unknown) => {
        throw refusalOf(error);
      },
    );
  }

  #ofOwner(owner: PasswordOwner): Visitor {
    return { principal: this.#parts.principals.ofUser(owner.userId), proof: owner };
  }
}

function refusalOf(error: unknown): unknown {
  if (!(error instanceof PrismError)) return error;
  if (error.code === "RATE_LIMITED") return new NtfyError(42909);
  return error.code === "INVALID_CREDENTIALS" || error.code === "VALIDATION_FAILED" ? new NtfyError(40101) : error;
}

/** `?auth=` beats the header. @throws NtfyError 40101 if it cannot be decoded */
function authorizationOf(exchange: Exchange): string {
  const query = exchange.queryText.includes("auth") ? queryOf(exchange.queryText) : NO_QUERY;
  const given = query.get("authorization") ?? query.get("auth") ?? "";
  if (given === "") return exchange.header("authorization");
  if (!/^[A-Za-z0-9+/_-]{1,11000}={0,2}$/.test(given)) throw new NtfyError(40101);
  return Buffer.from(given, "base64url").toString("utf8");
}

const NO_QUERY: ReadonlyMap<string, string> = new Map();

type Given = { readonly token: string } | Basic;

/** @returns null for another scheme, such as WebPush. @throws NtfyError 40101 */
function readAuthorization(value: string): Given | null {
  const [, scheme = "", rest = ""] = /^(\w+)\s+(\S+)\s*$/.exec(value.trim()) ?? [];
  if (rest.length > MAX_LENGTH) throw new NtfyError(40101);
  if (scheme.toLowerCase() === "bearer") return { token: rest };
  if (scheme.toLowerCase() !== "basic") return null;
  const basic = readBasic(rest);
  if (!basic) throw new NtfyError(40101);
  return basic.login === "" || /^(?:tk|prk|prt)_/.test(basic.password) ? { token: basic.password } : basic;
}
