import { PhoneCall } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

/** Every user may be on call, so the pages need no permission; the server lists what each one reads. */
export const oncall: PageModule = {
  routes: [
    { path: "/oncall", title: "On-call", load: async () => ({ default: (await pages()).OnCallNow }) },
    { path: "/oncall/mine", title: "My shifts", load: async () => ({ default: (await pages()).MyShifts }) },
    { path: "/oncall/:id", title: "On-call schedule", load: async () => ({ default: (await pages()).SchedulePage }) },
  ],
  nav: [{ label: "On-call", path: "/oncall", icon: PhoneCall, group: "respond", shortcut: "q", tab: 4 }],
};
