import { Send, Webhook } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const deliveries: PageModule = {
  routes: [
    {
      path: "/deliveries",
      title: "Deliveries",
      load: () => import("./deliveries.tsx"),
      permission: "notifications:read_all",
    },
    {
      path: "/deliveries/:id",
      title: "Delivery",
      load: () => import("./delivery.tsx"),
      permission: "notifications:read_all",
    },
    { path: "/webhooks", title: "Webhooks", load: () => import("./webhooks.tsx"), permission: "webhooks:manage" },
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
