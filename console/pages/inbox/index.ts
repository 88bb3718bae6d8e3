import "./inbox.css";
import { Bell } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";
import { unread } from "./unread.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export const inbox: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/inbox": {
      page: "InboxPage",
      nav: { label: "Inbox", icon: Bell, group: "main", shortcut: "i", badge: unread, tab: 4 },
    },
    "/inbox/:id": { page: "NotificationPage" },
  }),
  // Not looked up: an id of anything else would be an error in the browser's log.
  async search(text) {
    if (!UUID.test(text)) return [];
    return [{ label: "Notification with this id", kind: "Notification", icon: Bell, run: `/inbox/${text}` }];
  },
};
