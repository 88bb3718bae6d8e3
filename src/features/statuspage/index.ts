/** The part of `statuspage` that the wiring may use. */
export { StatusPages } from "./pages.ts";
export { statusSweeps } from "./table.ts";
