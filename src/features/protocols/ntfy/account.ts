import { hashToken } from "../../../core/crypto/tokens.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect } from "../../../store/database.ts";
import { type Attachments, uploaderOf } from "./attachments.ts";
import { NtfyError } from "./errors.ts";
import { secondsOf } from "./message.ts";
import { randomText } from "./parameters.ts";
import type { Visitor } from "./topics.ts";

export interface NtfyAccountContext extends Uses<"db" | "clock" | "audit"> {
  readonly attachments: Attachments;
  cacheMs(): number;
}

/** A day has no limit of messages here: this is what clients show. */
const UNLIMITED = 1_000_000;
const TOKEN_LENGTH = 29;
const TOKEN_MS = 72 * 3_600_000;
export const MAX_TOKENS = 60;
const MAX_LABEL = 100;

/** Rights and limits of the caller, also of an anonymous one. */
export async function accountView(context: NtfyAccountContext, visitor: Visitor, address: string) {
  const { principal } = visitor;
  const { attachments } = context;
  const { fileBytes, userBytes, keptMs } = attachments.limits;
  const used = await attachments.usedBy(uploaderOf(principal, address));
  const shared = {
    limits: {
      ...{ basis: principal ? "tier" : "ip", messages: UNLIMITED, emails: 0, calls: 0, reservations: 0 },
      messages_expiry_duration: Math.floor(context.cacheMs() / 1000),
      attachment_total_size: userBytes,
      attachment_file_size: fileBytes,
      attachment_expiry_duration: Math.floor(keptMs / 1000),
      attachment_bandwidth: userBytes,
    },
    stats: {
      ...{ messages: 0, messages_remaining: UNLIMITED, emails: 0, emails_remaining: 0 },
      ...{ calls: 0, calls_remaining: 0, reservations: 0, reservations_remaining: 0 },
      attachment_total_size: used,
      attachment_total_size_remaining: Math.max(0, userBytes - used),
    },
  };
  if (!principal) return { username: "*", role: "anonymous", ...shared };
  if (principal.kind === "apiKey") return { username: principal.key, role: "user", ...shared };
  const isAdmin = principal.permissions.has("projects:all");
  const tokens = await tokensOf(context, principal.userId ?? "");
  const unset = { reservations: [], subscriptions: [] };
  return { username: principal.name, role: isAdmin ? "admin" : "user", ...unset, tokens, ...shared };
}

async function tokensOf({ db, clock }: NtfyAccountContext, userId: string) {
  const rows = await db.read
    .selectFrom("ntfy_tokens")
    .selectAll()
    .where("userId", "=", userId)
    .where((e) => e.or([e("expiresAt", "is", null), e("expiresAt", ">", clock.now())]))
    .orderBy("createdAt")
    .execute();
  // Only the end of a token is known.
  return rows.map(({ last4, label, lastUsedAt, lastOrigin, expiresAt }) => ({
    token: `tk_…${last4}`,
    ...(label !== null && { label }),
    last_access: secondsOf(lastUsedAt ?? 0),
    last_origin: lastOrigin ?? "",
    expires: secondsOf(expiresAt ?? 0),
  }));
}

export interface TokenInput {
  readonly token?: string | undefined;
  readonly label?: string | undefined;
  /** Unix seconds; 0: never. */
  readonly expires?: number | undefined;
}

/** What is shown of a token; of a short one nothing, as it would be easier to guess. */
export function endOf(token: string): string {
  return token.length < 16 ? "" : token.slice(-4);
}

/** A new token of the caller, shown once. The oldest ones make room. @throws NtfyError 40101 */
export async function createToken(
  context: NtfyAccountContext,
  visitor: Visitor,
  { label, expires }: TokenInput,
  origin: string,
) {
  const { db, clock, audit } = context;
  const userId = userOf(visitor);
  const token = `tk_${randomText(TOKEN_LENGTH)}`;
  const now = clock.now();
  const row = {
    ...{ hash: hashToken(token), userId, last4: endOf(token), label: label?.slice(0, MAX_LABEL) ?? null },
    ...{ createdAt: now, expiresAt: expiryOf(expires, now), lastUsedAt: now, lastOrigin: origin },
  };
  await db.write(async (trx) => {
    const held = await trx
      .selectFrom("ntfy_tokens")
      .select("hash")
      .where("userId", "=", userId)
      .orderBy("createdAt")
      .execute();
    const surplus = held.slice(0, Math.max(0, held.length - MAX_TOKENS + 1)).map(({ hash }) => hash);
    if (surplus.length > 0) await trx.deleteFrom("ntfy_tokens").where("hash", "in", surplus).execute();
    await trx.insertInto("ntfy_tokens").values(row).execute();
    await audit.record(
      {
        action: "ntfy_token.create",
        resourceType: "user",
        resourceId: userId,
        metadata: expiryMetadata(row.expiresAt),
      },
      { trx },
    );
  });
  return tokenView(token, row);
}

/** Another label or end; without either the token lives 72 hours more. @throws NtfyError 40023, 40101 */
export async function updateToken(context: NtfyAccountContext, visitor: Visitor, input: TokenInput) {
  const { db, clock } = context;
  const userId = userOf(visitor);
  const token = input.token ?? tokenOf(visitor);
  const hash = input.token === undefined ? tokenOf(visitor) : hashToken(token);
  const { label, expires } = input;
  const isExtended = label === undefined && expires === undefined;
  const row = await db.write(async (trx) => {
    const stored = await trx
      .selectFrom("ntfy_tokens")
      .selectAll()
      .where("hash", "=", hash)
      .where("userId", "=", userId)
      .executeTakeFirst();
    if (!stored) throw new NtfyError(40023);
    const expiresAt = expires !== undefined || isExtended ? expiryOf(expires, clock.now()) : stored.expiresAt;
    const changed = { label: label?.slice(0, MAX_LABEL) ?? stored.label, expiresAt };
    await trx.updateTable("ntfy_tokens").set(changed).where("hash", "=", hash).execute();
    return { ...stored, ...changed };
  });
  return tokenView(input.token ?? `tk_…${row.last4}`, row);
}

/** @param token undefined: the one that authenticates the request. @throws NtfyError 40023, 40101 */
export async function deleteToken(
  { db, audit }: NtfyAccountContext,
  visitor: Visitor,
  token: string | undefined,
): Promise<void> {
  const hash = token === undefined ? tokenOf(visitor) : hashToken(token);
  const userId = userOf(visitor);
  await db.write(async (trx) => {
    const { numDeletedRows } = await trx
      .deleteFrom("ntfy_tokens")
      .where("hash", "=", hash)
      .where("userId", "=", userId)
      .executeTakeFirst();
    if (Number(numDeletedRows) === 0) throw new NtfyError(40023);
    await audit.record({ action: "ntfy_token.delete", resourceType: "user", resourceId: userId }, { trx });
    // Connections of the token look whether it still exists.
    addEffect(trx, { type: "rights-changed", of: "user", userId });
  });
}

/** Only a user in person has tokens: a key or a service token must not get more than it has. */
function userOf({ principal }: Visitor): string {
  if (principal?.kind === "user") return principal.userId;
  throw new NtfyError(principal ? 40301 : 40101);
}

/** The hash of the token of the request. @throws NtfyError 40023 */
function tokenOf({ proof }: Visitor): string {
  if (proof && "tokenHash" in proof) return proof.tokenHash;
  throw new NtfyError(40023);
}

/** Epoch ms; null: never. */
function expiryOf(seconds: number | undefined, now: number): number | null {
  if (seconds === undefined) return now + TOKEN_MS;
  return seconds === 0 ? null : seconds * 1000;
}

export function expiryMetadata(expiresAt: number | null) {
  return { expiresAt: expiresAt === null ? null : toRfc3339(expiresAt) };
}

function tokenView(
  token: string,
  row: { label: string | null; expiresAt: number | null; lastUsedAt: number | null; lastOrigin: string | null },
) {
  return {
    token,
    ...(row.label !== null && { label: row.label }),
    last_access: secondsOf(row.lastUsedAt ?? 0),
    last_origin: row.lastOrigin ?? "",
    expires: secondsOf(row.expiresAt ?? 0),
  };
}
