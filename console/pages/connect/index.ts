import { Cable } from "lucide";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";

/** No permission: every user may have channels of their own. */
export const connect: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/connect": { page: "Connect", nav: { label: "Connect", icon: Cable, group: "build" } },
    "/connect/receivers/new/:preset": { page: "NewReceiver", ...inProject("receivers:write") },
    "/connect/receivers/:id": { page: "ReceiverPage", ...inProject("events:read") },
    "/connect/integrations/new/:kind": { page: "NewIntegration", ...inProject("policies:write") },
    "/connect/channels/new/:preset": { page: "NewChannel" },
    "/connect/channels/:id": { page: "ChannelPage" },
  }),
  search: async (text) => (await import("./search.ts")).searchTargets(text),
};
