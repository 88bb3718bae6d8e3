import { MessageSquare } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const messages: PageModule = {
  routes: [
    { path: "/messages", title: "Messages", load: () => import("./messages.tsx"), permission: "messages:own" },
    { path: "/messages/:id", title: "Message", load: () => import("./message.tsx"), permission: "messages:own" },
  ],
  nav: [
    {
      label: "Messages",
      path: "/messages",
      icon: MessageSquare,
      group: "operate",
      permission: "messages:own",
      shortcut: "m",
    },
  ],
};
