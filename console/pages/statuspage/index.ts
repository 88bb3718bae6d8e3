import { Activity } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

const access = { permission: "events:read", within: "project" } as const;

export const statuspage: PageModule = {
  routes: [
    {
      path: "/status-page",
      title: "Status page",
      load: async () => ({ default: (await import("./status-page.tsx")).StatusPage }),
      ...access,
    },
  ],
  nav: [{ label: "Status page", path: "/status-page", icon: Activity, group: "respond", ...access }],
};
