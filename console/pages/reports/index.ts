import "./reports.css";
import { ChartColumn } from "lucide";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";

export const reports: PageModule = {
  ...pagesOf(() => import("./reports-page.tsx"), {
    "/reports": {
      page: "ReportsPage",
      ...inProject("events:read"),
      nav: { label: "Reports", icon: ChartColumn, group: "watch", shortcut: "v" },
    },
  }),
};
