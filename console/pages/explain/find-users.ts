import { api, type Page } from "../../app/api.ts";

interface FoundUser {
  readonly id: string;
  readonly name: string | null;
  readonly username: string | null;
  readonly email: string | null;
}

/** Options of a user's choice. */
export async function findUsers(text: string) {
  const { data } = await api.get<Page<FoundUser>>("/users", { q: text, limit: 20 });
  return data.map(({ id, name, username, email }) => ({
    value: id,
    label: name ?? username ?? email ?? "Without a name",
    hint: name !== null ? (username ?? email ?? "") : "",
  }));
}
