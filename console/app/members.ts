import type { Option } from "../ui/index.ts";
import { api, type Page } from "./api.ts";
import { type Named, personName } from "./people.ts";
import { can, me } from "./session.ts";

interface Member {
  readonly userId: string;
  readonly username: string | null;
  readonly name: string;
}

const LIMIT = 20;

/**
 * Finds users who can be on call or paged in a project: its active members; in the default project
 * every active user.
 */
export function memberFinder(projectId: string): (text: string) => Promise<readonly Option[]> {
  return async (text) => {
    const query = { q: text, status: "active", limit: LIMIT };
    const { slug } = await api.get<{ slug: string }>(`/projects/${projectId}`).catch(() => ({ slug: "" }));
    if (slug === "default" && can("users:read")) {
      const { data } = await api.get<Page<Named & { readonly id: string }>>("/users", query);
      return data.map((user) => option(user.id, personName(user), user.username ?? user.email ?? ""));
    }
    const { data } = await api
      .get<Pick<Page<Member>, "data">>(`/projects/${projectId}/members`, query)
      .catch(() => ({ data: [] as readonly Member[] }));
    const found = data.map((each) =>
      option(each.userId, each.name || each.username || "Without a name", each.username ?? ""),
    );
    const own = me.value;
    // Every active user can be on call in the default project, members or not.
    if (slug !== "default" || !own || found.some(({ value }) => value === own.id)) return found;
    const self = option(own.id, personName(own), "you");
    return self.label.toLowerCase().includes(text.toLowerCase()) ? [...found, self] : found;
  };
}

function option(value: string, label: string, hint: string): Option {
  return hint === label ? { value, label } : { value, label, hint };
}
