import { CalendarClock, Timer } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const schedules: PageModule = {
  routes: [
    {
      path: "/schedules",
      title: "Schedules",
      load: async () => ({ default: (await pages()).Schedules }),
      permission: "jobs:read",
    },
    {
      path: "/schedules/:id",
      title: "Schedule",
      load: async () => ({ default: (await pages()).SchedulePage }),
      permission: "jobs:read",
    },
    {
      path: "/timers",
      title: "Timers",
      load: async () => ({ default: (await pages()).Timers }),
      permission: "timers:create",
    },
  ],
  nav: [
    {
      label: "Schedules",
      path: "/schedules",
      icon: CalendarClock,
      group: "operate",
      permission: "jobs:read",
      shortcut: "c",
    },
    { label: "Timers", path: "/timers", icon: Timer, group: "operate", permission: "timers:create" },
  ],
};
