/** A user, as `GET /api/v1/users` lists them. */
export interface Person {
  readonly id: string;
  readonly email: string | null;
  readonly username: string | null;
  readonly phone: string | null;
  readonly name: string;
  readonly roles: readonly string[];
  readonly status: "pending" | "active" | "disabled" | "unverified";
  readonly timezone: string | null;
  readonly createdAt: string;
  readonly lastLoginAt?: string | null;
  readonly secondFactor?: { readonly enabled: boolean };
}

export interface Role {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly permissions: readonly string[];
  readonly builtin: boolean;
  readonly version: number;
}

export const STATUS = {
  active: { tone: "ok", text: "active" },
  pending: { tone: "warn", text: "pending" },
  unverified: { tone: "warn", text: "address not verified" },
  disabled: { tone: "plain", text: "disabled" },
} as const;

/** The text by which people find an account: its address, username or number. */
export function loginOf(person: Pick<Person, "email" | "username" | "phone">): string {
  return person.email ?? person.username ?? person.phone ?? "";
}
