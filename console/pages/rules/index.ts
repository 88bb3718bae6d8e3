import { ListFilter, Plus } from "lucide";
import { api, type Page } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import type { PageModule } from "../../app/page-module.ts";
import { onSignOut } from "../../app/session.ts";
import { removeDrafts } from "./draft.ts";

onSignOut(removeDrafts);

interface Found {
  readonly id: string;
  readonly name: string;
  readonly active: boolean;
}

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const rules: PageModule = {
  routes: [
    {
      path: "/rules",
      title: "Rules",
      permission: "rules:read",
      within: "project",
      load: async () => ({ default: (await pages()).RulesPage }),
    },
    {
      path: "/rules/new",
      title: "New rule",
      permission: "rules:write",
      within: "project",
      load: async () => ({ default: (await pages()).NewRule }),
    },
    {
      path: "/rules/:id",
      title: "Rule",
      permission: "rules:read",
      within: "project",
      load: async () => ({ default: (await pages()).RulePage }),
    },
  ],
  nav: [
    {
      label: "Rules",
      path: "/rules",
      icon: ListFilter,
      group: "main",
      permission: "rules:read",
      within: "project",
      shortcut: "r",
    },
  ],
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
