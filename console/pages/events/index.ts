import "./events.css";
import { Activity } from "lucide";
import { canInProject } from "../../app/memberships.ts";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export const events: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/events": {
      page: "EventsPage",
      ...inProject("events:read"),
      nav: { label: "Events", icon: Activity, group: "operate", shortcut: "e", tab: 5 },
    },
    "/events/:id": { page: "EventPage", ...inProject("events:read") },
  }),
  // Not looked up: an id of anything else would be an error in the browser's log.
  async search(text) {
    if (!UUID.test(text) || !canInProject("events:read")) return [];
    return [{ label: "Event with this id", kind: "Event", icon: Activity, run: `/events/${text}` }];
  },
};
