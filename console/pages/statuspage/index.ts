import { RadioTower } from "lucide";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";

export const statuspage: PageModule = {
  ...pagesOf(() => import("./status-page.tsx"), {
    "/status-page": {
      page: "StatusPage",
      ...inProject("events:read"),
      nav: { label: "Status page", icon: RadioTower, group: "watch" },
    },
  }),
};
