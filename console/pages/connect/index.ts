import { Cable } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

/** No permission: every user may have channels of their own. */
export const connect: PageModule = {
  routes: [
    { path: "/connect", title: "Connect", load: async () => ({ default: (await pages()).Connect }) },
    {
      path: "/connect/receivers/new/:preset",
      title: "New receiver",
      load: async () => ({ default: (await pages()).NewReceiver }),
      permission: "receivers:write",
      within: "project",
    },
    {
      path: "/connect/receivers/:id",
      title: "Receiver",
      load: async () => ({ default: (await pages()).ReceiverPage }),
      permission: "events:read",
      within: "project",
    },
    {
      path: "/connect/channels/new/:preset",
      title: "New channel",
      load: async () => ({ default: (await pages()).NewChannel }),
    },
    {
      path: "/connect/channels/:id",
      title: "Channel",
      load: async () => ({ default: (await pages()).ChannelPage }),
    },
  ],
  nav: [{ label: "Connect", path: "/connect", icon: Cable, group: "operate" }],
  search: async (text) => (await import("./search.ts")).searchTargets(text),
};
