import type { Context } from "../../context.ts";
import { printable } from "../../output/output.ts";
import type { AdminStore } from "./admin-store.ts";

/** An account that a command is about. */
export interface NamedUser {
  readonly id: string;
  /** What people call it: username, mail address, external id or id. */
  readonly label: string;
}

/**
 * Changes the account that `ref` means (id, external id, username or mail address) and shows it as it is then. A running server counts it within
 * 250 ms. @throws USER_NOT_FOUND, and what `change` throws
 */
export async function changeUser(
  context: Context,
  command: string,
  ref: string,
  change: (user: NamedUser, store: AdminStore) => Promise<void>,
): Promise<void> {
  const [{ withAdminStore }, { findUserRef, getUser }] = await Promise.all([
    import("./admin-store.ts"),
    import("./account-queries.ts"),
  ]);
  const user = await withAdminStore(context, command, async (store) => {
    const { id, label } = await findUserRef(store.database.read, ref);
    await change({ id, label }, store);
    return getUser(store.database.read, id);
  });
  context.out.result(user, () => userLine(user));
}

/** One account in a line, for people. */
export function userLine(user: {
  readonly id: string;
  readonly username: string | null;
  readonly email: string | null;
  readonly externalId: string | null;
  readonly status: string;
  readonly roles: readonly string[];
}): string {
  const label = printable(user.username ?? user.email ?? user.externalId ?? user.id);
  return `${user.id}  ${label}  ${user.status}  ${user.roles.join(", ") || "-"}`;
}
