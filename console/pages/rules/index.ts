import { ListFilter, Plus } from "lucide";
import { api, type Page } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";
import { onSignOut } from "../../app/session.ts";
import { removeDrafts } from "./draft.ts";

onSignOut(removeDrafts);

interface Found {
  readonly id: string;
  readonly name: string;
  readonly active: boolean;
}

export const rules: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/rules": {
      page: "RulesPage",
      ...inProject("rules:read"),
      nav: { label: "Rules", icon: ListFilter, group: "build", shortcut: "r" },
    },
    "/rules/new": { page: "NewRule", ...inProject("rules:write") },
    "/rules/:id": { page: "RulePage", ...inProject("rules:read") },
  }),
  actions: [{ label: "New rule", kind: "Action", icon: Plus, run: "/rules/new", permission: "rules:write" }],
  async search(text) {
    if (!canInProject("rules:read")) return [];
    const { data } = await api.get<Page<Found>>("/rules", { q: text, limit: 6 });
    return data.map(({ id, name, active }) => ({
      label: name,
      kind: "Rule",
      ...(active ? {} : { detail: "disabled" }),
      icon: ListFilter,
      run: `/rules/${id}`,
    }));
  },
};
