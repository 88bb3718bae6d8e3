import type { ProjectMember } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import { type Named, personName } from "../../app/people.ts";
import { useQuery } from "../../app/query.ts";
import { can, me } from "../../app/session.ts";
import type { Option } from "../../ui/index.ts";

type User = Named & { readonly id: string };

/** Names of users by id, as far as the caller may read them. */
export function useNames(ids: readonly (string | null)[]): ReadonlyMap<string, string> {
  const unique = [...new Set(ids.filter((id) => id !== null))].sort();
  const load = async () => {
    const found = await Promise.all(unique.map(nameById));
    return new Map(unique.map((id, index) => [id, found[index] ?? id]));
  };
  const query = useQuery<ReadonlyMap<string, string>>(unique.length === 0 ? null : `/users names ${unique}`, load);
  return query.data ?? new Map();
}

async function nameById(id: string): Promise<string> {
  const own = me.value;
  if (own?.id === id) return personName(own);
  // A former user, or one that the caller may not read.
  const short = `user ${id.slice(0, 8)}`;
  if (can("users:read")) return api.get<User>(`/users/${encodeURIComponent(id)}`).then(personName, () => short);
  if (!can("rules:write")) return short;
  const { users } = await api.get<Found>("/users/search", { q: id }).catch(() => ({ users: [] }));
  return users.find((user) => user.id === id)?.name || short;
}

interface Found {
  readonly users: readonly Pick<User, "id" | "name" | "username">[];
}

/**
 * Finds people for a rule: all users for writers of rules, otherwise the members of its project.
 * @param projectId null: every project
 */
export async function findPeople(text: string, projectId: string | null): Promise<readonly Option[]> {
  if (!can("rules:write") && !can("users:read")) return projectId === null ? [] : findMembers(text, projectId);
  const { users } = await api.get<Found>("/users/search", { q: text, limit: 20 });
  return users.map(({ id, name, username }) => ({
    value: id,
    label: name || username || id,
    ...(name && username ? { hint: username } : {}),
  }));
}

async function findMembers(text: string, projectId: string): Promise<readonly Option[]> {
  const { data } = await api.get<Page<ProjectMember>>(`/projects/${encodeURIComponent(projectId)}/members`, {
    limit: 100,
  });
  const wanted = text.toLowerCase();
  return data
    .filter(({ name, username }) => `${name} ${username ?? ""}`.toLowerCase().includes(wanted))
    .map(({ userId, name, username, role }) => ({ value: userId, label: name || username || userId, hint: role }));
}
