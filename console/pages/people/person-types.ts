import type { User } from "../../../src/client/api-types.gen.ts";

export const STATUS = {
  active: { tone: "ok", text: "active" },
  pending: { tone: "warn", text: "pending" },
  unverified: { tone: "warn", text: "address not verified" },
  disabled: { tone: "plain", text: "disabled" },
} as const;

/** The text by which people find an account: its address, username or number. */
export function loginOf(person: Pick<User, "email" | "username" | "phone">): string {
  return person.email ?? person.username ?? person.phone ?? "";
}
