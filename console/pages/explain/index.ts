import "./explain.css";
import type { PageModule } from "../../app/page-module.ts";

export { ExplainDrawer } from "./explain-drawer.tsx";

export const explain: PageModule = {
  routes: [{ path: "/explain/:kind/:id", title: "Explain", load: () => import("./explain-page.tsx") }],
};
