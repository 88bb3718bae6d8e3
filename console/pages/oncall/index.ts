import { PhoneCall } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

/** Every user may be on call, so the pages need no permission; the server lists what each one reads. */
export const oncall: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/oncall": {
      page: "OnCallNow",
      nav: { label: "On-call", icon: PhoneCall, group: "main", shortcut: "q", tab: 3 },
    },
    "/oncall/mine": { page: "MyShifts" },
    "/oncall/:id": { page: "SchedulePage" },
  }),
};
