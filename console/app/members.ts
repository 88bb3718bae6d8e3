import type { Option } from "../ui/index.ts";
import { api, type Page } from "./api.ts";
import { findUsers, personName } from "./people.ts";
import { can, me } from "./session.ts";

interface Member {
  readonly userId: string;
  readonly username: string | null;
  readonly name: string;
}

/** Finds users who may be on call or paged in a project: its members; in the default project every user. */
export function memberFinder(projectId: string): (text: string) => Promise<readonly Option[]> {
  return async (text) => {
    const { slug } = await api.get<{ slug: string }>(`/projects/${projectId}`).catch(() => ({ slug: "" }));
    if (slug === "default" && can("users:read")) return findUsers(text);
    const { data } = await api
      .get<Pick<Page<Member>, "data">>(`/projects/${projectId}/members`)
      .catch(() => ({ data: [] as readonly Member[] }));
    const own = me.value;
    const members = data.map((each) => ({
      value: each.userId,
      label: each.name || each.username || "Without a name",
      hint: each.username ?? "",
    }));
    const all =
      own && !members.some(({ value }) => value === own.id)
        ? [...members, { value: own.id, label: personName(own), hint: "you" }]
        : members;
    const part = text.toLowerCase();
    return all.filter(({ label, hint }) => `${label} ${hint}`.toLowerCase().includes(part));
  };
}
