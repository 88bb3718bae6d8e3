import "./inbox.css";
import { Bell } from "lucide";
import { api } from "../../app/api.ts";
import type { PageModule } from "../../app/page-module.ts";
import type { NotificationDetail } from "./notification-types.ts";
import { unread } from "./unread.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export const inbox: PageModule = {
  routes: [
    { path: "/inbox", title: "Inbox", load: () => import("./inbox-page.tsx") },
    { path: "/inbox/:id", title: "Notification", load: () => import("./notification-page.tsx") },
  ],
  nav: [
    {
      label: "Inbox",
      path: "/inbox",
      icon: Bell,
      group: "main",
      shortcut: "i",
      badge: unread,
      isInTabBar: true,
    },
  ],
  async search(text) {
    if (!UUID.test(text)) return [];
    const { id, title } = await api.get<NotificationDetail>(`/notifications/${text}`);
    return [{ label: title, kind: "Notification", icon: Bell, run: `/inbox/${id}` }];
  },
};
