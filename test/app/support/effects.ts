import { openSession } from "../../../src/features/access/sessions/sessions.ts";
import { addEffect, type Trx } from "../../../src/store/database.ts";
import type { Effect } from "../../../src/store/effect.ts";
import type { TestPrism } from "../../helpers/prism.ts";
import { scalarOf } from "../../helpers/tables.ts";

/** Writes rows without any service, with an effect that names them. */
export function commit(prism: TestPrism, effect: Effect, write: (trx: Trx) => Promise<unknown>): Promise<void> {
  return prism.parts.base.database.write(async (trx) => {
    await write(trx);
    addEffect(trx, effect);
  });
}

export const roleId = (prism: TestPrism, name: string): string =>
  scalarOf<string>(prism, "select id from roles where name = ?", name) ?? "";

/** A session of the user, as a login opens it. */
export async function session(prism: TestPrism, userId: string): Promise<{ id: string; token: string }> {
  const { accessTokens, accounts } = prism.parts.offers;
  const { id } = await prism.parts.base.database.write((trx) =>
    openSession(accounts, userId, { ip: "127.0.0.1", userAgent: "test" }, trx),
  );
  return { id, token: (await accessTokens.issue(userId, id)).token };
}
