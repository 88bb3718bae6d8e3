import { Network } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const cluster: PageModule = {
  ...pagesOf(() => import("../single-pages.ts"), {
    "/cluster": {
      page: "ClusterPage",
      permission: "system:manage",
      nav: { label: "Cluster", icon: Network, group: "administer" },
    },
  }),
};
