import "./inbox.css";
import { Bell } from "lucide";
import type { PageModule } from "../../app/page-module.ts";
import { unread } from "./unread.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const inbox: PageModule = {
  routes: [
    { path: "/inbox", title: "Inbox", load: async () => ({ default: (await pages()).InboxPage }) },
    { path: "/inbox/:id", title: "Notification", load: async () => ({ default: (await pages()).NotificationPage }) },
  ],
  nav: [
    {
      label: "Inbox",
      path: "/inbox",
      icon: Bell,
      group: "main",
      shortcut: "i",
      badge: unread,
      tab: 2,
    },
  ],
  // Not looked up: an id of anything else would be an error in the browser's log.
  async search(text) {
    if (!UUID.test(text)) return [];
    return [{ label: "Notification with this id", kind: "Notification", icon: Bell, run: `/inbox/${text}` }];
  },
};
