export { default as EventPage } from "./event-page.tsx";
export { default as EventsPage } from "./events-page.tsx";
