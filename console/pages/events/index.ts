import "./events.css";
import { Activity } from "lucide";
import { canInProject } from "../../app/memberships.ts";
import type { PageModule } from "../../app/page-module.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const events: PageModule = {
  routes: [
    {
      path: "/events",
      title: "Events",
      load: async () => ({ default: (await pages()).EventsPage }),
      permission: "events:read",
      within: "project",
    },
    {
      path: "/events/:id",
      title: "Event",
      load: async () => ({ default: (await pages()).EventPage }),
      permission: "events:read",
      within: "project",
    },
  ],
  nav: [
    {
      label: "Events",
      path: "/events",
      icon: Activity,
      group: "main",
      permission: "events:read",
      within: "project",
      shortcut: "e",
      tab: 5,
    },
  ],
  // Not looked up: an id of anything else would be an error in the browser's log.
  async search(text) {
    if (!UUID.test(text) || !canInProject("events:read")) return [];
    return [{ label: "Event with this id", kind: "Event", icon: Activity, run: `/events/${text}` }];
  },
};
