import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { AccountContext } from "../context.ts";
import { hasUsablePasskey } from "../passkeys/stored.ts";
import type { FactorName } from "./second-factor.ts";

/** Shown to the user and to managers of users. */
export interface SecondFactorState {
  readonly enabled: boolean;
  /** RFC 3339. */
  readonly since: string | null;
  readonly recoveryCodesLeft: number;
  /** Whether there is an authenticator app. */
  readonly app: boolean;
  readonly passkeys: number;
}

export const NO_SECOND_FACTOR: SecondFactorState = {
  ...{ enabled: false, since: null, recoveryCodesLeft: 0 },
  ...{ app: false, passkeys: 0 },
};

export async function hasSecondFactor(userId: string, db: ReadDb): Promise<boolean> {
  return (await secondFactorsOf([userId], db)).has(userId);
}

/** The users who have one: an authenticator app, a passkey or both. */
export async function secondFactorsOf(
  userIds: readonly string[],
  db: ReadDb,
): Promise<ReadonlyMap<string, SecondFactorState>> {
  const rows = await db
    .selectFrom("second_factors")
    .select(["userId", "enabledAt", "recoveryCodes"])
    .where("userId", "in", userIds)
    .execute();
  const passkeys = await db
    .selectFrom("passkeys")
    .select(["userId", "createdAt"])
    .where("userId", "in", userIds)
    .orderBy("createdAt")
    .execute();
  const states = userIds.flatMap((id): [string, SecondFactorState][] => {
    const row = rows.find(({ userId }) => userId === id);
    const own = passkeys.filter(({ userId }) => userId === id);
    const times = [row?.enabledAt ?? null, own[0]?.createdAt ?? null].filter((at) => at !== null);
    if (times.length === 0) return [];
    const since = toRfc3339OrNull(Math.min(...times));
    const recoveryCodesLeft = row ? (JSON.parse(row.recoveryCodes) as string[]).length : 0;
    const app = row !== undefined && row.enabledAt !== null;
    return [[id, { enabled: true, since, recoveryCodesLeft, app, passkeys: own.length }]];
  });
  return new Map(states);
}

/** What an account can prove; none: it has no second factor, or none that still works. */
export async function factorsOf(ctx: AccountContext, userId: string, db: ReadDb): Promise<readonly FactorName[]> {
  const state = (await secondFactorsOf([userId], db)).get(userId) ?? NO_SECOND_FACTOR;
  const names: FactorName[] = [];
  if (state.passkeys > 0 && (await hasUsablePasskey(ctx, userId, db))) names.push("passkey");
  if (state.app) names.push("code");
  if (state.recoveryCodesLeft > 0) names.push("recoveryCode");
  return names;
}
