import { CalendarClock, Timer } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const schedules: PageModule = {
  routes: [
    { path: "/schedules", title: "Schedules", load: () => import("./schedules.tsx"), permission: "jobs:read" },
    { path: "/schedules/:id", title: "Schedule", load: () => import("./schedule.tsx"), permission: "jobs:read" },
    { path: "/timers", title: "Timers", load: () => import("./timers.tsx"), permission: "timers:create" },
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
