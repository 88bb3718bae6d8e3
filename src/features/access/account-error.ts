import { PrismError } from "../../core/errors.ts";
import type { UserStatus } from "../../store/schema.ts";

/** Why an account that exists may not be used. Said only to who has proven to be its owner. */
export function accountError(status: Exclude<UserStatus, "active">): PrismError {
  switch (status) {
    case "pending":
      return new PrismError("ACCOUNT_PENDING", "The account waits for approval");
    case "unverified":
      return new PrismError("ACCOUNT_UNVERIFIED", "The account's mail address has not been verified");
    case "disabled":
      return new PrismError("ACCOUNT_DISABLED", "The account is disabled");
  }
}
