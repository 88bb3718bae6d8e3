import { MessageSquare } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const messages: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/messages": {
      page: "Messages",
      permission: "messages:own",
      nav: { label: "Messages", icon: MessageSquare, group: "operate", shortcut: "m" },
    },
    "/messages/:id": { page: "MessagePage", permission: "messages:own" },
  }),
};
