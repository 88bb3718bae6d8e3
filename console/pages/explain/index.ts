import "./explain.css";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export { ExplainDrawer } from "./explain-drawer.tsx";

export const explain: PageModule = {
  ...pagesOf(() => import("./explain-page.tsx"), {
    "/explain/:kind/:id": { page: "default" },
  }),
};
