import type { Principal } from "../../core/principal.ts";
import type { Principals } from "../access/index.ts";

const KEY = "key:";

/** How a row names who made it (`createdBy`): a user by id, an API key as `key:<id>`, the program and its modules as null. */
export function creatorIdOf(principal: Principal | null): string | null {
  if (!principal) return null;
  return principal.kind === "apiKey" ? principal.key : principal.userId;
}

/** {@link creatorIdOf} the other way, with the rights of this moment. @throws ACCOUNT_DISABLED and its like, TOKEN_INVALID, INVALID_API_KEY */
export function creatorOf(createdBy: string | null, principals: Principals): Principal | null {
  if (createdBy === null) return null;
  return createdBy.startsWith(KEY) ? principals.ofKey(createdBy.slice(KEY.length)) : principals.ofUser(createdBy);
}
