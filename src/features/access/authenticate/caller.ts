import { PrismError } from "../../../core/errors.ts";
import type { Exchange } from "../../../http/exchange.ts";
import type { UserStatus } from "../../../store/schema.ts";

/** What is remembered of the client that opened a session. */
export interface ClientInfo {
  readonly ip: string;
  readonly userAgent: string;
}

/** What a session remembers of the client that opened it. @param device how the client calls itself, in place of its user agent. */
export function clientOf(exchange: Exchange, device?: string): ClientInfo {
  return { ip: exchange.clientAddress, userAgent: device ?? exchange.header("user-agent") };
}

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
