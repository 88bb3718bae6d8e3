/** The part of `plugins` that other features may use. */
export { moduleServer } from "./module-routes.ts";
