import { Send, Webhook } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const deliveries: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/deliveries": {
      page: "Deliveries",
      permission: "notifications:read_all",
      nav: { label: "Deliveries", icon: Send, group: "operate", shortcut: "l" },
    },
    "/deliveries/:id": { page: "DeliveryPage", permission: "notifications:read_all" },
    "/webhooks": {
      page: "Webhooks",
      permission: "webhooks:manage",
      nav: { label: "Webhooks", icon: Webhook, group: "operate", shortcut: "w" },
    },
  }),
};
