import { Route, Waypoints } from "lucide";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";

export const policies: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/policies": {
      page: "PoliciesPage",
      ...inProject("events:read"),
      nav: { label: "Policies", icon: Waypoints, group: "build", shortcut: "y" },
    },
    "/policies/routes": {
      page: "RoutesPage",
      ...inProject("events:read"),
      nav: { label: "Routes", icon: Route, group: "build" },
    },
    "/policies/new": { page: "NewPolicy", ...inProject("policies:write") },
    "/policies/:id": { page: "PolicyPage", ...inProject("events:read") },
  }),
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
