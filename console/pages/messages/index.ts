import { MessageSquare } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const messages: PageModule = {
  routes: [
    {
      path: "/messages",
      title: "Messages",
      load: async () => ({ default: (await pages()).Messages }),
      permission: "messages:own",
    },
    {
      path: "/messages/:id",
      title: "Message",
      load: async () => ({ default: (await pages()).MessagePage }),
      permission: "messages:own",
    },
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
