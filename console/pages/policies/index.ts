import { Route, Waypoints } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const policies: PageModule = {
  routes: [
    {
      path: "/policies",
      title: "Policies",
      permission: "events:read",
      within: "project",
      load: async () => ({ default: (await pages()).PoliciesPage }),
    },
    {
      path: "/policies/routes",
      title: "Routes",
      permission: "events:read",
      within: "project",
      load: async () => ({ default: (await pages()).RoutesPage }),
    },
    {
      path: "/policies/new",
      title: "New policy",
      permission: "policies:write",
      within: "project",
      load: async () => ({ default: (await pages()).NewPolicy }),
    },
    {
      path: "/policies/:id",
      title: "Policy",
      permission: "events:read",
      within: "project",
      load: async () => ({ default: (await pages()).PolicyPage }),
    },
  ],
  nav: [
    {
      label: "Policies",
      path: "/policies",
      icon: Waypoints,
      group: "main",
      permission: "events:read",
      within: "project",
      shortcut: "y",
    },
  ],
  actions: [
    { label: "New policy", kind: "Action", icon: Waypoints, run: "/policies/new", permission: "policies:write" },
    {
      label: "Where would an alert go?",
      kind: "Action",
      icon: Route,
      run: "/policies/routes",
      permission: "events:read",
    },
  ],
};
