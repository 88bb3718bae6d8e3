export { AlertPage } from "./alert-page.tsx";
export { AlertsPage } from "./alerts-page.tsx";
