import { Send, Webhook } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const deliveries: PageModule = {
  routes: [
    {
      path: "/deliveries",
      title: "Deliveries",
      load: async () => ({ default: (await pages()).Deliveries }),
      permission: "notifications:read_all",
    },
    {
      path: "/deliveries/:id",
      title: "Delivery",
      load: async () => ({ default: (await pages()).DeliveryPage }),
      permission: "notifications:read_all",
    },
    {
      path: "/webhooks",
      title: "Webhooks",
      load: async () => ({ default: (await pages()).Webhooks }),
      permission: "webhooks:manage",
    },
  ],
  nav: [
    {
      label: "Deliveries",
      path: "/deliveries",
      icon: Send,
      group: "operate",
      permission: "notifications:read_all",
      shortcut: "l",
    },
    {
      label: "Webhooks",
      path: "/webhooks",
      icon: Webhook,
      group: "operate",
      permission: "webhooks:manage",
      shortcut: "w",
    },
  ],
};
