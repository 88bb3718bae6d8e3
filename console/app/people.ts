import type { Option } from "../ui/index.ts";
import { api, type Page } from "./api.ts";

/** Members of a user by which people know them. */
export interface Named {
  readonly name: string | null;
  readonly username?: string | null;
  readonly email?: string | null;
  readonly phone?: string | null;
}

/** The name that people see; accounts may have none. */
export function personName({ name, username, email, phone }: Named): string {
  return name || username || email || phone || "Without a name";
}

/** Options of a choice of a user; it needs `users:read`. */
export async function findUsers(text: string): Promise<readonly Option[]> {
  const { data } = await api.get<Page<Named & { readonly id: string }>>("/users", { q: text, limit: 20 });
  return data.map((user) => ({
    value: user.id,
    label: personName(user),
    hint: user.name ? (user.email ?? user.username ?? "") : "",
  }));
}
