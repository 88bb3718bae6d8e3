import { BellRing } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");
const read = { permission: "events:read", within: "project" } as const;

export const alerts: PageModule = {
  routes: [
    { ...read, path: "/alerts", title: "Alerts", load: async () => ({ default: (await pages()).AlertsPage }) },
    // Without a permission: a paged person comes from the incident. The server decides.
    { path: "/alerts/:id", title: "Alert", load: async () => ({ default: (await pages()).AlertPage }) },
  ],
  nav: [{ ...read, label: "Alerts", path: "/alerts", icon: BellRing, group: "respond", shortcut: "a" }],
};
