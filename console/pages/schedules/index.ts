import { CalendarClock, Timer } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const schedules: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/schedules": {
      page: "Schedules",
      permission: "jobs:read",
      nav: { label: "Schedules", icon: CalendarClock, group: "operate", shortcut: "c" },
    },
    "/schedules/:id": { page: "SchedulePage", permission: "jobs:read" },
    "/timers": { page: "Timers", permission: "timers:create", nav: { label: "Timers", icon: Timer, group: "operate" } },
  }),
};
