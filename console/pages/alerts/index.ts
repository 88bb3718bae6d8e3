import "./alerts.css";
import { BellRing } from "lucide";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";

export const alerts: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/alerts": {
      page: "AlertsPage",
      ...inProject("events:read"),
      nav: { label: "Alerts", icon: BellRing, group: "main", shortcut: "a" },
    },
    // Without a permission: a paged person comes from the incident. The server decides.
    "/alerts/:id": { page: "AlertPage" },
  }),
};
