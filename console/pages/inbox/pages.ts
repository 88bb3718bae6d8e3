export { default as InboxPage } from "./inbox-page.tsx";
export { default as NotificationPage } from "./notification-page.tsx";
